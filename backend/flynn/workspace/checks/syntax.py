"""Linters that need no program: they look at the text of a file, in a thread of this process."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from flynn.domain.finding import Finding
from flynn.domain.review import NotRun
from flynn.sandbox.command import Sandbox
from flynn.workspace.checks.linter import Linted, kept
from flynn.workspace.checks.source import Sources

MOST_SECONDS = 20.0
"""For all files of one linter."""
_MOST_OF_A_FILE = 100
"""Findings of one file that are kept."""


@dataclass(frozen=True, slots=True)
class SyntaxLinter:
    """A linter made of two functions: which paths it takes, and what is wrong with a text."""

    tool: str
    wants: Callable[[str, Sources], bool]
    faults: Callable[[str, str], Iterator[Finding]]
    """Yields what is wrong with the file `path` that holds `text`."""

    def takes(self, path: str, sources: Sources) -> bool:
        """Whether the file is of its kind."""
        return self.wants(path, sources)

    async def lint(self, paths: Sequence[str], sources: Sources, sandbox: Sandbox) -> Linted:  # noqa: ARG002 - the port's signature
        """Read each file and judge it."""
        return await asyncio.to_thread(self._lint, paths, sources)

    def _lint(self, paths: Sequence[str], sources: Sources) -> Linted:
        found: list[Finding] = []
        unread: list[NotRun] = []
        deadline = time.monotonic() + MOST_SECONDS
        for number, path in enumerate(paths):
            if time.monotonic() > deadline:
                reason = f"there was no time left after {MOST_SECONDS:g} s"
                unread.append(NotRun(tool=self.tool, reason=reason, files=len(paths) - number))
                break
            text = sources.text(path)
            if text is None:
                reason = "it cannot be read as text: too large, not UTF-8, or not permitted"
                unread.append(NotRun(tool=self.tool, reason=reason, path=path, files=1))
            else:
                found += islice(self.faults(path, text), _MOST_OF_A_FILE)
        findings, more = kept(self.tool, found)
        return Linted(len(paths) - sum(gap.files for gap in unread), findings, (*unread, *more))
