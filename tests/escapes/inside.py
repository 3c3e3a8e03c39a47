"""What the Python source of an attempt finds in place when it runs, inside or out: the bare kernel.

This file's own text is put in front of such a source. Standard library only.
"""

import ctypes
import errno
import os
import platform
import sys
from collections.abc import Callable

X86 = platform.machine() == "x86_64"
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def call(x86: int, arm: int, *arguments: object) -> int:
    """Make a system call by its number; the result, or minus errno."""
    ctypes.set_errno(0)
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = libc.syscall(ctypes.c_long(x86 if X86 else arm), *words)
    if result < 0 and ctypes.get_errno() == errno.ENOSYS:
        os.write(2, b"the kernel has no such call\n")
    return -ctypes.get_errno() if result < 0 else int(result)


def survey(calls: "list[tuple[str, tuple[int, int], Callable[[], tuple[object, ...]]]]") -> None:
    """Make each call in a child of its own; print `name<TAB>errno`, or the signal that ended it."""
    for name, (x86, arm), arguments in calls:
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            libc.alarm(3)
            try:
                code = max(-call(x86, arm, *arguments()), 0)
            except BaseException as error:
                os.write(2, f"{name}: {error!r}\n".encode())
                code = 255
            os._exit(code)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(f"{name}\t{status}")
