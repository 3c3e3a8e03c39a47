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
from flynn.workspace.path import ContentChanged, refusing
from flynn.workspace.quota import growth
from flynn.workspace.root import Workspace
from flynn.workspace.target import (
    Target,
    check_unchanged,
    find_target,
    owner_beneath,
    permit,
    sync_directory,
)

_STALE = re.compile(r"\.flynn-[0-9a-f]{16}\.tmp")
_STALE_SECONDS = 3_600.0
_LOOKED_AT = 4_096
"""Names of a directory that are looked at for what a lost worker left in it."""
_UNUSED_MODE = 0o666
_PRIVATE_MODE = 0o600


@dataclass(frozen=True, slots=True)
class Replaced:
    """What was written: the resolved path relative to the workspace, and the new content's sha256.

    Modes are permission bits, `mode_before` None for a new file. `made` counts the innermost directories
    above the file that were made for it.
    """

    path: str
    sha256: str
    mode_before: int | None
    mode: int
    made: int = 0


def replace(workspace: Workspace, path: str, data: bytes, *, expected: str | None, fence: Fence) -> Replaced:
    """Make `data` the content of `path`; create missing directories.

    `expected` is the sha256 of the content that may be replaced, None when there must be no such file:
    anything else raises ContentChanged. `fence` is checked right before the rename. Raises
    WorkspaceError for what cannot or must not be written, a failing disk and a full workspace included,
    and LeaseLost from the fence; in each case the old content stands. Blocks on the disk: run it in a thread.
    """
    with refusing(path):
        target = find_target(workspace, path, create=expected is None)
        more = growth(len(data), target.status)
        with target.parent:
            workspace.admit(target.path, more)
            written = put(target, data, expected=expected, fence=fence)
        workspace.grew(more)
        return written


def put(target: Target, data: bytes, *, expected: str | None, fence: Fence, flipped: int = 0) -> Replaced:
    """Make `data` the content of `target`, which its caller holds; raises what `replace` raises.

    The file keeps its mode but for the permission bits in `flipped`, which are turned over.
    """
    permit(target)
    directory = target.parent.fileno()
    _remove_stale(target.parent)
    temporary = f".flynn-{secrets.token_hex(8)}.tmp"
    mode = _stage(target, temporary, data, flipped)
    reach("file.staged")
    try:
        check_unchanged(target, expected)
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
    sync_directory(target.parent)
    before = stat.S_IMODE(target.status.st_mode) if target.status is not None else None
    return Replaced(target.path, digest(data), before, mode, target.made)


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


def _stage(target: Target, temporary: str, data: bytes, flipped: int) -> int:
    """Write `data` to the disk under a name that nobody else uses; gives the file's permission bits."""
    directory = target.parent.fileno()
    mode = _UNUSED_MODE if target.status is None else _PRIVATE_MODE
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    sink = os.open(temporary, flags, mode, dir_fd=directory)
    try:
        try:
            _take_over(sink, target, flipped)
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(sink, rest) :]
            os.fsync(sink)
            return stat.S_IMODE(os.fstat(sink).st_mode)
        finally:
            os.close(sink)
    except BaseException:
        os.unlink(temporary, dir_fd=directory)
        raise


def _take_over(sink: int, target: Target, flipped: int) -> None:
    """Give the new file the owner and the mode of the one it replaces."""
    old = target.status
    if old is None:
        owner = owner_beneath(target.parent)
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
    os.fchmod(sink, mode ^ flipped)


def _appear(directory: int, temporary: str, target: Target) -> None:
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
