"""What lies outside the workspace for an attempt to reach: files, listeners, a process. All of it ours.

Each piece is made when an attempt's code first mentions its name, and is owned by the uid that the
command has: nothing but the sandbox stands between the two.
"""

import ctypes
import hashlib
import os
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final

from tests.escapes.attempt import NotHere

_VICTIM: Final = """
import ctypes, os, sys, time
ctypes.CDLL(None).prctl(0x59616D61, ctypes.c_ulong(2**64 - 1), 0, 0, 0)  # Yama: anybody of this uid
secret = ctypes.create_string_buffer(os.environ["VICTIM_SECRET"].encode())
kept = open(sys.argv[1])
print(ctypes.addressof(secret), len(secret.value), flush=True)
time.sleep(600)
"""
NAMES: Final = (
    *("SECRET", "OUTSIDE", "MESSAGE", "VICTIM", "BUFFER", "TCP", "ANYWHERE", "TCP6", "UDP", "UNIX"),
    *("DATAGRAM", "ABSTRACT", "ADDRESS", "FIFO", "SHARED", "IN_SHM", "IN_TMP", "IN_VAR_TMP"),
    *("IN_USR", "IN_ETC", "IN_ROOT", "IN_HOME", "SYSV", "TERMINAL"),
)
"""Every piece of bait that code may mention."""
_IPC_CREAT, _IPC_RMID = 0o1000, 0


