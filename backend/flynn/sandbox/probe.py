"""The probe: what the kernel promises is tried, with the argument vector that will really be used.

A backend is chosen by what it stops, never by a version. Any canary that gets out rejects it.
"""

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from flynn.domain.errors import SandboxUnavailable
from flynn.sandbox.command import Command, SandboxReport
from flynn.sandbox.confined import Backend, ConfinedSandbox

_CANARIES: Final = Path(__file__).with_name("canaries.py")
_SECONDS: Final = 10.0
_UNIX_PATH_LIMIT: Final = 100


@contextmanager
def _directory(parent: Path | None) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="probe-", dir=parent)).resolve()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


async def find_leaks(
    backend: Backend, interpreter: str, *, private_root: Path, owner: int | None = None
) -> str | None:
    """Run the canaries in `backend`; None when all were stopped, else why the backend is rejected.

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
        with _listeners(outside) as (port, unix_socket):
            source = _CANARIES.read_text(encoding="utf-8")
            places = (str(workspace), str(secret), str(outside), str(port), str(unix_socket))
            command = Command(
                argv=(interpreter, "-I", "-S", "-c", source, *places, str(os.getpid())),
                workspace=workspace,
                timeout_seconds=_SECONDS,
            )
            sandbox = ConfinedSandbox(backend, SandboxReport(backend=backend.name), silence=_SECONDS)
            try:
                completed = await sandbox.run(command)
            except SandboxUnavailable as error:
                return error.detail
        *leaks, last = completed.output.decode(errors="replace").strip().splitlines() or [""]
        if (outside / "planted").exists():
            leaks.append("create a file in the service's directory")
        if last != "done" or completed.exit_code != 0 or not (workspace / "written").exists():
            words = " ".join((*leaks, last))[-300:]
            return f"the probe did not end well (status {completed.exit_code}): {words}"
        return f"a sandboxed process could {', '.join(leaks)}" if leaks else None


@contextmanager
def _listeners(directory: Path) -> Iterator[tuple[int, Path]]:
    """Something to reach: a port on loopback and a unix socket."""
    with _directory(None) as short, socket.create_server(("127.0.0.1", 0)) as tcp:
        path = directory / "socket"
        if len(os.fsencode(path)) > _UNIX_PATH_LIMIT:
            path = short / "socket"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as unix:
            unix.bind(str(path))
            unix.listen()
            yield tcp.getsockname()[1], path
