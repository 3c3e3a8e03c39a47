"""Finding a piece of text in a file, and saying what is near when it is not there."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from flynn.tools.listing import numbered
from flynn.tools.near import closest

_STRAIGHT = str.maketrans("\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u00a0", "''''\"\"\"\" ")
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
    bare = _NUMBERED.sub("", wanted)
    if bare != wanted and find("\n".join(lines), bare):
        return "It is there without the line numbers that Read puts in front: leave them out."
    asked = wanted.strip("\n").split("\n")
    place = _loosely(lines, asked)
    if place is not None:
        return _difference(lines, place, asked)
    place = _closest(lines, asked)
    if place is not None:
        return f"The closest lines are:\n{_excerpt(lines, place, len(asked))}"
    return "Nothing in the file is like it: read the file again and copy the text from there."


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
    return " ".join(line.translate(_STRAIGHT).split())


def _difference(lines: Sequence[str], place: int, asked: Sequence[str]) -> str:
    """Say in what the lines at `place` and `asked`, loosely equal, are not equal."""
    said = f"There is nearly the same text:\n{_excerpt(lines, place, len(asked))}"
    for there, here in zip(lines[place : place + len(asked)], asked, strict=False):
        if there != here:
            kind = "quotes" if there.translate(_STRAIGHT) == here.translate(_STRAIGHT) else "whitespace"
            return (
                f"{said}\nIt differs in {kind}, first here:\n"
                f"in the file:  {there[:_WIDTH]!a}\nold_string:   {here[:_WIDTH]!a}"
            )
    return f"{said}\nIt differs in the line breaks at its ends."


def _closest(lines: Sequence[str], asked: Sequence[str]) -> int | None:
    key = max(range(len(asked)), key=lambda index: len(asked[index].strip()))
    near = closest(asked[key].strip(), [line.strip() for line in lines], 1, 0.6)
    return max(near[0] - key, 0) if near else None


def _excerpt(lines: Sequence[str], place: int, length: int) -> str:
    shown = lines[place : place + min(length, _SHOWN_LINES)]
    return numbered(shown, place + 1, limit=_SHOWN_BYTES).text
