"""Guesses at what was meant: names and lines that are like what was asked for."""

import time
from collections.abc import Sequence
from difflib import SequenceMatcher

from flynn.domain.errors import WorkspaceError
from flynn.workspace.path import PathMissing, join, split
from flynn.workspace.root import Workspace

_MANY = 5_000
_SHOWN = 5
_WIDTH = 200
_PATIENCE_SECONDS = 0.1
"""A comparison takes quadratic time, and whoever makes the names and lines chooses how often."""


def closest(wanted: str, candidates: Sequence[str], count: int, cutoff: float) -> list[int]:
    """The places in `candidates` of those most like `wanted`, best first, at most `count`.

    `cutoff` is the least likeness (0 to 1). Only so much time is spent: what comes late in a long list
    of long candidates may not be looked at.
    """
    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(wanted[:_WIDTH])
    found: list[tuple[float, int]] = []
    end = time.monotonic() + _PATIENCE_SECONDS
    for place, candidate in enumerate(candidates):
        matcher.set_seq1(candidate[:_WIDTH])
        if matcher.real_quick_ratio() >= cutoff and matcher.quick_ratio() >= cutoff:
            ratio = matcher.ratio()
            if ratio >= cutoff:
                found.append((-ratio, place))
        if time.monotonic() > end:
            break
    return [place for _, place in sorted(found)[:count]]


def missing(workspace: Workspace, path: str, cwd: str, *, seen_as: str | None = None) -> str:
    """Say that `path` does not exist, how far it does, and which names are near.

    `seen_as` is the root's absolute name where paths are shown with it.
    """
    wanted = workspace.relative(path).rstrip("/")
    if cwd != "." and not path.startswith("/") and workspace.exists(join(cwd, wanted)):
        return (
            f"{wanted} does not exist. Paths start at the workspace's root, not where Bash is: "
            f"use {join(cwd, wanted)}."
        )
    directory, name = split(wanted)
    while not workspace.exists(directory) and directory != ".":
        directory, name = split(directory)
    above = f"{seen_as}/" if seen_as else ""
    where = seen_as or "the workspace" if directory == "." else above + directory
    first_missing = join(directory, name)
    said = f"{above}{wanted} does not exist"
    if first_missing != wanted:
        said += f": there is no {above}{first_missing}"
    names = _names(workspace, directory)
    near = _near(name, names)
    if near:
        return f"{said}. Near names in {where}: {', '.join(near)}."
    if names and len(names) <= _SHOWN * 4:
        return f"{said}. In {where} there are: {', '.join(names)}."
    return f"{said}. Find the right path with Glob."


def _names(workspace: Workspace, directory: str) -> list[str]:
    try:
        with workspace.locate(directory) as entry:
            return entry.names(_MANY)
    except (WorkspaceError, PathMissing):
        return []


def _near(name: str, names: list[str]) -> list[str]:
    folded = [candidate.rstrip("/").casefold() for candidate in names]
    wanted = name.casefold()
    stem = wanted.rsplit(".", 1)[0]
    same_stem = [place for place, key in enumerate(folded) if stem and key.rsplit(".", 1)[0] == stem]
    places = dict.fromkeys((*closest(wanted, folded, _SHOWN, 0.6), *same_stem))
    return [names[place] for place in places][:_SHOWN]
