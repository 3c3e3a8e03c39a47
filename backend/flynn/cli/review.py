"""`flynn review`: the linters and the deployment checklist over a directory, without a key or a network."""

import asyncio
import shlex
import sys
import tempfile
from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import Field

from flynn.cli.program import called_as
from flynn.cli.review_table import print_table
from flynn.cli.sarif import sarif
from flynn.domain.checklist import Verdict
from flynn.domain.errors import FlynnError
from flynn.domain.finding import Severity
from flynn.domain.review import Review
from flynn.sandbox.opening import open_sandbox
from flynn.settings import Settings
from flynn.telemetry import logging
from flynn.workspace.review import review as look_at
from flynn.workspace.root import Workspace

CLEAN, FOUND, NOT_REVIEWED = 0, 1, 2
"""Exit codes."""
_MOST_NAMED = 12
"""Rules that the line for Flynn names; it looks for the rest itself."""


class FailOn(StrEnum):
    """The least severity that makes the command exit with 1."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"
    NEVER = "never"


class Format(StrEnum):
    """How a review is printed."""

    TABLE = "table"
    JSON = "json"
    SARIF = "sarif"


class ReviewDocument(Review):
    """What `--json` prints. `next` is the command that hands it to Flynn, None where nothing was found."""

    version: Literal[1] = 1
    worst_severity: Severity | None
    exit_code: int = Field(ge=CLEAN, le=FOUND)
    next: str | None


async def review(path: Path, *, format: Format, fail_on: FailOn) -> int:
    """Review `path` and print what came of it: 0 clean, 1 findings, 2 when it cannot be reviewed."""
    try:
        found, root = await _reviewed(path)
    except FlynnError as error:
        for line in error.detail.splitlines():
            print(f"flynn: {line}", file=sys.stderr)
        return NOT_REVIEWED
    code = exit_code(found, fail_on)
    following = next_command(found, root, program=called_as())
    match format:
        case Format.JSON:
            document = ReviewDocument(
                **found.model_dump(), worst_severity=found.worst, exit_code=code, next=following
            )
            print(document.model_dump_json(indent=2))
        case Format.SARIF:
            print(sarif(found))
        case Format.TABLE:
            print_table(found, following, sys.stdout)
    return code


def exit_code(found: Review, fail_on: FailOn) -> int:
    """1 when the worst of the review is at least as bad as `fail_on`."""
    if fail_on is FailOn.NEVER or found.worst is None:
        return CLEAN
    return FOUND if found.worst.weight >= Severity(fail_on.value).weight else CLEAN


def next_command(found: Review, root: Path, *, program: str = "flynn") -> str | None:
    """The line for a shell that has Flynn mend what was found in `root`; None when nothing was. `program` is
    how Flynn is started there.
    """
    rules = Counter((finding.tool, finding.rule, finding.path) for finding in found.findings)
    named = [
        f"{tool} {rule} in {path}" + (f" ({count} times)" if count > 1 else "")
        for (tool, rule, path), count in rules.most_common(_MOST_NAMED)
    ]
    if len(rules) > _MOST_NAMED:
        named.append(f"{len(rules) - _MOST_NAMED} more kinds of findings")
    failing = [item for item in found.checklist if item.verdict is Verdict.FAILED]
    if not named and not failing:
        return None
    words = ["Mend what flynn review found here."]
    if named:
        words.append(f"Findings: {'; '.join(named)}.")
    if failing:
        words.append(f"Items of the deployment checklist that failed: {'; '.join(i.title for i in failing)}.")
    return f"{program} run {shlex.quote(' '.join(words))} --directory {shlex.quote(str(root))}"


async def _reviewed(path: Path) -> tuple[Review, Path]:
    """Review `path`; nothing is left on the disk. Raises FlynnError."""
    # A .env beside us may be that of the repository under review, which has no say in how it is done.
    settings = Settings.load(env_file=None)
    logging.configure("error", settings.log_format)
    root = await asyncio.to_thread(path.resolve)
    with Workspace.open(root) as workspace, tempfile.TemporaryDirectory(prefix="flynn-review-") as private:
        sandbox = await open_sandbox(
            private_root=Path(private) / "private",
            prefer=settings.sandbox,
            extra_readonly=settings.sandbox_readonly,
        )
        return await look_at(workspace, sandbox), root
