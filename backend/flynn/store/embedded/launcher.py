"""Becomes a PostgreSQL program that ends with the service. Run as a script, never imported.

    python -I -S launcher.py PARENT SIGNAL ACCOUNT PROGRAM ARGUMENT…

PARENT is the pid of the service, SIGNAL the number that this process is sent when the service's spawning
thread ends (PR_SET_PDEATHSIG, prctl(2)), ACCOUNT `uid:gid` to become first, or empty. A process of its
own does this instead of a `preexec_fn`, which may deadlock in a process with threads. The order matters:
a change of user clears the signal, and a service that died before it was set is seen by its pid.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def become(parent: int, death_signal: int, account: str, command: list[str]) -> None:
    """Drop to `account`, tie this process to `parent`, then execute `command`. Never returns.

    Raises OSError when the account cannot be taken or the program cannot be executed.
    """
    if account:
        user, group = (int(part) for part in account.split(":"))
        os.setgroups([])
        os.setresgid(group, group, group)
        os.setresuid(user, user, user)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        sys.exit("the service ended before its server began")
    os.umask(0o077)
    # Python ignores these; an exec would hand that on.
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.execv(command[0], command)  # noqa: S606 # no shell is wanted; the caller names an absolute program


if __name__ == "__main__":
    try:
        become(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
    except OSError as error:
        sys.exit(f"cannot run {sys.argv[4]}: {error.strerror}")
