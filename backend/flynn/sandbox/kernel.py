"""The C library as the launcher calls it: system calls that Python does not offer, with their errors.

Part of the launcher (see `flynn.sandbox.launcher`): the standard library only, and few modules of that.
The numbers of system calls here are the same on x86_64 and aarch64.
"""

import ctypes
import os
import time

_NR_CLOSE_RANGE = 436
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
