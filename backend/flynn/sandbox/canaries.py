"""What a sandboxed process must not be able to do, tried from inside. Stand-alone, standard library only.

Run as `python -I -S -c SOURCE WORKSPACE SECRET_FILE WRITABLE_DIRECTORY TCP_PORT UNIX_SOCKET
DATAGRAM_SOCKET ABSTRACT_NAME SERVER_PID`. Prints for each canary "out NAME" or "stopped NAME", for each
thing that ought to work and does not "lost NAME", then "done". Each canary returns when it got out and
raises when it was stopped; whether the file WRITABLE_DIRECTORY/planted appeared, only the outside can tell.
None of them does harm where it gets out: the same is run without a sandbox, as the control.
"""

import ctypes
import os
import platform
import socket
import sys
from collections.abc import Callable
from pathlib import Path

_X86 = platform.machine() == "x86_64"
_CLONE_NEWUSER, _AT_FDCWD = 0x10000000, -100
_PR_GET_SECCOMP, _PR_GET_NO_NEW_PRIVS, _SECCOMP_FILTER = 21, 39, 2
_AF_VSOCK, _NR_IO_URING_SETUP, _NR_OPEN_TREE, _NR_PIDFD_GETFD = 40, 425, 428, 438
_NR_KEYCTL, _NR_BPF, _NR_NAME_TO_HANDLE_AT = (250, 321, 303) if _X86 else (219, 280, 264)
_PTRACE_SEIZE, _KEYRING_OF_SESSION, _BPF_MAP = 0x4206, -3, (2, 4, 4, 1)
_libc = ctypes.CDLL(None, use_errno=True)


def _read(path: str) -> None:
    with Path(path).open("rb") as file:
        file.read(1)


def _write(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY))


def _create(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))


def _create_for_a_moment(path: str) -> None:
    _create(path)
    Path(path).unlink()


def _dial(family: int, address: object) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(0.5)
        connection.connect(address)  # type: ignore[arg-type]  # the family decides the address's type


def _send(address: str) -> None:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with one, other:
        one.sendto(b".", address)


def _refused(stopped: bool) -> None:
    if stopped:
        raise PermissionError


def _call(number: int, *arguments: object) -> int:
    result: int = _libc.syscall(number, *arguments)
    _refused(result < 0)
    return result


def _apart(attempt: Callable[[], None]) -> None:
    """Run in a child: what it would change of its process must not touch the canaries that follow."""
    child = os.fork()
    if child == 0:
        try:
            attempt()
        except BaseException:
            os._exit(1)
        os._exit(0)
    _refused(os.waitpid(child, 0)[1] != 0)


def _trace() -> None:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(write)
        os.read(read, 1)
        os._exit(0)
    try:
        _refused(_libc.ptrace(_PTRACE_SEIZE, child, None, None) != 0)
    finally:
        os.close(read)
        os.close(write)
        os.waitpid(child, 0)


def _enter(pid: int) -> None:
    namespace = os.open(f"/proc/{pid}/ns/uts", os.O_RDONLY)
    try:
        _refused(_libc.setns(namespace, 0) != 0)
    finally:
        os.close(namespace)


def _take_descriptor(pid: int) -> None:
    handle = os.pidfd_open(pid)
    try:
        os.close(_call(_NR_PIDFD_GETFD, handle, 0, 0))
    finally:
        os.close(handle)


def _lend_identity(path: str) -> None:
    _create(path)
    Path(path).chmod(0o4700)


def _other(pid: int) -> int:
    """In a pid namespace of its own the service's number may by chance be this process or its parent."""
    if pid in (os.getpid(), os.getppid()):
        raise ProcessLookupError(pid)
    return pid


def canaries(arguments: list[str]) -> dict[str, Callable[[], None]]:
    """All canaries by name; `arguments` as above, from WORKSPACE on."""
    workspace, secret, directory, port, unix_socket, datagrams, abstract, server = arguments
    pid = int(server)
    return {
        "read a file outside": lambda: _read(secret),
        "create a file in the service's directory": lambda: _create(f"{directory}/planted"),
        "create a file in /usr": lambda: _create_for_a_moment("/usr/.flynn-canary"),
        "change the mode of a file outside": lambda: Path(secret).chmod(0o640),
        "change the times of a file outside": lambda: os.utime(secret, (1, 1)),
        "reach a loopback listener": lambda: _dial(socket.AF_INET, ("127.0.0.1", int(port))),
        "reach a unix socket": lambda: _dial(socket.AF_UNIX, unix_socket),
        "reach an abstract socket": lambda: _dial(socket.AF_UNIX, f"\0{abstract}"),
        "send a datagram to a unix socket": lambda: _send(datagrams),
        "open a vsock": lambda: socket.socket(_AF_VSOCK, socket.SOCK_STREAM).close(),
        "read the service's environment": lambda: _read(f"/proc/{_other(pid)}/environ"),
        "read the service's memory": lambda: os.close(os.open(f"/proc/{_other(pid)}/mem", os.O_RDONLY)),
        "take a descriptor of the service": lambda: _take_descriptor(_other(pid)),
        "signal the service": lambda: os.kill(_other(pid), 0),
        "trace a process": _trace,
        "enter the service's namespaces": lambda: _apart(lambda: _enter(_other(pid))),
        "make a user namespace": lambda: _apart(lambda: _refused(_libc.unshare(_CLONE_NEWUSER) != 0)),
        "make a mount": lambda: os.close(_call(_NR_OPEN_TREE, _AT_FDCWD, b"/", 1)),
        "write to /proc/sys": lambda: _write("/proc/sys/kernel/core_pattern"),
        "set up io_uring": lambda: os.close(_call(_NR_IO_URING_SETUP, 1, bytes(256))),
        "make a map of bpf": lambda: os.close(_call(_NR_BPF, 0, (ctypes.c_uint32 * 18)(*_BPF_MAP), 72)),
        "use the kernel's keyrings": lambda: _refused(_call(_NR_KEYCTL, 0, _KEYRING_OF_SESSION, 1) < 0),
        "name a file by its handle": lambda: _refused(
            _call(_NR_NAME_TO_HANDLE_AT, _AT_FDCWD, b"/", (ctypes.c_uint32 * 34)(128), bytes(8), 0) < 0
        ),
        "make a program that runs as its owner": lambda: _lend_identity(f"{workspace}/lent"),
        "gain privileges": lambda: _refused(_libc.prctl(_PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1),
        "escape the filter": lambda: _refused(_libc.prctl(_PR_GET_SECCOMP, 0, 0, 0, 0) == _SECCOMP_FILTER),
    }


def _works(attempt: Callable[[], None]) -> bool:
    try:
        attempt()
    except OSError:
        return False
    return True


def main() -> None:
    """Try each; then show that the workspace itself can be written."""
    workspace = sys.argv[1]
    for name, canary in canaries(sys.argv[1:]).items():
        print("out" if _works(canary) else "stopped", name)  # noqa: T201 - the answer
    _create(f"{workspace}/written")
    if not _works(lambda: Path(f"{workspace}/written").chmod(0o700)):
        print("lost changes of modes within the workspace")  # noqa: T201 - the answer
    print("done")  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
