"""The linter as its callers have it: which files it takes, and what it says about them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from flynn.domain.content import clean
from flynn.domain.finding import MOST_MESSAGE, Finding, Severity
from flynn.domain.review import NotRun
from flynn.sandbox.command import Sandbox
from flynn.telemetry.redaction import redact
from flynn.workspace.checks.source import Sources

MOST_FINDINGS = 1_000
"""Findings of one linter that are kept; who has more begins with these."""


@dataclass(frozen=True, slots=True)
class Linted:
    """What a linter said about `files` files, and what it could not look at."""

    files: int
    findings: tuple[Finding, ...] = ()
    not_run: tuple[NotRun, ...] = ()


class Linter(Protocol):
    """Finds faults in files of its kind."""

    @property
    def tool(self) -> str:
        """Its name in findings."""

    def takes(self, path: str, sources: Sources) -> bool:
        """Whether it has something to say about the file `path`; it may look at its first bytes."""

    async def lint(self, paths: Sequence[str], sources: Sources, sandbox: Sandbox) -> Linted:
        """What is wrong with `paths`, which it takes. Does not raise: what was not looked at is said."""


def finding(
    tool: str,
    rule: str,
    severity: Severity,
    message: str,
    path: str,
    *,
    line: int | None = None,
    column: int | None = None,
    end_line: int | None = None,
    url: str | None = None,
) -> Finding:
    """A finding with a message that is one line, not too long, and free of secrets that the file may hold."""
    said = " ".join(clean(redact(message)).split())
    if len(said) > MOST_MESSAGE:
        said = said[: MOST_MESSAGE - 1] + "…"
    return Finding(
        tool=tool,
        rule=rule,
        severity=severity,
        message=said,
        path=path,
        line=line if line and line > 0 else None,
        column=column if line and column and column > 0 else None,
        end_line=end_line if line and end_line and end_line > line else None,
        url=url,
    )


def kept(tool: str, found: Iterable[Finding]) -> tuple[tuple[Finding, ...], tuple[NotRun, ...]]:
    """The first MOST_FINDINGS of `found`, each once, and the note that there are more."""
    first: list[Finding] = []
    more = 0
    for item in dict.fromkeys(found):
        if len(first) < MOST_FINDINGS:
            first.append(item)
        else:
            more += 1
    if not more:
        return tuple(first), ()
    gap = NotRun(tool=tool, reason=f"{more:,} more findings are not shown", files=0)
    return tuple(first), (gap,)


def batches(paths: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """`paths` in pieces of at most `size`."""
    for start in range(0, len(paths), size):
        yield paths[start : start + size]
