"""A text file that is too long to be read whole: the lines that were asked for, as they stream past.

Nothing of it is hashed, so Edit and Write do not take it for seen.
"""

from collections.abc import Iterable, Iterator
from threading import Event
from typing import Final

from flynn.domain.tool_result import ToolResult
from flynn.tools.listing import MAX_LINE, numbered
from flynn.tools.text import decode, kind
from flynn.tools.text_page import DEFAULT_LINES, LONG_LINES, MAX_RESULT
from flynn.workspace.entry import Entry

MAX_SCANNED: Final = 4 * 1024 * 1024 * 1024
"""Bytes that are looked through for the first line."""
_SAMPLE: Final = 65_536
_KEPT: Final = 4 * (MAX_LINE + 1)
"""Bytes of a line that are kept: UTF-8 has at most four a character."""
_GOES_ON: Final = " […the line goes on]"
_CUT: Final = MAX_LINE - len(_GOES_ON)
"""Characters of a line whose length nobody has counted."""


class LongFile:
    """One look at a long file, in a thread; `stop` ends it from outside."""

    def __init__(self, entry: Entry, path: str) -> None:
        self._entry = entry
        self._path = path
        self._stopped = Event()

    def stop(self) -> None:
        """Look no further."""
        self._stopped.set()

    def show(self, offset: int | None, limit: int | None) -> ToolResult:
        """Show `limit` lines from the line `offset` on, counted from 1."""
        size = self._entry.status.st_size
        about = f"{self._path} has {size:,} bytes"
        if (refused := self._no_text()) is not None:
            return ToolResult.error(f"{about} and {refused}")
        if offset is None and limit is None:
            return ToolResult.error(
                f"{about}, too many to show without a range: give offset and limit, the first line and the "
                "number of lines, or search it with Grep. (`wc -l` and `tail` in Bash tell where it ends.)"
            )
        first, count = max(offset or 1, 1), min(limit or DEFAULT_LINES, DEFAULT_LINES)
        lines: list[bytes] = []
        seen = 0
        for line in self._lines(first):
            seen += 1
            if seen >= first:
                lines.append(line)
            if len(lines) == count:
                break
        if not lines:
            return ToolResult.error(self._nothing(first, seen))
        shown, latin = _decoded(lines)
        page = numbered(shown, first, limit=MAX_RESULT)
        last = first + page.shown - 1
        notes = [f"lines {first} to {last} of a file of {size:,} bytes", "it counts as not read for Edit"]
        if latin:
            notes.append("shown as Latin-1, since it is not UTF-8")
        if any(line.endswith(b"\r") for line in lines):
            notes.append("lines end in CRLF")
        if page.cut or any(line.endswith(_GOES_ON) for line in shown):
            notes.append(LONG_LINES)
        return ToolResult(content=f"{page.text}\n\n[{'. '.join(notes)}]")

    def _no_text(self) -> str | None:
        # Cut within a character it passes for Latin-1, which is as good here.
        head = next(self._entry.pieces(_SAMPLE), b"")
        text = decode(head)
        if text is None or kind(head) is not None:
            what = kind(head) or "no text"
            return f"is {what}; files of that size are shown when they are text. Look at it with Bash."
        if text.encoding.startswith("utf-16"):
            return "is UTF-16; convert it with Bash first (`iconv -f UTF-16 -t UTF-8`)."
        return None

    def _nothing(self, first: int, seen: int) -> str:
        if self._entry.status.st_size > MAX_SCANNED and seen:
            return (
                f"Line {first} of {self._path} is not within its first {MAX_SCANNED:,} bytes. Show it with "
                f"Bash: `sed -n '{first},+100p'`."
            )
        return f"{self._path} has about {seen:,} lines; offset {first} is past its end."

    def _lines(self, first: int) -> Iterator[bytes]:
        """The lines, each cut to _KEPT bytes; those before `first` only as empty ones, to be counted."""
        number, line, scanned = 1, bytearray(), 0
        for piece in self._entry.pieces():
            if self._stopped.is_set() or scanned > MAX_SCANNED:
                return
            scanned += len(piece)
            if (passing := piece.count(b"\n")) + number < first:
                number += passing
                yield from (b"" for _ in range(passing))
                continue
            begin = 0
            while (end := piece.find(b"\n", begin)) >= 0:
                line += piece[begin : min(end, begin + _KEPT)]
                yield bytes(line[:_KEPT])
                line.clear()
                number, begin = number + 1, end + 1
            if len(line) < _KEPT:
                line += piece[begin : begin + _KEPT]
        if line:
            yield bytes(line[:_KEPT])


def _decoded(lines: Iterable[bytes]) -> tuple[list[str], bool]:
    """Lines as text, and whether one of them is no UTF-8."""
    shown: list[str] = []
    latin = False
    for line in (line.removesuffix(b"\r") for line in lines):
        try:
            # What was cut may end within a character.
            text = line.decode() if len(line) < _KEPT else line.decode("utf-8", "ignore")[:_CUT] + _GOES_ON
        except UnicodeDecodeError:
            text, latin = line.decode("latin-1"), True
            text = text if len(line) < _KEPT else text[:_CUT] + _GOES_ON
        shown.append(text)
    return shown, latin
