"""Pages of a directory for people: the entries in the order of their names, whatever their number.

Nothing is opened but the directory itself, so a FIFO or a device among the entries is only named.
"""

import heapq
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from flynn.domain.errors import WorkspaceError
from flynn.workspace.entry import Entry, kind_of
from flynn.workspace.path import join
from flynn.workspace.root import Workspace

MOST_ENTRIES = 200_000
"""Entries up to which a directory is listed: each page looks at all of them."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One entry. `path` is relative to the workspace, `size` in bytes for regular files."""

    name: str
    path: str
    kind: str
    size: int | None
    modified: float


@dataclass(frozen=True, slots=True)
class DirectoryPage:
    """Some entries, and the name (bytes) after which the next page begins; None at the end."""

    entries: list[Listed]
    cursor: bytes | None


def list_directory(workspace: Workspace, path: str, *, after: bytes | None, limit: int) -> DirectoryPage:
    """At most `limit` entries of the directory `path` whose names (bytes) come after `after`.

    Raises PathMissing, and WorkspaceError for what is no directory or holds too much. Blocks on the disk.
    """
    with workspace.locate(path) as directory:
        if not directory.is_directory:
            raise WorkspaceError(f"{directory.path} is a {directory.kind}, not a directory.")
        names = heapq.nsmallest(limit + 1, _names(directory, after))
        entries = [found for name in names[:limit] if (found := _look(directory, name)) is not None]
        return DirectoryPage(entries, names[limit - 1] if len(names) > limit else None)


def _names(directory: Entry, after: bytes | None) -> Iterator[bytes]:
    for count, entry in enumerate(directory.children()):
        if count >= MOST_ENTRIES:
            raise WorkspaceError(
                f"{directory.path} has more than {MOST_ENTRIES:,} entries, too many to list; name a "
                "directory or a file within it."
            )
        name = os.fsencode(entry.name)
        if after is None or name > after:
            yield name


def _look(directory: Entry, name: bytes) -> Listed | None:
    try:
        status = os.stat(name, dir_fd=directory.fileno(), follow_symlinks=False)
    except FileNotFoundError:
        return None
    shown = name.decode("utf-8", "replace")
    size = status.st_size if stat.S_ISREG(status.st_mode) else None
    return Listed(shown, join(directory.path, shown), kind_of(status.st_mode), size, status.st_mtime)
