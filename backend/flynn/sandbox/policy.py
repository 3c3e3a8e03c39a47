"""What the launcher is told: a policy, and the form in which it travels."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from flynn.domain.errors import SandboxUnavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Everything the launcher enforces on one command; paths are absolute, as seen inside.

    `landlock` is the ABI to apply (0: none); `read`, `write` and `device` are its
    rules; of `write` and of `shown`, which is for reading, no name may be a link. `isolate` has Landlock
    deny TCP as well. `identity` is the (uid, gid) to become. `errors` is the descriptor for the command's
    stderr where it is not merged. `silence` in seconds.

    `asked` are the calls, by number, that the filter asks the supervisor about; where it cannot ask,
    `seccomp_refusing` takes its place. `temporary` is a private tmp on a disk. `quota` and
    `temporary_size` bound what workspace and private tmp hold, in bytes. `unconfined` takes nothing away
    but what `limits` and `identity` say.
    """

    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    root: str
    cwd: str
    seccomp: bytes
    limits: tuple[tuple[int, int], ...]
    landlock: int
    read: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    device: tuple[str, ...] = ()
    isolate: bool = False
    identity: tuple[int, int] | None = None
    deadline: float | None = None
    silence: float = 10.0
    errors: int | None = None
    processes: int = 0
    memory: int = 0
    disk_reserve: int = 0
    asked: Mapping[int, str] = field(default_factory=dict)
    seccomp_refusing: bytes = b""
    temporary: str | None = None
    quota: int = 0
    temporary_size: int = 0
    unconfined: bool = False

    def encode(self) -> bytes:
        """NUL-separated pairs of field and value; SandboxUnavailable when a value holds a NUL."""
        parts: list[str] = []
        for name, value in self._pairs():
            if "\0" in value:
                raise SandboxUnavailable(f"a command's {name} must not contain a NUL character")
            parts += (name, value)
        return b"".join(part.encode(errors="surrogateescape") + b"\0" for part in parts)

    def _pairs(self) -> Iterator[tuple[str, str]]:
        yield from (("arg", argument) for argument in self.arguments)
        yield from (("env", f"{name}={value}") for name, value in self.environment.items())
        yield from (("limit", f"{number}={value}") for number, value in self.limits)
        yield from (("read", path) for path in self.read)
        yield from (("shown", path) for path in self.shown)
        yield from (("write", path) for path in self.write)
        yield from (("device", path) for path in self.device)
        yield from (("root", self.root), ("cwd", self.cwd), ("seccomp", self.seccomp.hex()))
        yield from (("landlock", str(self.landlock)), ("silence", str(self.silence)))
        yield from (("processes", str(self.processes)), ("memory", str(self.memory)))
        yield ("disk_reserve", str(self.disk_reserve))
        yield from (("quota", str(self.quota)), ("temporary_size", str(self.temporary_size)))
        yield from (("asked", f"{number}={name}") for number, name in self.asked.items())
        yield ("seccomp_refusing", self.seccomp_refusing.hex())
        if self.temporary is not None:
            yield ("temporary", self.temporary)
        if self.unconfined:
            yield ("unconfined", "1")
        if self.isolate:
            yield ("isolate", "1")
        if self.identity is not None:
            yield from (("uid", str(self.identity[0])), ("gid", str(self.identity[1])))
        if self.deadline is not None:
            yield ("deadline", repr(self.deadline))
        if self.errors is not None:
            yield ("errors", str(self.errors))
