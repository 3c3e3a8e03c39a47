"""What a sandboxed process must not be able to do, tried from inside. Stand-alone, standard library only.

Run as `python -I -S -c SOURCE WORKSPACE SECRET_FILE WRITABLE_DIRECTORY TCP_PORT UNIX_SOCKET SERVER_PID`.
Prints the name of each canary that got out, then "done". Each canary returns when it got out and raises
when it was stopped; whether the file WRITABLE_DIRECTORY/planted appeared, only the outside can tell.
"""

import ctypes
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

_CLONE_NEWUSER = 0x10000000
_PR_GET_SECCOMP, _PR_GET_NO_NEW_PRIVS, _SECCOMP_FILTER = 21, 39, 2
_AF_VSOCK, _NR_IO_URING_SETUP = 40, 425
_libc = ctypes.CDLL(None, use_errno=True)


def _read(path: str) -> None:
    Path(path).read_bytes()


def _write(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY))


def _create(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))


def _dial(family: int, address: object) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(0.5)
        connection.connect(address)  # type: ignore[arg-type]  # the family decides the address's type


def _refused(stopped: bool) -> None:
    if stopped:
        raise PermissionError


def _other(pid: int) -> int:
    """In a pid namespace of its own the service's number may by chance be this process or its parent."""
    if pid in (os.getpid(), os.getppid()):
        raise ProcessLookupError(pid)
    return pid


def canaries(arguments: list[str]) -> dict[str, Callable[[], None]]:
    """All canaries by name."""
    secret, directory, port, unix_socket, server = arguments
    pid = int(server)
    return {
        "read a file outside": lambda: _read(secret),
        "create a file in the service's directory": lambda: _create(f"{directory}/planted"),
        "create a file in /usr": lambda: _create("/usr/.flynn-canary"),
        "reach a loopback listener": lambda: _dial(socket.AF_INET, ("127.0.0.1", int(port))),
        "reach a unix socket": lambda: _dial(socket.AF_UNIX, unix_socket),
        "read the service's environment": lambda: _read(f"/proc/{_other(pid)}/environ"),
        "signal the service": lambda: os.kill(_other(pid), 0),
        "make a user namespace": lambda: _refused(_libc.unshare(_CLONE_NEWUSER) != 0),
        "write to /proc/sys": lambda: _write("/proc/sys/kernel/core_pattern"),
        "set up io_uring": lambda: _refused(_libc.syscall(_NR_IO_URING_SETUP, 1, bytes(256)) < 0),
        "open a vsock": lambda: socket.socket(_AF_VSOCK, socket.SOCK_STREAM).close(),
        "gain privileges": lambda: _refused(_libc.prctl(_PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1),
        "escape the filter": lambda: _refused(_libc.prctl(_PR_GET_SECCOMP, 0, 0, 0, 0) == _SECCOMP_FILTER),
    }


def main() -> None:
    """Try each; then show that the workspace itself can be written."""
    for name, canary in canaries(sys.argv[2:]).items():
        try:
            canary()
        except (OSError, ValueError):
            continue
        if not name.startswith("create a file in the"):
            print(name)  # noqa: T201 - the answer
    _create(f"{sys.argv[1]}/written")
    print("done")  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
