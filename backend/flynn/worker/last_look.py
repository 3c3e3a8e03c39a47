"""The last look: what linters and checklist say of what a task left, before its end is committed.

The worker that holds the run takes it, after the agent came to its end. It only reads: a crash in between
repeats it. It is bounded in time, and a stop ends it.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flynn.agent.changed_files import ChangedFiles, changed_files
from flynn.domain import events as ev
from flynn.domain.account import Account
from flynn.domain.checklist import ChecklistItem, Verdict
from flynn.domain.diff_checks import DiffChecks, DiffFinding
from flynn.domain.errors import SandboxUnavailable, WorkspaceError
from flynn.domain.review import NotRun
from flynn.sandbox.command import Sandbox
from flynn.sandbox.fenced import FencedSandbox
from flynn.store import log, originals
from flynn.store.database import Database
from flynn.telemetry.redaction import redact
from flynn.tools.thread import in_thread
from flynn.worker.claimed_files import claimed
from flynn.worker.claims import Held
from flynn.workspace.checklist.checklist import go_through
from flynn.workspace.checks.comparison import NOTHING, Look, Past, look, look_back
from flynn.workspace.checks.listing import list_files
from flynn.workspace.root import Workspace
from flynn.workspace.snapshots.snapshots import SnapshotFailed, Snapshots

SECONDS: Final = 60.0
_MOST_FILES: Final = 500
_MOST_FINDINGS: Final = 200
_MOST_PROOFS: Final = 20
_SLACK: Final = 2.0
"""Seconds by which the clocks of a volume and of the database may differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LastLook:
    """Looks. `place` is a directory of the service's own; `deadline` and `confirm` are those of the lease."""

    database: Database
    sandbox: Sandbox
    place: Path
    deadline: Callable[[], float]
    confirm: Callable[[], None]

    async def taken(
        self, held: Held, workspace: Workspace, snapshots: Snapshots | None
    ) -> ev.TaskChecked | None:
        """What there is to say; None when no call can have changed anything. Raises LeaseLost.

        `snapshots`, those of the run, have what files held at the start of the task.
        """
        async with self.database.statement() as connection:
            whole = await log.read(connection, held.journal.conversation_id)
        changes = changed_files(whole)
        if not changes.touched and not changes.commands:
            return None
        sandbox = FencedSandbox(self.sandbox, deadline=self.deadline, confirm=self.confirm, seconds=SECONDS)
        try:
            async with asyncio.timeout(SECONDS):
                checks = await self._checks(held, workspace, sandbox, changes, snapshots)
        except TimeoutError:
            checks = DiffChecks(notes=[f"It was given up after {SECONDS:g} s."])
        except (WorkspaceError, SandboxUnavailable, OSError) as error:
            detail = error.strerror if isinstance(error, OSError) else error.detail
            checks = DiffChecks(notes=[redact(f"The workspace could not be looked at: {detail}")])
        said = _account(whole)
        paths = said.files_changed if said else ()
        since = whole[0].at.timestamp() - _SLACK
        untouched, absent = await in_thread(
            lambda: claimed(workspace, paths, since=since, snapshots=snapshots, whole=whole),
            snapshots.stop if snapshots is not None else lambda: None,
        )
        return ev.TaskChecked(
            checks=checks,
            untouched=[path for path in untouched if path not in changes.touched],
            absent=[path for path in absent if path not in changes.touched],
        )

    async def _checks(
        self,
        held: Held,
        workspace: Workspace,
        sandbox: Sandbox,
        changes: ChangedFiles,
        snapshots: Snapshots | None,
    ) -> DiffChecks:
        before = {file.path: file.before for file in changes.files}
        paths = [path for path in before if _is_file(workspace, path)]
        seen, (checklist, notes) = await asyncio.gather(
            look(workspace, sandbox, paths[:_MOST_FILES]), _checklist(workspace, sandbox)
        )
        found = seen.told_apart(await self._pasts(held, workspace, sandbox, before, snapshots, seen))
        if len(paths) > _MOST_FILES:
            notes.append(f"Only the first {_MOST_FILES:,} of {len(paths):,} changed files were looked at.")
        return DiffChecks(
            findings=[_shown(item) for item in found[:_MOST_FINDINGS]],
            more=max(0, len(found) - _MOST_FINDINGS),
            ran=list(seen.ran),
            not_run=[_gap(gap) for gap in seen.not_run],
            checklist=checklist,
            notes=notes,
        )

    async def _pasts(
        self,
        held: Held,
        workspace: Workspace,
        sandbox: Sandbox,
        before: dict[str, str | None],
        snapshots: Snapshots | None,
        seen: Look,
    ) -> dict[str, Past | None]:
        """What was found at the start of the task in the files in which something is found now."""
        pasts: dict[str, Past | None] = {}
        contents: dict[str, bytes] = {}
        for path in dict.fromkeys(finding.path for finding in seen.findings):
            content = await self._content_at_start(held, before, snapshots, path)
            if content is None:
                pasts[path] = None
            elif content:
                contents[path] = content
            else:
                pasts[path] = NOTHING
        if contents:
            try:
                pasts |= await look_back(workspace, sandbox, contents, place=self.place)
            except (OSError, WorkspaceError, SandboxUnavailable):
                pasts |= dict.fromkeys(contents)
        return pasts

    async def _content_at_start(
        self, held: Held, before: dict[str, str | None], snapshots: Snapshots | None, path: str
    ) -> bytes | None:
        """What the file held when the task began, nothing for one that there was not; None: nobody knows."""
        if path not in before:
            return None
        digest = before[path]
        if digest is None:
            return b""
        async with self.database.statement() as connection:
            original = await originals.read(connection, held.journal.conversation_id, digest)
        if original is not None or snapshots is None:
            return original
        try:
            return await in_thread(lambda: snapshots.content(digest), snapshots.stop)
        except SnapshotFailed:
            return None


async def _checklist(workspace: Workspace, sandbox: Sandbox) -> tuple[list[ChecklistItem], list[str]]:
    listing = await list_files(workspace, sandbox)
    items = await in_thread(lambda: go_through(listing.sources))
    return [_bounded(item) for item in items], list(listing.notes)


def _bounded(item: ChecklistItem) -> ChecklistItem:
    proofs = sorted(item.proofs, key=lambda proof: proof.verdict is not Verdict.FAILED)
    told = (proof.model_copy(update={"why": redact(proof.why)}) for proof in proofs[:_MOST_PROOFS])
    return item.model_copy(update={"proofs": tuple(told)})


def _shown(item: DiffFinding) -> DiffFinding:
    return item.model_copy(update={"path": redact(item.path)})


def _gap(gap: NotRun) -> NotRun:
    return gap.model_copy(update={"reason": redact(gap.reason)})


def _account(whole: Sequence[ev.Recorded]) -> Account | None:
    said = [item.event for item in whole if isinstance(item.event, ev.TaskAccounted)]
    return said[-1].account if said else None


def _is_file(workspace: Workspace, path: str) -> bool:
    try:
        with workspace.locate(path, follow=False):
            return True
    except (WorkspaceError, OSError):
        return False
