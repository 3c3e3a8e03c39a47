"""Opens the sandbox: builds the backends that this machine may have, tries them, takes the best."""

import asyncio
import ctypes
import os
import sys
import weakref
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import Final

from flynn.sandbox.command import Sandbox, SandboxReport
from flynn.sandbox.confined import Backend, ConfinedSandbox, RefusingSandbox
from flynn.sandbox.limits import Limits
from flynn.sandbox.machine import Machine, Preference
from flynn.sandbox.probe import Trial

__all__ = ["Preference", "conceal_service", "open_sandbox"]

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
    stood: MutableMapping[str, Trial] | None = None,
) -> Sandbox:
    """Probe the backends and return a sandbox of the best one, or one that refuses and says why.

    `private_root` is the service's own directory (created if missing): never visible inside, and the
    place of scratch directories. `prefer` narrows the choice to one backend; "none" turns running off, and
    "unconfined", which nothing but the operator chooses, runs commands without a sandbox.
    `bwrap` is bubblewrap's absolute path where it is not in a system directory. `extra_readonly` are the
    operator's toolchains. `hidden` are further places of the service (its data directory) that stay out
    of sight in a workspace around them; a workspace within one of them is fine. A tree whose worker is
    silent for `silence_seconds` is killed. Who opens many sandboxes on one machine keeps the trials that a
    backend `stood`, by its name: it is tried once, and again as long as it is rejected.
    Does not raise for what the machine lacks. The service becomes undumpable.
    """
    if prefer == "none":
        return RefusingSandbox(
            SandboxReport(backend=None, reason="the sandbox is turned off by the operator")
        )
    if not sys.platform.startswith("linux"):
        return RefusingSandbox(SandboxReport(backend=None, reason="a sandbox needs Linux"))
    conceal_service()
    machine = Machine.survey(private_root, extra_readonly=extra_readonly, hidden=hidden, limits=limits)
    backends, reasons = machine.backends(prefer, bwrap)
    if prefer == "landlock":
        reasons.append("bubblewrap is not asked for by the operator")
    tried, _ = machine.for_trials().backends(prefer, bwrap)
    known = {} if stood is None else stood

    async def trial_of(backend: Backend) -> Trial:
        trial = known.get(backend.name)
        if trial is None or trial.rejection is not None:
            trial = known[backend.name] = await machine.trial(backend)
        return trial

    trials = await asyncio.gather(*map(trial_of, tried))
    for backend, trial in zip(backends, trials, strict=True):
        rejection = trial.failure if prefer == "unconfined" else trial.rejection
        if rejection is not None:
            reasons.append(f"{backend.name}: {rejection}")
            continue
        report = SandboxReport(
            backend=backend.name,
            layers=backend.layers,
            missing=(*backend.missing, *trial.lost),
            reason="; ".join(reasons) or None,
        )
        sandbox = ConfinedSandbox(backend, report, silence=silence_seconds)
        weakref.finalize(sandbox, os.close, machine.launcher)
        return sandbox
    os.close(machine.launcher)
    return RefusingSandbox(SandboxReport(backend=None, reason="; ".join(reasons)))