class Bait:
    """The outside of one scene. `uid` owns it; the secret is `secret`, the message `message`."""

    def __init__(self, place: Path, *, uid: int, secret: str, message: str, python: str) -> None:
        self.uid = uid
        self.secret = secret
        self.message = message
        self.python = python
        self.outside = place / "outside"
        self.watched = [self.outside]
        self._stack = ExitStack()
        self._known: dict[str, str] = {}
        self._before: dict[str, tuple[object, ...]] = {}
        self._after: dict[str, tuple[object, ...]] | None = None
        self._listeners: list[socket.socket] = []
        self._victim: subprocess.Popen[str] | None = None
        self._condition: tuple[object, ...] = ()
        self.outside.mkdir()
        self.file("secret", secret)
        self.own(self.outside)

    def own(self, path: Path) -> Path:
        """Give `path` to the command's uid."""
        if os.geteuid() == 0:
            os.chown(path, self.uid, self.uid, follow_symlinks=False)
        return path

    def file(self, name: str, content: str, mode: int = 0o600) -> Path:
        """A file outside."""
        path = self.outside / name
        path.write_text(content)
        path.chmod(mode)
        return self.own(path)

    def get(self, name: str) -> str:
        """The value of a piece of bait, made now if it is not there yet."""
        if name not in self._known:
            self._known[name] = self._makers()[name]()
        return self._known[name]

    def mark_time(self) -> None:
        """Remember how everything is, right before the attempt."""
        self._before = dict(self._look())
        self._after = None
        self._condition = self._state()

    def changed(self) -> bool:
        """Whether a name or a content differs."""
        return self._compare(slice(0, 2))

    def altered(self) -> bool:
        """Whether something about a file differs that is neither name nor content."""
        return self._compare(slice(2, None))

    def heard(self) -> bool:
        """Whether the message is in what arrived at a listener."""
        return self.message.encode() in b"".join(map(_received, self._listeners))

    def hurt(self) -> bool:
        """Whether the victim is not as it was."""
        return self._state() != self._condition

    def clear(self) -> None:
        """Take everything away."""
        self._stack.close()
        _remove(self.outside)

    def watch(self, path: Path) -> str:
        """A place elsewhere on the machine that the attempt would make, and that is removed at the end."""
        if path.exists() or path.is_symlink():
            raise FileExistsError(path)
        self.watched.append(path)
        self._stack.callback(_remove, path)
        return str(path)

    def _compare(self, part: slice) -> bool:
        if self._after is None:
            self._after = dict(self._look())
        names = self._before.keys() | self._after.keys()
        return any(self._before.get(n, ())[part] != self._after.get(n, ())[part] for n in names)

    def _look(self) -> Iterator[tuple[str, tuple[object, ...]]]:
        for top in self.watched:
            beneath = top.rglob("*") if top.is_dir() and not top.is_symlink() else ()
            for path in (top, *beneath):
                with suppress(FileNotFoundError):
                    yield str(path), _appearance(path)

    def _makers(self) -> dict[str, Callable[[], str]]:
        name = f"flynn-escape-{secrets.token_hex(6)}"
        shared = Path("/dev/shm")
        return {
            "SECRET": lambda: str(self.outside / "secret"),
            "OUTSIDE": lambda: str(self.outside),
            "MESSAGE": lambda: self.message,
            "VICTIM": lambda: str(self._start_victim().pid),
            "BUFFER": self._get_buffer,
            "TCP": lambda: self._listen(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            "ANYWHERE": lambda: self._listen(socket.AF_INET, socket.SOCK_STREAM, ("0.0.0.0", 0)),
            "TCP6": lambda: self._listen(socket.AF_INET6, socket.SOCK_STREAM, ("::1", 0)),
            "UDP": lambda: self._listen(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
            "UNIX": lambda: self._listen(socket.AF_UNIX, socket.SOCK_STREAM, self._short("stream")),
            "DATAGRAM": lambda: self._listen(socket.AF_UNIX, socket.SOCK_DGRAM, self._short("datagram")),
            "ABSTRACT": lambda: self._listen(socket.AF_UNIX, socket.SOCK_STREAM, "\0" + name)[1:],
            "ADDRESS": _other_address,
            "FIFO": self._make_fifo,
            "SHARED": lambda: str(self._shared(shared / name)),
            "IN_SHM": lambda: self.watch(shared / name),
            "IN_TMP": lambda: self.watch(Path(tempfile.gettempdir()) / name),
            "IN_VAR_TMP": lambda: self.watch(Path("/var/tmp") / name),
            "IN_USR": lambda: self.watch(Path("/usr/local/lib") / name),
            "IN_ETC": lambda: self.watch(Path("/etc") / name),
            "IN_ROOT": lambda: self.watch(Path("/") / name),
            "IN_HOME": lambda: self.watch(Path("/root") / name),
            "SYSV": self._make_segment,
            "TERMINAL": self._make_terminal,
        }

    def _start_victim(self) -> "subprocess.Popen[str]":
        if self._victim is None:
            self._victim = subprocess.Popen(
                [self.python, "-I", "-S", "-c", _VICTIM, str(self.outside / "secret")],
                env={"VICTIM_SECRET": self.secret},
                cwd=self.outside,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
                **identity(self.uid),
            )
            self._stack.callback(_end, self._victim)
            assert self._victim.stdout is not None
            self._known["BUFFER"] = self._victim.stdout.readline().strip()
        return self._victim

    def _get_buffer(self) -> str:
        self._start_victim()
        return self._known["BUFFER"]

    def _state(self) -> tuple[object, ...]:
        if self._victim is None:
            return ()
        pid = self._victim.pid
        if self._victim.poll() is not None or _is_condemned(pid):
            return ("dead",)
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        limits = Path(f"/proc/{pid}/limits").read_text()
        held = "stopped" if fields[0] in "Tt" else "alive"
        ioprio = ctypes.CDLL(None).syscall(252 if os.uname().machine == "x86_64" else 31, 1, pid)
        policy = os.sched_getscheduler(pid)
        return (held, fields[16], fields[5], limits, sorted(os.sched_getaffinity(pid)), ioprio, policy)

    def _listen(self, family: int, kind: int, address: object) -> str:
        made = self._stack.enter_context(socket.socket(family, kind))
        made.bind(address)  # type: ignore[arg-type]  # the family decides the address's type
        if family == socket.AF_UNIX and isinstance(address, str) and address[0] != "\0":
            self.own(Path(address))
        if kind == socket.SOCK_STREAM:
            made.listen()
        made.setblocking(False)
        self._listeners.append(made)
        return str(address) if family == socket.AF_UNIX else str(made.getsockname()[1])

    def _short(self, name: str) -> str:
        """A path that fits into sun_path, in a directory of the command's uid."""
        directory = Path(tempfile.mkdtemp(prefix="flynn-"))
        directory.chmod(0o755)
        self._stack.callback(_remove, directory)
        return str(self.own(directory) / name)

    def _make_fifo(self) -> str:
        path = self.outside / "fifo"
        os.mkfifo(path)
        self.own(path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self._stack.callback(os.close, reader)
        self._listeners.append(_Pipe(reader))  # type: ignore[arg-type]  # is only ever received from
        return str(path)

    def _shared(self, path: Path) -> Path:
        path.write_text(self.secret)
        self._stack.callback(_remove, path)
        return self.own(path)

    def _make_segment(self) -> str:
        """A System V segment that holds the secret; open to all, so that only the name space counts."""
        libc = ctypes.CDLL(None, use_errno=True)
        libc.shmat.restype = ctypes.c_void_p
        key = int(secrets.token_hex(3), 16) + 1
        number = libc.shmget(key, 4096, _IPC_CREAT | 0o666)
        if number < 0:
            raise NotHere("no System V shared memory")
        self._stack.callback(libc.shmctl, number, _IPC_RMID, None)
        address = libc.shmat(number, None, 0)
        ctypes.memmove(address, self.secret.encode(), len(self.secret))
        libc.shmdt(ctypes.c_void_p(address))
        return str(key)

    def _make_terminal(self) -> str:
        """A terminal of the service's user; what is typed into it is heard."""
        master, slave = os.openpty()
        self._stack.callback(os.close, master)
        self._stack.callback(os.close, slave)
        os.set_blocking(master, False)
        self._listeners.append(_Pipe(master))  # type: ignore[arg-type]  # is only ever received from
        name = os.ttyname(slave)
        self.own(Path(name))
        return name


class _Pipe:
    """A descriptor to hear from, in a socket's clothes."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def recv(self, size: int) -> bytes:
        return os.read(self._descriptor, size)


def identity(uid: int) -> dict[str, Any]:
    """What subprocess.Popen needs to become `uid`, where that is another."""
    if os.geteuid() != 0 or uid == 0:
        return {}
    return {"user": uid, "group": uid, "extra_groups": []}


def _received(listener: socket.socket) -> bytes:
    with suppress(OSError):
        if isinstance(listener, _Pipe) or listener.type == socket.SOCK_DGRAM:
            return listener.recv(1 << 16)
        connection = listener.accept()[0]
        with connection:
            connection.settimeout(0.5)
            return connection.recv(1 << 16)
    return b""


def _appearance(path: Path) -> tuple[object, ...]:
    status = path.lstat()
    match stat.S_IFMT(status.st_mode):
        case stat.S_IFREG:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        case stat.S_IFLNK:
            content = str(path.readlink())
        case _:
            content = ""
    names = os.listxattr(path, follow_symlinks=False)
    attributes = sorted((name, os.getxattr(path, name, follow_symlinks=False)) for name in names)
    links = status.st_nlink if content else 0
    return (
        *(stat.S_IFMT(status.st_mode), content, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid),
        *(status.st_mtime_ns if content else 0, links, attributes),
    )


def _other_address() -> str:
    """An address of this host that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: it only asks for the way
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.2"


def _is_condemned(pid: int) -> bool:
    """Whether SIGKILL is on its way to the process: on a busy machine it dies a moment later (proc(5))."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    pending = [int(line.split()[1], 16) for line in status if line.startswith(("SigPnd:", "ShdPnd:"))]
    return any(signals >> (signal.SIGKILL - 1) & 1 for signals in pending)


def _end(victim: "subprocess.Popen[str]") -> None:
    with suppress(ProcessLookupError):
        victim.send_signal(signal.SIGCONT)
    victim.kill()
    victim.wait()
    assert victim.stdout is not None
    victim.stdout.close()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
