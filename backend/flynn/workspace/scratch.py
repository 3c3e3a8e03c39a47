"""A conversation's private directory, outside the workspace: /tmp of its commands.

Commands own what is in it, so nothing here follows a link or trusts a name, a size or a depth.
"""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from uuid import UUID

from flynn.domain.errors import WorkspaceError

NOTE = ".flynn-cwd-"
"""How the names of notes begin that a command leaves for us."""
_LOOKED_AT = 4_096
"""Names of a directory that are looked at; a command may have made any number."""


def create_scratch(base: Path, conversation: UUID) -> Path:
    """Make the scratch directory of `conversation` in `base`, mode 0711, or find the one made before.

    `base` is made too, mode 0700: nobody gets as far as the scratch. Inside a sandbox it is /tmp and belongs
    to the workspace's owner; what sets the sandbox up must still pass through it to a workspace beneath
    /tmp. One that is found counts as used now (see `sweep_scratches`), and notes that a lost worker's
    command left in it go. Raises WorkspaceError when somebody else put something in its place.
    """
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = base / str(conversation)
    try:
        path.mkdir(mode=0o711)
    except FileExistsError:
        if not stat.S_ISDIR(path.lstat().st_mode):
            raise WorkspaceError(f"The scratch {path} is not a directory; remove it.") from None
        with suppress(OSError):  # a command may have locked us out: then it is as it is
            _take_up(path)
    return path


def sweep_scratches(base: Path, *, unused_seconds: float, most: int, now: float | None = None) -> int:
    """Remove scratch directories in `base` that were not taken up for so long; at most `most` of them.

    Returns how many went. The change time tells, which a command cannot set. What resists stays for
    another time. Blocks on the disk: run it in a thread.
    """
    now = datetime.now(UTC).timestamp() if now is None else now
    gone = 0
    with suppress(FileNotFoundError), os.scandir(base) as entries:
        for entry in entries:
            if gone >= most:
                break
            with suppress(OSError):
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode) and now - status.st_ctime > unused_seconds:
                    remove_scratch(base / entry.name)
                    gone += 1
    return gone


def read_note(scratch: Path, name: str, limit: int) -> bytes | None:
    """Take the small file `name` that a command left in `scratch`, and remove it.

    None when there is none, or it is no regular file, or longer than `limit` bytes, or the command has
    locked us out.
    """
    try:
        with _directory(scratch) as directory:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            source = os.open(name, flags, dir_fd=directory)
            try:
                if not stat.S_ISREG(os.fstat(source).st_mode):
                    return None
                os.unlink(name, dir_fd=directory)
                data = os.read(source, limit + 1)
            finally:
                os.close(source)
    except OSError:
        return None
    return data if len(data) <= limit else None


def drop_note(scratch: Path, name: str) -> None:
    """Remove what a killed command left in `scratch` in the place of its note; a full directory stays."""
    with suppress(OSError), _directory(scratch) as directory:
        _drop(directory, name)


def remove_scratch(scratch: Path) -> None:
    """Remove the scratch and all that is in it, however deep: needs two descriptors, not a stack.

    Raises OSError when something resists.
    """
    with _directory(scratch) as top:
        while names := _names(top):
            for name in names:
                _remove(top, name)
    scratch.rmdir()


def _take_up(scratch: Path) -> None:
    with _directory(scratch) as directory:
        os.utime(directory)
        with os.scandir(directory) as entries:
            left = [entry.name for entry in islice(entries, _LOOKED_AT) if entry.name.startswith(NOTE)]
        for name in left:
            _drop(directory, name)


def _drop(directory: int, name: str) -> None:
    """Remove `name`, unless it is a directory with something in it."""
    with suppress(OSError):
        try:
            os.unlink(name, dir_fd=directory)
        except IsADirectoryError:
            os.rmdir(name, dir_fd=directory)


def _remove(top: int, name: str) -> None:
    """Remove `name` from `top`; what is in a directory's directories moves up into `top` instead."""
    if not stat.S_ISDIR(os.stat(name, dir_fd=top, follow_symlinks=False).st_mode):
        os.unlink(name, dir_fd=top)
        return
    os.chmod(name, 0o700, dir_fd=top)
    inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=top)
    try:
        for child in _names(inner):
            if stat.S_ISDIR(os.stat(child, dir_fd=inner, follow_symlinks=False).st_mode):
                os.chmod(child, 0o700, dir_fd=inner)
                os.rename(child, f"flynn-{secrets.token_hex(8)}", src_dir_fd=inner, dst_dir_fd=top)
            else:
                os.unlink(child, dir_fd=inner)
    finally:
        os.close(inner)
    os.rmdir(name, dir_fd=top)


def _names(directory: int) -> list[str]:
    with os.scandir(directory) as entries:
        return [entry.name for entry in entries]


@contextmanager
def _directory(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
