"""All backends of this machine beside one another, each tried with the same canaries, and a control.

The control is the same process without a sandbox: what does not succeed there either (for want of a right,
of a device, of a kernel's option) says nothing about a backend.
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from flynn.sandbox.machine import Machine, Preference
from flynn.sandbox.opening import conceal_service
from flynn.sandbox.probe import Trial

Outcome = Literal["stopped", "got out", "not applicable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One backend: what it has, what it lacks, and why it is rejected, if it is."""

    name: str
    layers: tuple[str, ...]
    missing: tuple[str, ...]
    trial: Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What came of every canary. `active` is the backend that `prefer` leads to; None where there is none.

    `reasons` say why a backend was not even tried.
    """

    active: str | None
    contenders: tuple[Contender, ...]
    control: Trial
    reasons: tuple[str, ...]

    @property
    def canaries(self) -> tuple[str, ...]:
        """The canaries' names, in their order."""
        trials = [self.control, *(contender.trial for contender in self.contenders)]
        return tuple(dict.fromkeys(name for trial in trials for name in trial.outcomes))

    def outcome(self, contender: Contender, canary: str) -> Outcome:
        """What came of `canary` in one backend."""
        if contender.trial.outcomes.get(canary, False):
            return "got out"
        return "stopped" if self.control.outcomes.get(canary, False) else "not applicable"

    @property
    def holds(self) -> bool:
        """Whether there is an active backend and nothing got out of it."""
        return any(
            contender.name == self.active and contender.trial.rejection is None
            for contender in self.contenders
        )


async def compare_backends(
    *,
    private_root: Path,
    prefer: Preference = "auto",
    bwrap: Path | None = None,
    extra_readonly: Sequence[Path] = (),
    hidden: Sequence[Path] = (),
) -> Comparison:
    """Try every backend that this machine may have, whichever `prefer` chooses.

    Does not raise for what the machine lacks. This process becomes undumpable.
    """
    if not sys.platform.startswith("linux"):
        nothing = Trial(outcomes={}, failure="a sandbox needs Linux")
        return Comparison(active=None, contenders=(), control=nothing, reasons=("a sandbox needs Linux",))
    conceal_service()
    machine = Machine.survey(private_root, extra_readonly=extra_readonly, hidden=hidden)
    try:
        backends, reasons = machine.for_trials().backends("auto", bwrap)
        control, *trials = await asyncio.gather(
            machine.trial(machine.unconfined()), *(machine.trial(backend) for backend in backends)
        )
    finally:
        os.close(machine.launcher)
    contenders = tuple(
        Contender(
            name=backend.name,
            layers=backend.layers,
            missing=(*backend.missing, *trial.lost),
            trial=trial,
        )
        for backend, trial in zip(backends, trials, strict=True)
    )
    holding = [contender.name for contender in contenders if contender.trial.rejection is None]
    chosen = [name for name in holding if prefer in ("auto", name)]
    active = "unconfined" if prefer == "unconfined" else chosen[0] if chosen else None
    return Comparison(active=active, contenders=contenders, control=control, reasons=tuple(reasons))
