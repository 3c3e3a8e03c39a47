"""Opening a path beneath a directory, and nowhere else, whoever moves things meanwhile.

`openat2` (Linux 5.6, openat2(2)) resolves a path in the kernel and fails with EXDEV the moment it would
leave the starting directory. Where the call is missing (ENOSYS, or EPERM from an old seccomp profile),
`walk` does the same in steps: one component at a time, never following a link that it has not read itself.
Both return an O_PATH descriptor, which can neither block nor have a side effect, and raise OSError.
"""

import ctypes
import errno
import os
import stat
from typing import Protocol

_SYS_OPENAT2 = 437
"""One number on x86_64, aarch64 and every other architecture: calls added since 2019 share a table."""
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_BENEATH = 0x08
_MAX_LINKS = 40
"""As many symbolic links as the kernel follows in one path, path_resolution(7)."""
_MAX_RACES = 1_000
"""EAGAIN says that a rename raced with the resolution of `..`; nobody races that often by accident."""


class Opener(Protocol):
    """How a path is opened beneath a directory."""

    def __call__(self, root: int, path: str, *, follow: bool = True, directory: bool = False) -> int:
        """Open `path` beneath the directory `root` as O_PATH and return the descriptor.

        With `follow` false a symbolic link in the last place is opened itself. Raises OSError: EXDEV when
        the path leads out (absolute paths and absolute links always do), else what open(2) says.
        """


class _OpenHow(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


_libc = ctypes.CDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long
_syscall.argtypes = (
    ctypes.c_long,
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.POINTER(_OpenHow),
    ctypes.c_size_t,
)


def openat2(root: int, path: str, *, follow: bool = True, directory: bool = False) -> int:
    """Open as `Opener` says, in one system call."""
    name = os.fsencode(path)
    if b"\0" in name:
        raise OSError(errno.EINVAL, "a path cannot hold a NUL character", path)
    how = _OpenHow(_flags(follow=follow, directory=directory), 0, _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS)
    code = 0
    for _ in range(_MAX_RACES):
        descriptor = int(_syscall(_SYS_OPENAT2, root, name, ctypes.byref(how), ctypes.sizeof(how)))
        if descriptor >= 0:
            return descriptor
        code = ctypes.get_errno()
        if code not in (errno.EAGAIN, errno.EINTR):
            break
    raise OSError(code, os.strerror(code), path)


def walk(root: int, path: str, *, follow: bool = True, directory: bool = False) -> int:
    """Open as `Opener` says, component by component.

    `..` returns to the descriptor that the walk came from, so a directory that is moved meanwhile leads
    nowhere new.
    """
    if path.startswith("/"):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path)
    if not path:
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    if path.endswith(("/", "/.")):
        follow = directory = True
    pending = _components(path)
    trail = [os.dup(root)]
    links = 0
    try:
        while pending:
            name = pending.pop()
            if name == "..":
                if len(trail) == 1:
                    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path)
                os.close(trail.pop())
                continue
            wants_directory = bool(pending) or directory
            found = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=trail[-1])
            mode = os.fstat(found).st_mode
            if stat.S_ISLNK(mode) and (pending or follow):
                target = _target(found, path)
                links += 1
                if links > _MAX_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
                if target.endswith("/") and not pending:
                    directory = True
                pending.extend(_components(target))
                continue
            trail.append(found)
            if wants_directory and not stat.S_ISDIR(mode):
                raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        return trail.pop()
    finally:
        for descriptor in trail:
            os.close(descriptor)


def best_opener(root: int) -> Opener:
    """`openat2` where this kernel and its filters let us use it, else `walk`."""
    try:
        os.close(openat2(root, "."))
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.EPERM):
            return walk
        raise
    return openat2


def _flags(*, follow: bool, directory: bool) -> int:
    flags = os.O_PATH | os.O_CLOEXEC
    if not follow:
        flags |= os.O_NOFOLLOW
    if directory:
        flags |= os.O_DIRECTORY
    return flags


def _components(path: str) -> list[str]:
    """The components of a path, last one first, without the empty and the `.` ones."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]


def _target(link: int, path: str) -> str:
    """What the symbolic link behind the O_PATH descriptor `link` says; closes the descriptor."""
    try:
        target = os.readlink("", dir_fd=link)
    finally:
        os.close(link)
    if target.startswith("/"):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path)
    return target
