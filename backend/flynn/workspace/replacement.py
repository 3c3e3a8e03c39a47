"""Writing a file whole or not at all.

The new content goes into a temporary file beside the old one and takes its name in one rename, so a
reader sees the old file or the new one and a crash leaves one of them. Mode and owner are kept; hard
links are broken, as they are by every editor that writes this way.
"""

import errno
import os
import re
import secrets
import stat
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from flynn.domain.errors import WorkspaceError
from flynn.telemetry.crash_point import reach
from flynn.workspace.entry import Entry, digest
from flynn.workspace.fence import Fence
from flynn.workspace.path import ContentChanged, PathMissing, join, protected, refusing, split
from flynn.workspace.quota import growth
from flynn.workspace.root import Workspace

_STALE = re.compile(r"\.flynn-[0-9a-f]{16}\.tmp")
_STALE_SECONDS = 3_600.0
_LOOKED_AT = 4_096
"""Names of a directory that are looked at for what a lost worker left in it."""
_UNUSED_MODE = 0o666
_PRIVATE_MODE = 0o600


@dataclass(frozen=True, slots=True)
class Replaced:
    """What was written: the resolved path relative to the workspace, and the new content's sha256."""

    path: str
    sha256: str


@dataclass(slots=True)
class _Target:
    """Where to write: an open directory, a name in it, and the file of that name if there is one."""

    parent: Entry
    name: str
    status: os.stat_result | None

    @property
    def path(self) -> str:
        return join(self.parent.path, self.name)


def replace(workspace: Workspace, path: str, data: bytes, *, expected: str | None, fence: Fence) -> Replaced:
    """Make `data` the content of `path`; create missing directories.

    `expected` is the sha256 of the content that may be replaced, None when there must be no such file:
    anything else raises ContentChanged. `fence` is checked right before the rename. Raises
    WorkspaceError for what cannot or must not be written, a failing disk and a full workspace included,
    and LeaseLost from the fence; in each case the old content stands. Blocks on the disk: run it in a thread.
    """
    with refusing(path):
        target = _find(workspace, path, create=expected is None)
        more = growth(len(data), target.status)
        try:
            workspace.admit(target.path, more)
        except BaseException:
            target.parent.close()
            raise
        written = _replace(target, data, expected, fence)
        workspace.grew(more)
        return written


def refuse_protected(path: str) -> None:
    """Raise WorkspaceError when the resolved relative `path` must not be written."""
    if protected(path):
        raise WorkspaceError(
            f"{path} is protected: git's hooks and configuration decide what git runs, "
            "so they are not written by tools. Leave this change to a person."
        )


def _replace(target: _Target, data: bytes, expected: str | None, fence: Fence) -> Replaced:
    with target.parent:
        _permit(target)
        directory = target.parent.fileno()
        _remove_stale(target.parent)
        temporary = f".flynn-{secrets.token_hex(8)}.tmp"
        _stage(target, temporary, data)
        reach("file.staged")
        try:
            _check_unchanged(target, expected)
            fence.check()
            if expected is None:
                _appear(directory, temporary, target)
            else:
                os.rename(temporary, target.name, src_dir_fd=directory, dst_dir_fd=directory)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=directory)
            raise
        reach("file.renamed")
        _sync_directory(target.parent)
        return Replaced(target.path, digest(data))


def _remove_stale(parent: Entry) -> None:
    """Remove what a worker left in this directory that was killed between staging and renaming.

    Only files of our own pattern that nobody has touched for an hour: no write takes that long.
    """
    before = datetime.now(UTC).timestamp() - _STALE_SECONDS
    with suppress(WorkspaceError):
        for child in islice(parent.children(), _LOOKED_AT):
            if _STALE.fullmatch(child.name):
                with suppress(OSError):
                    status = child.stat(follow_symlinks=False)
                    if stat.S_ISREG(status.st_mode) and status.st_mtime < before:
                        os.unlink(child.name, dir_fd=parent.fileno())


def _find(workspace: Workspace, path: str, *, create: bool) -> _Target:
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
            return _target(workspace.locate(directory), name)
    except PathMissing:
        if not create:
            raise
    directory, name = split(wanted)
    if not name:
        raise WorkspaceError(f"{wanted} names a directory; add the name of the file to write.")
    return _target(_make_directories(workspace, directory, name), name)


