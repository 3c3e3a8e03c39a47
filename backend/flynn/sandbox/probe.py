"""The probe: what the kernel promises is tried, with the argument vector that will really be used.

A backend is chosen by what it stops, never by a version. Any canary that gets out rejects it.
"""

import os
import shutil
import socket
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flynn.domain.errors import SandboxUnavailable
from flynn.sandbox.command import Command, SandboxReport
from flynn.sandbox.confined import Backend, ConfinedSandbox

_CANARIES: Final = Path(__file__).with_name("canaries.py")
_PLANTING: Final = "create a file in the service's directory"
_SECONDS: Final = 10.0
_UNIX_PATH_LIMIT: Final = 100


@contextmanager
def _directory(parent: Path | None) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="probe-", dir=parent)).resolve()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What came of the canaries in one backend.

    `outcomes` tells of each whether it got out. `failure` says why the trial did not end well. `lost` are
    things that ought to work inside and do not here.
    """

    outcomes: Mapping[str, bool]
    failure: str | None = None
    lost: tuple[str, ...] = ()

    @property
    def leaks(self) -> tuple[str, ...]:
        """The canaries that got out."""
        return tuple(name for name, out in self.outcomes.items() if out)

    @property
    def rejection(self) -> str | None:
        """Why the backend is rejected; None when it holds."""
        if self.failure is not None:
            return self.failure
        return f"a sandboxed process could {', '.join(self.leaks)}" if self.leaks else None


async def find_leaks(
    backend: Backend, interpreter: str, *, private_root: Path, owner: int | None = None
) -> str | None:
    """Run the canaries in `backend`; None when all were stopped, else why the backend is rejected.

    The arguments are those of `try_canaries`.
    """
    return (await try_canaries(backend, interpreter, private_root=private_root, owner=owner)).rejection


async def try_canaries(
    backend: Backend, interpreter: str, *, private_root: Path, owner: int | None = None
) -> Trial:
    """Run the canaries in `backend`.

    `interpreter` is a Python's absolute path, or a name to find inside. `owner` is a uid that shall own
    the workspace, which then lies in the system's temporary directory.
    """
    with _directory(private_root) as outside, _directory(None if owner else outside) as base:
        workspace = base / "workspace"
        workspace.mkdir()
        if owner is not None:
            base.chmod(0o711)
            os.chown(workspace, owner, owner)
        secret = outside / "secret"
        secret.write_text("canary", encoding="utf-8")
        secret.chmod(0o644)
        with _listeners(outside) as listeners:
            source = _CANARIES.read_text(encoding="utf-8")
            places = (str(workspace), str(secret), str(outside), *listeners)
            command = Command(
                argv=(interpreter, "-I", "-S", "-c", source, *places, str(os.getpid())),
                workspace=workspace,
                timeout_seconds=_SECONDS,
            )
            sandbox = ConfinedSandbox(backend, SandboxReport(backend=backend.name), silence=_SECONDS)
            try:
                completed = await sandbox.run(command)
            except SandboxUnavailable as error:
                return Trial(outcomes={}, failure=error.detail)
        words = completed.output.decode(errors="replace").strip()
        *lines, last = words.splitlines() or [""]
        outcomes = {
            name: word == "out" for word, _, name in map(_parted, lines) if word in ("out", "stopped")
        }
        # Inside, a file can be made where it only looks like the place that is meant.
        outcomes[_PLANTING] = (outside / "planted").exists()
        ended_well = last == "done" and completed.exit_code == 0 and (workspace / "written").exists()
        ended = completed.kill_reason or f"status {completed.exit_code}"
        said = f"the probe did not end well ({ended}): {words[-300:]}"
        return Trial(
            outcomes=outcomes,
            failure=None if ended_well else said,
            lost=tuple(name for word, _, name in map(_parted, lines) if word == "lost"),
        )


def _parted(line: str) -> tuple[str, str, str]:
    return line.partition(" ")


@contextmanager
def _listeners(directory: Path) -> Iterator[tuple[str, str, str, str]]:
    """Something to reach: a port on loopback, a unix socket, one for datagrams, and an abstract name."""
    abstract = f"flynn-canary-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    with _directory(None) as short, socket.create_server(("127.0.0.1", 0)) as tcp:
        within = len(os.fsencode(directory / "datagrams")) <= _UNIX_PATH_LIMIT
        places = directory if within else short
        path, datagrams = places / "socket", places / "datagrams"
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as unix,
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as loose,
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as unnamed,
        ):
            for listener, address in ((unix, str(path)), (loose, str(datagrams)), (unnamed, f"\0{abstract}")):
                listener.bind(address)
            unix.listen()
            unnamed.listen()
            yield str(tcp.getsockname()[1]), str(path), str(datagrams), abstract
