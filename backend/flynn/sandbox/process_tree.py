"""Trees of processes, as /proc shows them, and how to end one for sure.

Part of the launcher (see `flynn.sandbox.launcher`), and used by the worker where a supervisor does not
answer. Source: proc(5), pidfd_send_signal(2).
"""

import os

from flynn.sandbox.kernel import libc

_SIGKILL, _SIGSTOP = 9, 19
_NR_PIDFD_SEND_SIGNAL = 424


def _parent(pid: int) -> int | None:
    """The parent of a process that has not ended; a zombie that still has threads has not."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - pathlib costs milliseconds
            fields = file.read().rpartition(b")")[2].split()
        return None if fields[0] in b"ZX" and int(fields[17]) <= 1 else int(fields[1])
    except (OSError, IndexError, ValueError):
        return None


def descendants(ancestor: int) -> set[int]:
    """Every process beneath `ancestor` that has not ended, without `ancestor` itself."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - pathlib costs milliseconds
        if name.isdigit() and (parent := _parent(int(name))) is not None:
            children.setdefault(parent, []).append(int(name))
    found: set[int] = set()
    ahead = [ancestor]
    while ahead:
        for pid in children.get(ahead.pop(), []):
            if pid not in found:
                found.add(pid)
                ahead.append(pid)
    return found


def _send(pid: int, signal_number: int, family: set[int]) -> None:
    # The parent is looked at again through a pidfd, so that a recycled pid is never hit.
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return
    if _parent(pid) in family:
        libc.syscall(_NR_PIDFD_SEND_SIGNAL, handle, signal_number, None, 0)
    os.close(handle)


def kill_tree(ancestor: int) -> None:
    """Stop everything beneath `ancestor` until nothing new appears, then kill it all."""
    stopped: set[int] = set()
    while fresh := descendants(ancestor) - stopped:
        family = stopped | fresh | {ancestor}
        for pid in fresh:
            _send(pid, _SIGSTOP, family)
        stopped |= fresh
    for pid in stopped:
        _send(pid, _SIGKILL, stopped | {ancestor})
