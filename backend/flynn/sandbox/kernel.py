"""The C library as the launcher calls it: system calls that Python does not offer, with their errors.

Part of the launcher (see `flynn.sandbox.launcher`): the standard library only, and few modules of that.
The numbers of system calls here are the same on x86_64 and aarch64.
"""

import ctypes
import os
import time

_NR_CLOSE_RANGE, _NR_OPENAT2 = 436, 437
_RESOLVE_NO_MAGICLINKS, _RESOLVE_NO_SYMLINKS, _RESOLVE_BENEATH = 0x02, 0x04, 0x08
_PR_SET_DUMPABLE = 4
_EAGAIN = 11
_TRIES = 16
"""Of a resolution that a rename disturbs; the kernel asks to try again."""
_HIGHEST_DESCRIPTOR = 0x7FFFFFFF

libc = ctypes.CDLL(None, use_errno=True)

Fields = dict[str, list[str]]
"""A policy as the launcher reads it: the values of each field, in their order."""


class SetUpFailed(Exception):
    """A step of the set-up failed; nothing may be executed."""


def one(policy: Fields, field: str) -> str | None:
    """The first value of `field`."""
    values = policy.get(field)
    return values[0] if values else None


def check(result: int, what: str) -> int:
    """Hand `result` on; SetUpFailed with errno's words when it is negative."""
    if result < 0:
        raise SetUpFailed(f"{what}: {os.strerror(ctypes.get_errno())}")
    return result


def boot_time() -> float:
    """Seconds since boot, time asleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def close_descriptors(first: int, last: int = _HIGHEST_DESCRIPTOR) -> None:
    """Close every descriptor from `first` to `last`."""
    # os.closerange makes a call for each number where the C library of the build knew no close_range.
    if first > last or libc.syscall(_NR_CLOSE_RANGE, first, last, 0) == 0:
        return
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - pathlib costs milliseconds
        if first <= int(name) <= last:
            os.closerange(int(name), int(name) + 1)


def conceal() -> None:
    """Make this process undumpable: nobody of the same uid may read or write it through /proc."""
    check(libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0), "dumpable")


def take_rights_to_files(uid: int, gid: int) -> None:
    """Have this thread's rights to files, and no others, be those of `uid` and `gid`."""
    libc.setfsgid(gid)
    libc.setfsuid(uid)
    if libc.setfsgid(-1) != gid or libc.setfsuid(-1) != uid:
        raise SetUpFailed(f"the rights to files of uid {uid} could not be taken")
    conceal()  # a change of identity may undo it


def open_exactly(path: str) -> int:
    """A descriptor (O_PATH) of the absolute `path`, none of whose names may be a link by now."""
    flags = os.O_PATH | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC
    opened = os.open("/", flags)
    for name in path.strip("/").split("/"):
        above = opened
        try:
            opened = os.open(name or ".", flags, dir_fd=above)
        finally:
            os.close(above)
    return opened


def owner_of(policy: Fields) -> "tuple[int, int] | None":
    """Whom the command is to become, as (uid, gid)."""
    uid = one(policy, "uid")
    return (int(uid), int(one(policy, "gid") or uid)) if uid else None


def open_place(policy: Fields, path: str, *, exactly: bool) -> int:
    """A descriptor (O_PATH) of `path`, with one's own rights or else with those of the command's uid.

    Either may be able to walk where the other cannot. `exactly`: as `open_exactly`.
    """

    def opened() -> int:
        return open_exactly(path) if exactly else os.open(path, os.O_PATH | os.O_CLOEXEC)

    owner = owner_of(policy)
    try:
        return opened()
    except PermissionError:
        if owner is None:
            raise
    mine = os.geteuid(), os.getegid()
    take_rights_to_files(*owner)
    try:
        return opened()
    finally:
        take_rights_to_files(*mine)


def open_beneath(directory: int, path: bytes, flags: int, *, links: bool = False) -> int:
    """Open `path` beneath `directory`, whatever is exchanged meanwhile; `links` within it may be followed.

    Raises OSError: EXDEV where the path leads out, ELOOP at a link that may not be followed.
    """
    resolve = _RESOLVE_BENEATH | (_RESOLVE_NO_MAGICLINKS if links else _RESOLVE_NO_SYMLINKS)
    how = (ctypes.c_uint64 * 3)(flags | os.O_CLOEXEC, 0, resolve)
    for _ in range(_TRIES):
        opened: int = libc.syscall(_NR_OPENAT2, directory, path, how, ctypes.sizeof(how))
        if opened >= 0:
            return opened
        if ctypes.get_errno() != _EAGAIN:
            break
    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