def _target(parent: Entry, name: str) -> _Target:
    try:
        status = os.stat(name, dir_fd=parent.fileno(), follow_symlinks=False)
    except FileNotFoundError:
        status = None
    except BaseException:
        parent.close()
        raise
    return _Target(parent, name, status)


def _permit(target: _Target) -> None:
    refuse_protected(target.path)
    if target.status is not None and stat.S_ISLNK(target.status.st_mode):
        raise WorkspaceError(f"{target.path} is a symbolic link to something that does not exist.")
    if target.status is not None and not stat.S_ISREG(target.status.st_mode):
        raise ContentChanged(f"{target.path} is no longer a regular file.")


def _make_directories(workspace: Workspace, directory: str, name: str) -> Entry:
    """Hold `directory`, making what is missing of it, each step beneath the workspace."""
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
    while missing:
        with parent:
            refuse_protected(join(parent.path, "/".join((*reversed(missing), name))))
            last = missing.pop()
            _make_directory(parent, last)
            parent = workspace.locate(join(parent.path, last))
    return parent


def _make_directory(parent: Entry, name: str) -> None:
    try:
        os.mkdir(name, dir_fd=parent.fileno())
    except FileExistsError:
        status = os.stat(name, dir_fd=parent.fileno(), follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            return
        raise WorkspaceError(f"{join(parent.path, name)} leads to something that does not exist.") from None
    owner = _owner_beneath(parent)
    if owner is not None:
        os.chown(name, *owner, dir_fd=parent.fileno(), follow_symlinks=False)


def _owner_beneath(directory: Entry) -> tuple[int, int] | None:
    """Who shall own what this process creates in `directory`, or None for whoever creates it.

    A server that runs as root gives commands a uid of their own, which owns the workspace: what root
    creates there must belong to that uid, or the commands could not change it.
    """
    return (directory.status.st_uid, directory.status.st_gid) if os.geteuid() == 0 else None


def _stage(target: _Target, temporary: str, data: bytes) -> None:
    """Write `data` to the disk under a name that nobody else uses."""
    directory = target.parent.fileno()
    mode = _UNUSED_MODE if target.status is None else _PRIVATE_MODE
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    sink = os.open(temporary, flags, mode, dir_fd=directory)
    try:
        try:
            _take_over(sink, target)
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(sink, rest) :]
            os.fsync(sink)
        finally:
            os.close(sink)
    except BaseException:
        os.unlink(temporary, dir_fd=directory)
        raise


def _take_over(sink: int, target: _Target) -> None:
    """Give the new file the owner and the mode of the one it replaces."""
    old = target.status
    if old is None:
        owner = _owner_beneath(target.parent)
        if owner is not None:
            os.fchown(sink, *owner)
        return
    mode = stat.S_IMODE(old.st_mode)
    mine = os.fstat(sink)
    if (mine.st_uid, mine.st_gid) != (old.st_uid, old.st_gid):
        try:
            os.fchown(sink, old.st_uid, old.st_gid)
        except PermissionError:
            # Only root gives files away. The file becomes ours, as with every editor, but it must not
            # lend our identity to whoever runs it.
            mode &= ~(stat.S_ISUID | stat.S_ISGID)
    os.fchmod(sink, mode)


def _check_unchanged(target: _Target, expected: str | None) -> None:
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


def _appear(directory: int, temporary: str, target: _Target) -> None:
    """Give the staged file its name unless the name is taken: link(2) never replaces, rename(2) does."""
    try:
        os.link(temporary, target.name, src_dir_fd=directory, dst_dir_fd=directory, follow_symlinks=False)
    except FileExistsError:
        raise ContentChanged(f"{target.path} was created meanwhile.") from None
    except OSError as error:
        # What file systems without hard links say: vfat and some network ones, link(2).
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP):
            raise
        os.rename(temporary, target.name, src_dir_fd=directory, dst_dir_fd=directory)
        return
    os.unlink(temporary, dir_fd=directory)


def _sync_directory(parent: Entry) -> None:
    source = os.open(f"/proc/self/fd/{parent.fileno()}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(source)
    except OSError as error:
        # Some file systems (FUSE, network) cannot flush a directory: EINVAL, fsync(2).
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(source)
