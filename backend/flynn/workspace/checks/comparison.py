"""Findings in changed files, new ones told from old ones.

What a file held before is linted as well, where anything is found in what it holds now: in a tree of its own
that has the same names and the same configurations of linters, and goes again. A finding was there before
when the same tool said the same of a line with the same text, wherever that line was.
"""

import asyncio
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from flynn.domain.diff_checks import DiffFinding
from flynn.domain.errors import WorkspaceError
from flynn.domain.finding import Finding
from flynn.domain.review import NotRun, Ran
from flynn.sandbox.command import Sandbox
from flynn.workspace.checks.linters import check_files
from flynn.workspace.checks.source import LARGEST_FILE, Sources
from flynn.workspace.path import join
from flynn.workspace.root import Workspace

CONFIGURATIONS: Final = (
    *("ruff.toml", ".ruff.toml", "pyproject.toml", ".hadolint.yaml", ".hadolint.yml", ".shellcheckrc"),
    *("zizmor.yml", ".zizmor.yml", ".github/zizmor.yml"),
)
"""Files by which the linters go, beside a file or above it."""
PASTS: Final = "checks"
"""The directory, beside the scratches, in which trees of former contents are made."""
_SYNTAX: Final = frozenset({"syntax", "invalid-syntax"})

Mark = tuple[str, str, str, str]
"""What a finding is known again by: tool, rule, message, and the text of its line."""


@dataclass(frozen=True, slots=True)
class Past:
    """What was found in a former content. `unseen` are the tools that did not look at it, for whatever
    reason; `broken`: it had a fault of syntax, so that most did not.
    """

    marks: Counter[Mark]
    unseen: frozenset[str] = frozenset()
    broken: bool = False


NOTHING: Final = Past(Counter())
"""The past of a file that there was not."""


@dataclass(frozen=True, slots=True)
class Look:
    """What the linters say of files as they are now; `past` is what will be their past."""

    findings: tuple[Finding, ...]
    marks: tuple[Mark, ...]
    """One for each finding."""
    ran: tuple[Ran, ...]
    not_run: tuple[NotRun, ...]

    def past(self, path: str) -> Past:
        """This look as the past of what `path` will hold."""
        mine = [
            (found, mark) for found, mark in zip(self.findings, self.marks, strict=True) if found.path == path
        ]
        return Past(
            Counter(mark for _, mark in mine),
            frozenset(gap.tool for gap in self.not_run if gap.path in (None, path)),
            any(found.rule in _SYNTAX for found, _ in mine),
        )

    def told_apart(self, pasts: Mapping[str, Past | None]) -> list[DiffFinding]:
        """Each finding with whether it is new; None in `pasts`: nobody knows what the file held."""
        left = {path: Counter(past.marks) for path, past in pasts.items() if past is not None}
        found: list[DiffFinding] = []
        for finding, mark in zip(self.findings, self.marks, strict=True):
            new: bool | None = True
            past = pasts.get(finding.path)
            if past is None:
                new = None
            elif left[finding.path][mark] > 0:
                left[finding.path][mark] -= 1
                new = False
            elif finding.tool in past.unseen or (past.broken and finding.rule not in _SYNTAX):
                new = None
            found.append(DiffFinding(**finding.model_dump(), new=new))
        return sorted(found, key=lambda item: (_NEW_FIRST[item.new], -item.severity.weight, item.order))


_NEW_FIRST: Final[Mapping[bool | None, int]] = {True: 0, None: 1, False: 2}


async def look(workspace: Workspace, sandbox: Sandbox, paths: Sequence[str]) -> Look:
    """Run the linters over those of `paths` that they take."""
    beside = await asyncio.to_thread(_configurations, workspace, paths)
    sources = Sources(workspace, {*paths, *beside})
    checked = await check_files(paths, sources, sandbox)
    marks = tuple(_mark(finding, sources) for finding in checked.findings)
    return Look(checked.findings, marks, checked.ran, checked.not_run)


async def look_back(
    workspace: Workspace, sandbox: Sandbox, contents: Mapping[str, bytes], *, place: Path
) -> dict[str, Past]:
    """What the linters would have said of `contents`, by paths of `workspace`.

    `place` is a directory of the service in which a tree for them is made, and removed. Raises OSError and
    WorkspaceError when it cannot be.
    """
    root = await asyncio.to_thread(_plant, workspace, contents, place)
    try:
        with Workspace.open(root) as former:
            seen = await look(former, sandbox, tuple(contents))
    finally:
        await asyncio.to_thread(shutil.rmtree, root, ignore_errors=True)
    return {path: seen.past(path) for path in contents}


def _mark(finding: Finding, sources: Sources) -> Mark:
    lines = sources.lines(finding.path)
    line = lines[finding.line - 1] if finding.line and finding.line <= len(lines) else ""
    return finding.tool, finding.rule, finding.message, line.strip()


def _configurations(workspace: Workspace, paths: Iterable[str]) -> list[str]:
    """Configurations of linters that may be in effect for `paths`."""
    directories = {str(parent) for path in paths for parent in PurePosixPath(path).parents}
    found: list[str] = []
    for directory in sorted(directories):
        for name in CONFIGURATIONS:
            path = join(directory, name)
            with suppress(WorkspaceError, OSError), workspace.locate(path, follow=False):
                found.append(path)
    return found


def _plant(workspace: Workspace, contents: Mapping[str, bytes], place: Path) -> Path:
    """A tree with `contents` and the configurations beside them, which the workspace's owner can read."""
    place.mkdir(mode=0o711, parents=True, exist_ok=True)
    root = Path(tempfile.mkdtemp(prefix="before-", dir=place)).resolve()
    try:
        for name in _configurations(workspace, contents):
            with suppress(WorkspaceError, OSError), workspace.locate(name, follow=False) as entry:
                _put(root, name, entry.read(LARGEST_FILE).data)
        for name, data in contents.items():
            _put(root, name, data)
        if os.geteuid() == 0:
            owner = workspace.path.stat()
            for path in (root, *root.rglob("*")):
                os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
    except BaseException:
        shutil.rmtree(root, ignore_errors=True)
        raise
    return root


def _put(root: Path, path: str, data: bytes) -> None:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
