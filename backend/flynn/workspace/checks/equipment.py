"""The equipment: which of the linters that are programs are here, and whether they start in the sandbox."""

import asyncio
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flynn.domain.errors import SandboxUnavailable
from flynn.sandbox.command import Command, Sandbox
from flynn.workspace.checks.linter import Linter
from flynn.workspace.checks.linters import LINTERS
from flynn.workspace.checks.program import ProgramLinter

_SECONDS = 10.0
_VERSION = re.compile(r"\d+(?:\.\d+)+\S*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """A linter as it was found. `version` by its own words, None when it did not say; `trouble` is why it
    cannot be used, None when it can; `package` is what brings it, None for one of the system's.
    """

    tool: str
    package: str | None
    optional: bool
    version: str | None = None
    trouble: str | None = None


async def equipment(sandbox: Sandbox, linters: Sequence[Linter] = LINTERS) -> list[Instrument]:
    """Start each program once, in `sandbox`, and have it say its version."""
    programs = {linter.tool: linter for linter in linters if isinstance(linter, ProgramLinter)}
    with tempfile.TemporaryDirectory(prefix="flynn-equipment-") as directory:
        empty = await asyncio.to_thread(Path(directory).resolve)
        return list(await asyncio.gather(*(_look(linter, sandbox, empty) for linter in programs.values())))


async def _look(linter: ProgramLinter, sandbox: Sandbox, empty: Path) -> Instrument:
    program = linter.program()
    version = trouble = None
    if program is None:
        trouble = "it is not installed"
    else:
        command = Command(
            argv=(str(program), *linter.interpreted, "--version"),
            workspace=empty,
            writable=False,
            extra_readonly=() if linter.interpreted else (program,),
            timeout_seconds=_SECONDS,
        )
        try:
            done = await sandbox.run(command)
        except SandboxUnavailable:
            trouble = "it runs in the sandbox only, and there is none"
        else:
            found = _VERSION.search(done.output.decode("utf-8", "replace"))
            version = found.group() if found else None
            if done.exit_code != 0:
                trouble = f"it does not start: {done.kill_reason or f'exit code {done.exit_code}'}"
    return Instrument(
        tool=linter.tool,
        package=linter.package,
        optional=linter.optional,
        version=version,
        trouble=trouble,
    )
