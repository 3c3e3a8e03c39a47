"""Finding a piece of text in a file, and saying what is near when it is not there."""

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from unicodedata import normalize

from flynn.tools.listing import numbered
from flynn.tools.near import closest

_QUOTES = str.maketrans("\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f", "''''\"\"\"\"")
_DASHES = str.maketrans({**dict.fromkeys(range(0x2010, 0x2016), "-"), 0x2212: "-", 0x2026: "..."})
_ESCAPED = re.compile(r"\\([ntr\"'\\/])")
_MEANT = {"n": "\n", "t": "\t", "r": ""}
_NUMBERED = re.compile(r"^\s*\d+(?:\t|→)", re.MULTILINE)
_WIDTH = 200
_SHOWN_LINES = 12
_SHOWN_BYTES = 4_000


@dataclass(frozen=True, slots=True)
class Match:
    """Where a piece of text is: offsets in the content."""

    start: int
    end: int


def find(content: str, wanted: str) -> list[Match]:
    r"""Where `wanted` is in `content`, without overlaps, from the front.

    A line feed in `wanted` stands for `\n` and for `\r\n`, whatever the file has there.
    """
    if "\r" in content:
        pattern = r"\r?\n".join(re.escape(line) for line in wanted.split("\n"))
        return [Match(*found.span()) for found in re.finditer(pattern, content)]
    found: list[Match] = []
    start = content.find(wanted)
    while start >= 0:
        found.append(Match(start, start + len(wanted)))
        start = content.find(wanted, start + len(wanted))
    return found


def substitute(content: str, matches: Sequence[Match], new: str, line_ending: str) -> str:
    r"""`content` with `new` in place of each of `matches`.

    The line feeds of `new` become the line ending that is used where it goes, else `line_ending`.
    """
    pieces: list[str] = []
    position = 0
    for match in matches:
        old = content[match.start : match.end]
        local = "\r\n" if "\r\n" in old else "\n" if "\n" in old else line_ending
        pieces += content[position : match.start], new.replace("\n", local)
        position = match.end
    return "".join((*pieces, content[position:]))


def line_of(content: str, offset: int) -> int:
    """The number, from 1, of the line that holds the character at `offset`."""
    return content.count("\n", 0, offset) + 1


def explain_absence(lines: Sequence[str], wanted: str) -> str:
    """What in `lines` is most like `wanted`, which is not there, in words for a model."""
    content = "\n".join(lines)
    for changed, words in _rewritten(wanted):
        if changed and changed != wanted and find(content, changed):
            return words
    asked = wanted.strip("\n").split("\n")
    place = _loosely(lines, asked)
    if place is not None:
        return _difference(lines, place, asked)
    place = _closest(lines, asked)
    if place is not None:
        return f"The closest lines are:\n{_excerpt(lines, place, len(asked))}"
    return "Nothing in the file is like it: read the file again and copy the text from there."


def _rewritten(wanted: str) -> Iterator[tuple[str, str]]:
    """What `wanted` would be without a usual mistake, and what to say when that is what the file holds."""
    bare = _NUMBERED.sub("", wanted)
    yield bare, "It is there without the line numbers that Read puts in front: leave them out."
    unescaped = _ESCAPED.sub(lambda found: _MEANT.get(found[1], found[1]), wanted)
    yield (
        unescaped,
        "It is there when its escapes are read: write line breaks, tabs and quotes as they are, "
        "without a backslash.",
    )
    yield html.unescape(wanted), "It is there with plain characters: write < > & instead of &lt; &gt; &amp;."
    yield wanted.rstrip(), "It is there without the blanks and line breaks at its end: leave them out."


def _loosely(lines: Sequence[str], asked: Sequence[str]) -> int | None:
    """The first place where `asked` is found when blanks and the shape of quotes do not count."""
    target = [_loose(line) for line in asked]
    if not any(target):
        return None
    loose = [_loose(line) for line in lines]
    for place in range(len(loose) - len(target) + 1):
        if loose[place] == target[0] and loose[place : place + len(target)] == target:
            return place
    if len(target) == 1:
        return next((place for place, line in enumerate(loose) if target[0] in line), None)
    return None


def _loose(line: str) -> str:
    """`line` as it is compared when only its letters and signs count. Blanks of every sort are one."""
    return " ".join(_plainer(line).split())


def _plainer(line: str) -> str:
    if line.isascii():
        return line
    return normalize("NFC", line).translate(_QUOTES).translate(_DASHES)


def _difference(lines: Sequence[str], place: int, asked: Sequence[str]) -> str:
    """Say in what the lines at `place` and `asked`, loosely equal, are not equal."""
    said = f"There is nearly the same text:\n{_excerpt(lines, place, len(asked))}"
    for there, here in zip(lines[place : place + len(asked)], asked, strict=False):
        if there != here:
            return (
                f"{said}\nIt differs in {_kind(there, here)}, first here:\n"
                f"in the file:  {there[:_WIDTH]!a}\nold_string:   {here[:_WIDTH]!a}"
            )
    return f"{said}\nIt differs in the line breaks at its ends."


def _kind(there: str, here: str) -> str:
    """In what two lines differ that are the same but for blanks, quotes and signs that look alike."""
    if there.rstrip() == here.rstrip():
        return "the blanks at the end of a line"
    if there.strip() == here.strip():
        tabs = (
            "\t" in there[: len(there) - len(there.lstrip())],
            "\t" in here[: len(here) - len(here.lstrip())],
        )
        return "indentation (tabs against spaces)" if tabs[0] != tabs[1] else "indentation"
    if there.translate(_QUOTES) == here.translate(_QUOTES):
        return "quotes"
    if " ".join(there.split()) == " ".join(here.split()):
        return "whitespace"
    return "characters that look alike (quotes, dashes, accents, dots)"


def _closest(lines: Sequence[str], asked: Sequence[str]) -> int | None:
    key = max(range(len(asked)), key=lambda index: len(asked[index].strip()))
    near = closest(asked[key].strip(), [line.strip() for line in lines], 1, 0.6)
    return max(near[0] - key, 0) if near else None


def _excerpt(lines: Sequence[str], place: int, length: int) -> str:
    shown = lines[place : place + min(length, _SHOWN_LINES)]
    return numbered(shown, place + 1, limit=_SHOWN_BYTES).text
