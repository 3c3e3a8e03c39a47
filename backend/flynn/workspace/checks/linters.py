"""All linters, over a tree or over a few of its files."""

import asyncio
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flynn.domain.finding import Finding
from flynn.domain.review import NotRun, Ran
from flynn.sandbox.command import Sandbox
from flynn.workspace.checks.hadolint import HADOLINT
from flynn.workspace.checks.json_syntax import JSON
from flynn.workspace.checks.linter import Linted, Linter
from flynn.workspace.checks.promtool import PROMTOOL
from flynn.workspace.checks.ruff import RUFF
from flynn.workspace.checks.schema import SCHEMAS
from flynn.workspace.checks.shellcheck import SHELLCHECK
from flynn.workspace.checks.source import Sources
from flynn.workspace.checks.toml_syntax import TOML
from flynn.workspace.checks.yaml_syntax import YAML
from flynn.workspace.checks.zizmor import ZIZMOR

LINTERS: tuple[Linter, ...] = (YAML, TOML, JSON, *SCHEMAS, ZIZMOR, HADOLINT, SHELLCHECK, RUFF, *PROMTOOL)


@dataclass(frozen=True, slots=True)
class Checked:
    """What all linters said: findings in the order of their places, who ran, and what was not done."""

    findings: tuple[Finding, ...]
    ran: tuple[Ran, ...]
    not_run: tuple[NotRun, ...]


async def check_files(
    paths: Iterable[str], sources: Sources, sandbox: Sandbox, linters: Sequence[Linter] = LINTERS
) -> Checked:
    """Run `linters` over those of `paths` that each takes, as many at a time as there are processors."""
    wanted = await asyncio.to_thread(_sort, tuple(paths), sources, linters)
    turns = asyncio.Semaphore(max(os.cpu_count() or 1, 2))

    async def turn(linter: Linter, taken: list[str]) -> Linted:
        async with turns:
            return await linter.lint(taken, sources, sandbox)

    work = [(linter, taken) for linter, taken in zip(linters, wanted, strict=True) if taken]
    done = await asyncio.gather(*(turn(linter, taken) for linter, taken in work))
    files: dict[str, int] = {}
    for (linter, _), linted in zip(work, done, strict=True):
        if linted.files:
            files[linter.tool] = files.get(linter.tool, 0) + linted.files
    return Checked(
        findings=tuple(
            sorted((item for linted in done for item in linted.findings), key=lambda item: item.order)
        ),
        ran=tuple(Ran(tool=tool, files=count) for tool, count in files.items()),
        not_run=tuple(gap for linted in done for gap in linted.not_run),
    )


def _sort(paths: Sequence[str], sources: Sources, linters: Sequence[Linter]) -> list[list[str]]:
    return [[path for path in paths if linter.takes(path, sources)] for linter in linters]
