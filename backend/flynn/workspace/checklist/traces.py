"""Traces in text: the first place in some files where a pattern is found, comments left out."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from flynn.workspace.checks.source import Sources

_COMMENT = re.compile(r"^\s*(?:#|//|--|/\*|\*\s)")
_LONGEST_LINE = 2_000
"""Characters of a line that are looked at: longer ones were not written by hand."""


@dataclass(frozen=True, slots=True)
class Trace:
    """A line in which a pattern was found."""

    path: str
    line: int
    text: str


def traces(
    sources: Sources, paths: Iterable[str], pattern: re.Pattern[str], words: Iterable[str]
) -> Iterator[Trace]:
    """The lines of `paths` that `pattern` is found in. `words` are some of which a file holds at least one if
    there is a trace in it: most files are done with after a search for these.
    """
    known = tuple(words)
    for path in paths:
        text = sources.text(path)
        if text is None or not any(word in text for word in known):
            continue
        for number, line in enumerate(text.split("\n"), 1):
            short = line[:_LONGEST_LINE]
            if any(word in short for word in known) and not _COMMENT.match(short) and pattern.search(short):
                yield Trace(path, number, short.strip())
