"""Walking a workspace in process: by descriptor, never through a symbolic link."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from flynn.domain.errors import WorkspaceError
from flynn.workspace.path import join
from flynn.workspace.root import Workspace


@dataclass(frozen=True, slots=True)
class Leaf:
    """A regular file met on a walk: its path relative to the workspace, its mtime in nanoseconds."""

    path: str
    modified_ns: int


def walk(workspace: Workspace, directory: str, *, skip: frozenset[str]) -> Iterator[Leaf]:
    """Yield the regular files beneath `directory`, parents before children, names in order.

    Directories named in `skip` are left out, and so is what vanishes or may not be read meanwhile. Raises
    WorkspaceError when `directory` itself cannot be read.
    """
    with workspace.locate(directory) as top:
        pending = [top.path]
    first = True
    while pending:
        path = pending.pop()
        try:
            leaves, below = _look(workspace, path, skip)
        except WorkspaceError:
            if first:
                raise
            continue
        first = False
        yield from leaves
        pending.extend(reversed(below))


def _look(workspace: Workspace, path: str, skip: frozenset[str]) -> tuple[list[Leaf], list[str]]:
    leaves: list[Leaf] = []
    below: list[str] = []
    with workspace.locate(path, follow=False) as directory:
        for entry in directory.children():
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in skip:
                    below.append(join(directory.path, entry.name))
            elif entry.is_file(follow_symlinks=False):
                try:
                    modified = entry.stat(follow_symlinks=False).st_mtime_ns
                except FileNotFoundError:
                    continue
                leaves.append(Leaf(join(directory.path, entry.name), modified))
    return sorted(leaves, key=lambda leaf: leaf.path), sorted(below)


def newest_first(workspace: Workspace, paths: Iterable[str]) -> list[str]:
    """`paths` in the order of their mtimes, the newest first, by path where those are the same.

    What has gone meanwhile, is a link or leads out is left out.
    """
    by_directory: dict[str, list[str]] = {}
    for path in paths:
        directory, _, name = path.rpartition("/")
        by_directory.setdefault(directory, []).append(name)
    aged: list[tuple[int, str]] = []
    for directory, names in by_directory.items():
        aged += _aged(workspace, directory, names)
    aged.sort()
    return [path for _, path in aged]


def _aged(workspace: Workspace, directory: str, names: list[str]) -> list[tuple[int, str]]:
    """The path of each name behind its mtime in nanoseconds, negated. The directory is opened once."""
    before = directory + "/" if directory else ""
    aged: list[tuple[int, str]] = []
    try:
        with workspace.locate(directory or ".", follow=False) as entry:
            descriptor = entry.fileno()
            for name in names:
                try:
                    status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                except OSError:
                    continue  # gone since it was listed
                aged.append((-status.st_mtime_ns, before + name))
    except WorkspaceError:
        return []
    return aged
