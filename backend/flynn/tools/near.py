"""Guesses at what was meant when a path leads nowhere."""

import difflib

from flynn.domain.errors import WorkspaceError
from flynn.workspace.path import PathMissing, join, split
from flynn.workspace.root import Workspace

_MANY = 5_000
_SHOWN = 5


def missing(workspace: Workspace, path: str, cwd: str) -> str:
    """Say that `path` does not exist, how far it does, and which names are near."""
    wanted = workspace.relative(path).rstrip("/")
    if cwd != "." and not path.startswith("/") and workspace.exists(join(cwd, wanted)):
        return (
            f"{wanted} does not exist. Paths start at the workspace's root, not where Bash is: "
            f"use {join(cwd, wanted)}."
        )
    directory, name = split(wanted)
    while not workspace.exists(directory) and directory != ".":
        directory, name = split(directory)
    where = "the workspace" if directory == "." else directory
    first_missing = join(directory, name)
    said = f"{wanted} does not exist"
    if first_missing != wanted:
        said += f": there is no {first_missing}"
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
    folded = {candidate.rstrip("/").casefold(): candidate for candidate in names}
    wanted = name.casefold()
    stem = wanted.rsplit(".", 1)[0]
    close = difflib.get_close_matches(wanted, folded, n=_SHOWN, cutoff=0.6)
    same_stem = [key for key in folded if stem and key.rsplit(".", 1)[0] == stem]
    return [folded[key] for key in dict.fromkeys((*close, *same_stem))][:_SHOWN]
