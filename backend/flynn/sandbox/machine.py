"""This machine as a place for sandboxes: which backends it may have, and what a trial of each shows."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final, Literal

from flynn.domain.errors import SandboxUnavailable
from flynn.sandbox import seccomp
from flynn.sandbox.bubblewrap import Bubblewrap
from flynn.sandbox.confined import Backend
from flynn.sandbox.file_rules import landlock_version
from flynn.sandbox.landlock import ABI_WITH_SCOPES, Landlock
from flynn.sandbox.launch import compiled_launcher, sealed_file
from flynn.sandbox.limits import Limits
from flynn.sandbox.probe import Trial, try_canaries
from flynn.sandbox.unconfined import Unconfined
from flynn.sandbox.view import View, look, walkable

Preference = Literal["auto", "bubblewrap", "landlock", "unconfined", "none"]

_PROGRAM_PLACES: Final = "/usr/bin:/usr/local/bin:/bin"
_KNOWN_ABI: Final = 7
_FIRST_SEPARATE_UID: Final = 20000


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What all backends are built from. `launcher` is the launcher's descriptor; its owner closes it."""

    view: View
    limits: Limits
    launcher: int
    landlock: int
    private_root: Path

    @classmethod
    def survey(
        cls,
        private_root: Path,
        *,
        extra_readonly: Sequence[Path] = (),
        hidden: Sequence[Path] = (),
        limits: Limits | None = None,
    ) -> "Machine":
        """Look at this machine; makes `private_root` if it is missing."""
        private_root.mkdir(mode=0o700, parents=True, exist_ok=True)
        return cls(
            view=look(hidden=(private_root, *hidden), extra_readonly=extra_readonly),
            limits=limits or Limits(),
            launcher=sealed_file("launcher", compiled_launcher()),
            landlock=min(landlock_version(), _KNOWN_ABI),
            private_root=private_root,
        )

    def backends(self, prefer: Preference, bwrap: Path | None) -> tuple[list[Backend], list[str]]:
        """The backends worth a trial, best first, and why the others are not."""
        if prefer == "unconfined":
            return [self.unconfined()], []
        found: list[Backend] = []
        reasons: list[str] = []
        try:
            architecture = seccomp.machine()
        except SandboxUnavailable as error:
            return found, [error.detail]
        if prefer in ("auto", "bubblewrap"):
            program = bwrap or find_bubblewrap()
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

    def for_trials(self) -> "Machine":
        """The same without the sums that a busy machine or a full disk could end a trial by."""
        limits = replace(self.limits, tree_processes=0, tree_memory=0, disk_reserve=0)
        return replace(self, limits=limits)

    def unconfined(self) -> Unconfined:
        """No backend: for the operator's opt-out, and as the control of what canaries can do at all."""
        return Unconfined(
            private_root=self.private_root, view=self.view, limits=self.limits, launcher=self.launcher
        )

    async def trial(self, backend: Backend) -> Trial:
        """Run the canaries in `backend`."""
        interpreter, owner = self.view.interpreter, None
        if backend.name == "landlock" and self.landlock < ABI_WITH_SCOPES and os.getuid() == 0:
            owner = _FIRST_SEPARATE_UID
        reachable = owner is None or walkable(interpreter, (owner, owner))
        name = str(interpreter) if reachable else "python3"
        return await try_canaries(backend, name, private_root=self.private_root, owner=owner)


@cache
def _binds_by_descriptor(program: Path) -> bool:
    """Whether this bubblewrap knows --bind-fd, by its own account."""
    with suppress(OSError, subprocess.TimeoutExpired):
        told = subprocess.run((program, "--help"), env={}, capture_output=True, timeout=5, check=False)
        return b"--ro-bind-fd" in told.stdout
    return False


def find_bubblewrap() -> Path | None:
    """Bubblewrap in the system's directories; None when it is in none of them."""
    program = shutil.which("bwrap", path=_PROGRAM_PLACES)
    return Path(program) if program else None
