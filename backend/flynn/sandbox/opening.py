"""Opens the sandbox: builds the backends that this machine may have, probes them, takes the best."""

import asyncio
import ctypes
import os
import shutil
import subprocess
import sys
import weakref
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from flynn.domain.errors import SandboxUnavailable
from flynn.sandbox import seccomp
from flynn.sandbox.bubblewrap import Bubblewrap
from flynn.sandbox.command import Sandbox, SandboxReport
from flynn.sandbox.confined import Backend, ConfinedSandbox, RefusingSandbox
from flynn.sandbox.file_rules import landlock_version
from flynn.sandbox.landlock import ABI_WITH_SCOPES, Landlock
from flynn.sandbox.launch import compiled_launcher, sealed_file
from flynn.sandbox.limits import Limits
from flynn.sandbox.probe import find_leaks
from flynn.sandbox.view import View, look, walkable

Preference = Literal["auto", "bubblewrap", "landlock", "none"]

_PROGRAM_PLACES: Final = "/usr/bin:/usr/local/bin:/bin"
_KNOWN_ABI: Final = 7
_FIRST_SEPARATE_UID: Final = 20000
_PR_SET_DUMPABLE: Final = 4


def conceal_service() -> None:
    """Make this process undumpable: its /proc entries then belong to root, whoever it runs as."""
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


async def open_sandbox(
    *,
    private_root: Path,
    prefer: Preference = "auto",
    bwrap: Path | None = None,
    extra_readonly: Sequence[Path] = (),
    hidden: Sequence[Path] = (),
    limits: Limits | None = None,
    silence_seconds: float = 10.0,
) -> Sandbox:
    """Probe the backends and return a sandbox of the best one, or one that refuses and says why.

    `private_root` is the service's own directory (created if missing): never visible inside, and the
    place of scratch directories. `prefer` narrows the choice to one backend; "none" turns running off.
    `bwrap` is bubblewrap's absolute path where it is not in a system directory. `extra_readonly` are the
    operator's toolchains. `hidden` are further places of the service (its data directory) that stay out
    of sight in a workspace around them; a workspace within one of them is fine. A tree whose worker is
    silent for `silence_seconds` is killed.
    Does not raise for what the machine lacks. The service becomes undumpable.
    """
    if prefer == "none":
        return RefusingSandbox(
            SandboxReport(backend=None, reason="the sandbox is turned off by the operator")
        )
    if not sys.platform.startswith("linux"):
        return RefusingSandbox(SandboxReport(backend=None, reason="a sandbox needs Linux"))
    conceal_service()
    launcher = sealed_file("launcher", compiled_launcher())
    machine = _Machine(
        view=_survey(private_root, extra_readonly, hidden),
        limits=limits or Limits(),
        launcher=launcher,
        landlock=min(landlock_version(), _KNOWN_ABI),
        private_root=private_root,
    )
    backends, reasons = machine.backends(prefer, bwrap)
    findings = await asyncio.gather(*(machine.probe(backend) for backend in backends))
    for backend, leak in zip(backends, findings, strict=True):
        if leak is not None:
            reasons.append(f"{backend.name}: {leak}")
            continue
        report = SandboxReport(
            backend=backend.name,
            layers=backend.layers,
            missing=backend.missing,
            reason="; ".join(reasons) or None,
        )
        sandbox = ConfinedSandbox(backend, report, silence=silence_seconds)
        weakref.finalize(sandbox, os.close, launcher)
        return sandbox
    os.close(launcher)
    return RefusingSandbox(SandboxReport(backend=None, reason="; ".join(reasons)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Machine:
    """What both backends are built from."""

    view: View
    limits: Limits
    launcher: int
    landlock: int
    private_root: Path

    def backends(self, prefer: Preference, bwrap: Path | None) -> tuple[list[Backend], list[str]]:
        """The backends worth a probe, best first, and why the others are not."""
        found: list[Backend] = []
        reasons: list[str] = []
        try:
            architecture = seccomp.machine()
        except SandboxUnavailable as error:
            return found, [error.detail]
        if prefer in ("auto", "bubblewrap"):
            program = bwrap or _find_bubblewrap()
            if program is None or not program.is_absolute() or not os.access(program, os.X_OK):
                reasons.append(f"bubblewrap: no program at {program or _PROGRAM_PLACES}")
            else:
                found.append(
                    Bubblewrap(
                        program=program,
                        by_descriptor=_binds_by_descriptor(program),
                        view=self.view,
                        limits=self.limits,
                        seccomp=seccomp.encode(seccomp.assemble(architecture, network=True)),
                        landlock=self.landlock,
                        launcher=self.launcher,
                    )
                )
        if prefer in ("auto", "landlock"):
            if not self.landlock:
                reasons.append("landlock: the kernel has none, or has it turned off")
            else:
                found.append(
                    Landlock(
                        private_root=self.private_root,
                        view=self.view,
                        limits=self.limits,
                        architecture=architecture,
                        abi=self.landlock,
                        launcher=self.launcher,
                    )
                )
        return found, reasons

    async def probe(self, backend: Backend) -> str | None:
        """Why `backend` is rejected, or None."""
        interpreter, owner = self.view.interpreter, None
        if backend.name == "landlock" and self.landlock < ABI_WITH_SCOPES and os.getuid() == 0:
            owner = _FIRST_SEPARATE_UID
        reachable = owner is None or walkable(interpreter, (owner, owner))
        name = str(interpreter) if reachable else "python3"
        return await find_leaks(backend, name, private_root=self.private_root, owner=owner)


def _survey(private_root: Path, extra_readonly: Sequence[Path], hidden: Sequence[Path]) -> View:
    private_root.mkdir(mode=0o700, parents=True, exist_ok=True)
    return look(hidden=(private_root, *hidden), extra_readonly=extra_readonly)


def _binds_by_descriptor(program: Path) -> bool:
    """Whether this bubblewrap knows --bind-fd, by its own account."""
    with suppress(OSError, subprocess.TimeoutExpired):
        told = subprocess.run((program, "--help"), env={}, capture_output=True, timeout=5, check=False)
        return b"--ro-bind-fd" in told.stdout
    return False


def _find_bubblewrap() -> Path | None:
    program = shutil.which("bwrap", path=_PROGRAM_PLACES)
    return Path(program) if program else None
