"""The target of a change: one name in one directory that is held open, and the file of that name.

Whatever is done to a file is done through the descriptor of its directory, by name and without following
a link, so that paths which are swapped meanwhile lead nowhere else.
"""

import errno
import os
import stat
from dataclasses import dataclass

from flynn.domain.errors import WorkspaceError
from flynn.workspace.entry import Entry
from flynn.workspace.path import ContentChanged, PathMissing, join, protected, split
from flynn.workspace.root import Workspace


@dataclass(slots=True)
class Target:
    """Where to write: an open directory, a name in it, and the file of that name if there is one.

    `made` counts the directories that were made for it: so many of the innermost ones above the file.
    """

    parent: Entry
    name: str
    status: os.stat_result | None
    made: int = 0

    @property
    def path(self) -> str:
        """The resolved path, relative to the workspace."""
        return join(self.parent.path, self.name)


def refuse_protected(path: str) -> None:
    """Raise WorkspaceError when the resolved relative `path` must not be written."""
    if protected(path):
        raise WorkspaceError(
            f"{path} is protected: git's hooks and configuration decide what git runs, "
            "so they are not written by tools. Leave this change to a person."
        )


def find_target(workspace: Workspace, path: str, *, create: bool) -> Target:
    """Where `path` is to be written: behind its links when it exists, else in its (made) directory."""
    wanted = workspace.relative(path)
    try:
        with workspace.locate(wanted) as existing:
            refuse_protected(existing.path)
            if not existing.is_file:
                raise WorkspaceError(f"{existing.path} is a {existing.kind}, not a regular file.")
            if not os.access(f"/proc/self/fd/{existing.fileno()}", os.W_OK, effective_ids=True):
                raise WorkspaceError(f"{existing.path} is read-only for this process.")
            directory, name = split(existing.path)
            return target_in(workspace.locate(directory), name)
    except PathMissing:
        if not create:
            raise
    directory, name = split(wanted)
    if not name:
        raise WorkspaceError(f"{wanted} names a directory; add the name of the file to write.")
    parent, made = _make_directories(workspace, directory, name)
    return target_in(parent, name, made)


def target_in(parent: Entry, name: str, made: int = 0) -> Target:
    """The target `name` in `parent`, which it takes over, and closes when there is none to be had."""
    try:
        status = os.stat(name, dir_fd=parent.fileno(), follow_symlinks=False)
    except FileNotFoundError:
        status = None
    except BaseException:
        parent.close()
        raise
    return Target(parent, name, status, made)


def permit(target: Target) -> None:
    """Raise WorkspaceError when the target must not be written, ContentChanged when it is no file now."""
    refuse_protected(target.path)
    if target.status is not None and stat.S_ISLNK(target.status.st_mode):
        raise WorkspaceError(f"{target.path} is a symbolic link to something that does not exist.")
    if target.status is not None and not stat.S_ISREG(target.status.st_mode):
        raise ContentChanged(f"{target.path} is no longer a regular file.")


def _make_directories(workspace: Workspace, directory: str, name: str) -> tuple[Entry, int]:
    """Hold `directory`, making what is missing of it, each step beneath the workspace; how many were."""
    missing: list[str] = []
    above = directory
    while True:
        try:
            parent = workspace.locate(above)
            break
        except PathMissing:
            above, last = split(above)
            if not last:
                raise WorkspaceError(f"{directory} does not exist; write the path without `..`.") from None
            missing.append(last)
    made = 0
    while missing:
        with parent:
            refuse_protected(join(parent.path, "/".join((*reversed(missing), name))))
            last = missing.pop()
            # One that somebody else made meanwhile is theirs, and so is what lies above it.
            made = made + 1 if _make_directory(parent, last) else 0
            parent = workspace.locate(join(parent.path, last))
    return parent, made


def _make_directory(parent: Entry, name: str) -> bool:
    """Make a directory; False when it was there by then."""
    try:
        os.mkdir(name, dir_fd=parent.fileno())
    except FileExistsError:
        status = os.stat(name, dir_fd=parent.fileno(), follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            return False
        raise WorkspaceError(f"{join(parent.path, name)} leads to something that does not exist.") from None
    owner = owner_beneath(parent)
    if owner is not None:
        os.chown(name, *owner, dir_fd=parent.fileno(), follow_symlinks=False)
    return True


def owner_beneath(directory: Entry) -> tuple[int, int] | None:
    """Who shall own what this process creates in `directory`, or None for whoever creates it.

    A server that runs as root gives commands a uid of their own, which owns the workspace: what root
    creates there must belong to that uid, or the commands could not change it.
    """
    return (directory.status.st_uid, directory.status.st_gid) if os.geteuid() == 0 else None


def check_unchanged(target: Target, expected: str | None) -> None:
    """Raise ContentChanged unless the target holds what has the sha256 `expected`; None: nothing."""
    if expected is None:
        if target.status is not None:
            raise ContentChanged(f"{target.path} exists already.")
        return
    if target.status is None:
        raise ContentChanged(f"{target.path} was removed meanwhile.")
    flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        held = os.open(target.name, flags, dir_fd=target.parent.fileno())
    except FileNotFoundError:
        raise ContentChanged(f"{target.path} was removed meanwhile.") from None
    with Entry(held, target.path, os.fstat(held)) as current:
        same = current.is_file and current.status.st_size == target.status.st_size
        if not same or current.read(target.status.st_size).sha256 != expected:
            raise ContentChanged(f"{target.path} was changed meanwhile.")


def sync_directory(parent: Entry) -> None:
    """Flush the names in a directory to the disk."""
    source = os.open(f"/proc/self/fd/{parent.fileno()}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(source)
    except OSError as error:
        # Some file systems (FUSE, network) cannot flush a directory: EINVAL, fsync(2).
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(source)
