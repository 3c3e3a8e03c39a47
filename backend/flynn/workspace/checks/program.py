"""Linters that are programs: run in the sandbox over files that are shown read-only, within time and output.

One hostile file must not hide what is wrong with the others: a batch that does not end well is halved, until
the file is alone, and then it is named as not looked at.
"""

import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from flynn.domain.errors import SandboxUnavailable
from flynn.domain.finding import Finding, Severity
from flynn.domain.review import NotRun
from flynn.sandbox.command import Command, Completed, Sandbox
from flynn.sandbox.program import find_program
from flynn.telemetry.redaction import redact
from flynn.workspace.checks.linter import Linted, batches, kept
from flynn.workspace.checks.source import Sources

MOST_SECONDS: Final = 40.0
"""For all files of one linter."""
_BATCH_SECONDS: Final = 10.0
_OUTPUT: Final = 8_000_000
_WORDS: Final = 300
_MOST_GAPS: Final = 20
"""Files that are named one by one as not looked at."""
_LOG_LINE: Final = re.compile(r"^\W*(?:\S*\d{2}:\d{2}\S*\s+)?\[?(?:TRACE|DEBUG|INFO|WARN|WARNING)\b")
"""What a program notes down for itself, with or without the time in front."""
_BACKTRACE: Final = re.compile(r"^\s*(?:stack backtrace:|Traceback \(most recent)", re.IGNORECASE)
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")


def _nothing(_done: Completed) -> str | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramLinter:
    """A linter that is a program of the package `package`; None: one of the system's.

    `words` are its arguments before the paths. `ends` are the exit codes with which it has done its work.
    `read` makes findings of what it printed about `paths` (relative to the root, as they were given but for
    `./` in front); it may raise ValueError. `optional`: nobody expects it to be there.
    """

    tool: str
    wants: Callable[[str, Sources], bool]
    read: Callable[[Completed, Sequence[str], Sources], list[Finding]]
    words: tuple[str, ...]
    ends: tuple[int, ...]
    package: str | None = None
    interpreted: tuple[str, ...] = ()
    """The arguments with which our own Python runs it, where it is no program of its own."""
    batch: int = 100
    optional: bool = False
    explain: Callable[[Completed], str | None] = _nothing
    """Why it did not look at a file, where what it printed about that is known; None where it is not."""

    def takes(self, path: str, sources: Sources) -> bool:
        """Whether the file is of its kind."""
        return self.wants(path, sources)

    async def lint(self, paths: Sequence[str], sources: Sources, sandbox: Sandbox) -> Linted:
        """Run it over `paths`."""
        program = self.program()
        if program is None:
            return self._missing(len(paths))
        work = _Work(self, program, sources, sandbox)
        try:
            for piece in batches(paths, self.batch):
                await work.over(piece)
        except SandboxUnavailable as error:
            reason = f"it runs in the sandbox only, and there is none: {error.detail.rstrip('.')}"
            work.gaps.append(self._gap(reason, len(paths) - work.done))
        findings, more = kept(self.tool, work.found)
        return Linted(work.done, findings, (*work.gaps, *more))

    def program(self) -> Path | None:
        """Where it is; None when it is not installed."""
        if not self.interpreted:
            return find_program(self.tool, self.package)
        # The link of a virtual environment, not what it leads to: its packages go by the link.
        return Path(sys.executable) if find_spec(self.interpreted[-1]) else None

    def _missing(self, files: int) -> Linted:
        install = f"; install the package {self.package}" if self.package else ""
        return Linted(0, not_run=(self._gap(f"{self.tool} is not installed{install}", files),))

    def _gap(self, reason: str, files: int, path: str | None = None) -> NotRun:
        severity = Severity.NOTE if self.optional else Severity.WARNING
        return NotRun(tool=self.tool, reason=reason, files=files, severity=severity, path=path)


class _Work:
    """One linter at work."""

    def __init__(self, linter: ProgramLinter, program: Path, sources: Sources, sandbox: Sandbox) -> None:
        self._linter = linter
        self._program = program
        self._sources = sources
        self._sandbox = sandbox
        self._deadline = time.monotonic() + MOST_SECONDS
        self.done = 0
        self.found: list[Finding] = []
        self.gaps: list[NotRun] = []

    async def over(self, paths: Sequence[str]) -> None:
        """Run over `paths`, in halves where that does not end well. Raises SandboxUnavailable."""
        linter = self._linter
        left = self._deadline - time.monotonic()
        if left <= 0:
            self._left_out(f"there was no time left after {MOST_SECONDS:g} s", paths)
            return
        done = await self._sandbox.run(self._command(paths, min(left, _BATCH_SECONDS)))
        try:
            if done.exit_code in linter.ends and not done.output_cut:
                self.found += linter.read(done, paths, self._sources)
                self.done += len(paths)
                return
            reason = linter.explain(done) or _reason(done)
        except (ValueError, ValidationError):
            reason = "what it printed makes no sense"
        if len(paths) == 1:
            self._left_out(reason, paths)
            return
        middle = len(paths) // 2
        for half in (paths[:middle], paths[middle:]):
            await self.over(half)

    def _left_out(self, reason: str, paths: Sequence[str]) -> None:
        if len(self.gaps) < _MOST_GAPS:
            alone = paths[0] if len(paths) == 1 else None
            gap = partial(NotRun, tool=self._linter.tool, reason=reason, severity=Severity.WARNING)
            self.gaps.append(gap(files=len(paths), path=alone))
            return
        last = self.gaps[-1]
        told = {"path": None, "reason": "further files were not looked at", "files": last.files + len(paths)}
        self.gaps[-1] = last.model_copy(update=told)

    def _command(self, paths: Sequence[str], seconds: float) -> Command:
        linter = self._linter
        start = (str(self._program), *linter.interpreted, *linter.words)
        return Command(
            argv=(*start, *(f"./{path}" for path in paths)),
            workspace=self._sources.workspace.path,
            writable=False,
            extra_readonly=() if linter.interpreted else (self._program,),
            timeout_seconds=seconds,
            output_limit=_OUTPUT,
            output_kill=_OUTPUT * 2,
            merge_output=False,
        )


def _reason(done: Completed) -> str:
    if done.timed_out:
        return "it did not come to an end"
    if done.flooded or done.output_cut:
        return "it printed too much"
    if done.kill_reason is not None:
        return f"it was ended: {done.kill_reason}"
    words = _told(done.errors.decode("utf-8", "replace"))
    return f"it failed with exit code {done.exit_code}{': ' + words if words else ''}"


def _told(errors: str) -> str:
    """What a program said when it failed, on one line: without its log, its backtrace and secrets, and not
    cut within a word.
    """
    lines: list[str] = []
    for line in _COLOUR.sub("", errors).splitlines():
        if _BACKTRACE.match(line):
            break
        if not _LOG_LINE.match(line):
            lines.append(line)
    said = " ".join(redact("\n".join(lines)).split())
    if len(said) <= _WORDS:
        return said
    whole, space, _ = said[:_WORDS].rpartition(" ")
    return f"{whole if space else said[: _WORDS - 1]}…"
