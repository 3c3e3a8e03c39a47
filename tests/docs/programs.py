"""Runs a block of a document as a program of its own, and gives what it printed."""

import asyncio
import os
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT
from tests.node import client_modules, node

SECONDS = 60
"""How long a program may take on a machine that does much else."""

_ENDINGS = {"python": "py", "javascript": "mjs", "bash": "sh"}


@dataclass(frozen=True, slots=True)
class Ended:
    """A program that is over."""

    status: int
    output: str
    errors: str

    @property
    def lines(self) -> list[str]:
        """What it printed, without empty lines."""
        return [line for line in self.output.splitlines() if line.strip()]

    @property
    def events(self) -> list[tuple[int, str]]:
        """The events that it printed as `seq type`, in their order."""
        found = [line.split() for line in self.lines]
        return [(int(words[0]), words[1]) for words in found if len(words) == 2 and words[0].isdigit()]


async def start(
    text: str, language: str, place: Path, *arguments: str, variables: Mapping[str, str]
) -> asyncio.subprocess.Process:
    """Start a text of one of the three languages in the directory `place`, with these variables.

    Nothing of the caller's settings is passed on. The first python3 of the path is that of the tests, as in
    a shell with the environment active.
    """
    program = place / f"program.{_ENDINGS[language]}"
    await asyncio.to_thread(_prepare, program, text, language)
    command = {"python": sys.executable, "bash": shutil.which("bash") or "bash"}.get(language) or node()
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("FLYNN_", "ANTHROPIC_"))}
    kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', os.defpath)}"
    return await asyncio.create_subprocess_exec(
        command,
        *(("-euo", "pipefail") if language == "bash" else ()),
        str(program),
        *arguments,
        cwd=place,
        env={**kept, **variables},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def finish(process: asyncio.subprocess.Process, seconds: float = SECONDS) -> Ended:
    """Wait for the end of a program; one that does not end is killed, and the test fails."""
    try:
        output, errors = await asyncio.wait_for(process.communicate(), seconds)
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        output, errors = await process.communicate()
        raise AssertionError(f"it did not end: {output.decode()}\n{errors.decode()}") from None
    assert process.returncode is not None
    return Ended(process.returncode, output.decode(), errors.decode())


async def run(text: str, language: str, place: Path, *arguments: str, variables: Mapping[str, str]) -> Ended:
    """Start a text and wait for its end, which must be a good one."""
    ended = await finish(await start(text, language, place, *arguments, variables=variables))
    assert ended.status == 0, f"status {ended.status}\n{ended.output}\n{ended.errors}"
    return ended


def _prepare(program: Path, text: str, language: str) -> None:
    program.write_text(text, encoding="utf-8")
    if language == "javascript":
        modules = program.parent / "node_modules"
        if not modules.is_symlink():
            modules.symlink_to(client_modules(ROOT))
