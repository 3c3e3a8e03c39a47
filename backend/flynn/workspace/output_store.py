"""Whole outputs of commands, kept in the scratch where the agent can read them: /tmp/flynn-output inside.

Commands own the scratch and may put anything anywhere in it. So every step goes by descriptor, follows no
link, opens nothing but a regular file that was made just now, and looks at a bounded number of names.
"""

import os
import re
import stat
from contextlib import suppress
from itertools import islice
from pathlib import Path

from flynn.domain.errors import WorkspaceError

DIRECTORY = "flynn-output"
_SHOWN = f"/tmp/{DIRECTORY}"  # noqa: S108 - the sandbox's own /tmp
MOST_FILES = 50
MOST_BYTES = 256 * 1024 * 1024
"""What a conversation keeps; older outputs make room for new ones."""
LARGEST_FILE = 80_000_000
"""Bytes of one output: what a sandbox lets a command write, and what that writes while it is killed."""
_LOOKED_AT = 4_096
_OURS = re.compile(r"[bcr][0-9a-f]{10}\.txt")


def shown_path(name: str) -> str:
    """Where the output `name` is for the agent."""
    return f"{_SHOWN}/{name}.txt"


def create_output(scratch: Path, name: str, owner: tuple[int, int] | None) -> int:
    """Make the file of the output `name` and return a descriptor to write to; older ones make room.

    `owner` is the (uid, gid) that commands have where this process is root, else None. Raises
    WorkspaceError when something stands in the way. Blocks on the disk: run it in a thread.
    """
    try:
        parent = _open_directory(scratch)
        try:
            directory = _directory(parent, owner)
        finally:
            os.close(parent)
        try:
            _make_room(directory)
            return _create(directory, f"{name}.txt", owner)
        finally:
            os.close(directory)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise WorkspaceError(f"{_SHOWN} cannot be used: {reason}.") from error


def output_size(scratch: Path, name: str) -> int | None:
    """How many bytes of the output `name` are kept; None when it is not there or is something else."""
    with suppress(OSError):
        directory = _open_directory(scratch / DIRECTORY)
        try:
            status = os.stat(f"{name}.txt", dir_fd=directory, follow_symlinks=False)
            return status.st_size if stat.S_ISREG(status.st_mode) else None
        finally:
            os.close(directory)
    return None


def _open_directory(path: Path | str, beneath: int | None = None) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=beneath)


def _directory(scratch: int, owner: tuple[int, int] | None) -> int:
    fresh = True
    try:
        os.mkdir(DIRECTORY, 0o700, dir_fd=scratch)
    except FileExistsError:
        fresh = False
    directory = _open_directory(DIRECTORY, scratch)
    if fresh and owner is not None:
        os.fchown(directory, *owner)
    return directory


def _create(directory: int, name: str, owner: tuple[int, int] | None) -> int:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(name, flags, 0o600, dir_fd=directory)
    if owner is not None:
        os.fchown(descriptor, *owner)
    return descriptor


def _make_room(directory: int) -> None:
    """Remove the oldest outputs until another one fits, in number and in size."""
    with os.scandir(directory) as entries:
        names = [entry.name for entry in islice(entries, _LOOKED_AT + 1)]
    if len(names) > _LOOKED_AT:
        raise WorkspaceError(f"{_SHOWN} holds more than {_LOOKED_AT:,} names; remove them.")
    kept: list[tuple[float, int, str]] = []
    for name in names:
        with suppress(FileNotFoundError):
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
            if _OURS.fullmatch(name) and not stat.S_ISDIR(status.st_mode):
                kept.append((status.st_mtime, status.st_size, name))
    kept.sort()
    total = sum(size for _, size, _ in kept)
    left = len(kept)
    for _, size, name in kept:
        if left < MOST_FILES and total <= MOST_BYTES - LARGEST_FILE:
            return
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=directory)
        total, left = total - size, left - 1
