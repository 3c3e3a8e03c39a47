"""Traces in text: the places in some files where a pattern is found, outside of comments, of documents in the
code, and of patterns: what only looks for a thing is not the thing.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from flynn.workspace.checklist.literals import Literals, Piece
from flynn.workspace.checks.source import Sources

_COMMENT = re.compile(r"^\s*(?:#|//|--|/\*|\*\s)")
_LONGEST_LINE = 2_000
"""Characters of a line that are looked at: longer ones were not written by hand."""
_MOST_IN_A_LINE = 20


@dataclass(frozen=True, slots=True)
class Trace:
    """A line in which a pattern was found."""

    path: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a pattern was found, for whoever knows whether it counts there: in `line`, from `start` to
    `stop`, within `piece`, in a file with the text `whole` and these `literals`.
    """

    whole: str
    literals: Literals
    line: str
    start: int
    stop: int
    piece: Piece


def _anywhere(_place: Place) -> bool:
    return True


def traces(
    sources: Sources,
    paths: Iterable[str],
    pattern: re.Pattern[str],
    words: Iterable[str],
    *,
    counts: Callable[[Place], bool] = _anywhere,
) -> Iterator[Trace]:
    """The lines of `paths` that `pattern` is found in, where it `counts`. `words` are some of which a file
    holds at least one if there is a trace in it: most files are done with after a search for these.
    """
    known = tuple(words)
    for path in paths:
        text = sources.text(path)
        if text is None or not any(word in text for word in known):
            continue
        literals: Literals | None = None
        offset = 0
        for number, line in enumerate(text.split("\n"), 1):
            short = line[:_LONGEST_LINE]
            if any(word in short for word in known) and not _COMMENT.match(short):
                for found in islice(pattern.finditer(short), _MOST_IN_A_LINE):
                    literals = literals or Literals(text, path)
                    piece = literals.at(offset + found.start())
                    place = Place(text, literals, short, found.start(), found.end(), piece)
                    if piece.kind not in ("pattern", "comment") and counts(place):
                        yield Trace(path, number, short.strip())
                        break
            offset += len(line) + 1
