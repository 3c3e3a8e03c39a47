"""Text as a model reads it: numbered, bounded, and honest about what was left out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MAX_LINE = 2_000
"""Characters of one line that are shown."""


@dataclass(frozen=True, slots=True)
class Page:
    """Consecutive lines of a file, numbered: `text`, how many lines it shows, whether any was cut."""

    text: str
    shown: int
    cut: bool


def numbered(lines: Iterable[str], start: int, *, limit: int) -> Page:
    """Number `lines` from `start` as `cat -n` does, a tab behind each number; at most `limit` bytes.

    Lines over MAX_LINE characters lose their end and say so. At least one line is shown.
    """
    said: list[str] = []
    size = 0
    cut = False
    for number, line in enumerate(lines, start):
        if len(line) > MAX_LINE:
            shown = f"{number}\t{line[:MAX_LINE]} […{len(line) - MAX_LINE:,} more characters]"
            cut = True
        else:
            shown = f"{number}\t{line}"
        size += _bytes(shown) + 1
        if said and size > limit:
            break
        said.append(shown)
    return Page("\n".join(said), len(said), cut)


def around(head: str, tail: str, total: int) -> tuple[str, int]:
    """The `head` and the `tail` of a text of `total` characters, and how many are missing between them.

    The cuts fall on line ends where there is one nearby.
    """
    if (end := head.rfind("\n")) > len(head) - MAX_LINE and end > 0:
        head = head[: end + 1]
    if 0 <= (begin := tail.find("\n")) < MAX_LINE:
        tail = tail[begin + 1 :]
    lost = total - len(head) - len(tail)
    break_before = "" if head.endswith("\n") else "\n"
    return f"{head}{break_before}[… {lost:,} characters left out here …]\n{tail}", lost


def middle_cut(text: str, limit: int) -> tuple[str, int]:
    """`text` within about `limit` characters, its middle left out, and how many characters that were."""
    if len(text) <= limit:
        return text, 0
    return around(text[: limit // 2], text[-(limit // 2) :], len(text))


def bounded(lines: Sequence[str], limit: int) -> tuple[list[str], int]:
    """The first of `lines` that fit in `limit` bytes, and how many were left out."""
    size = 0
    for index, line in enumerate(lines):
        size += _bytes(line) + 1
        if size > limit:
            return list(lines[:index]), len(lines) - index
    return list(lines), 0


def _bytes(text: str) -> int:
    """How long `text` is in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def plural(count: int, noun: str) -> str:
    """`count` of `noun` in words: "1 line", "2 lines", "3 matches"."""
    if count == 1:
        return f"1 {noun}"
    return f"{count:,} {noun}{'es' if noun.endswith(('s', 'x', 'ch')) else 's'}"
