"""Checkouts: where a task's run works, and how what it made gets back.

A task with a checkout of its own enters that when its run starts, and leaves it at every stop, also when it
begins to wait: whoever ends a waiting run holds no files. What cannot have one works in the workspace itself,
for which it first needs the workspace's turn. Everything here may be done again after any crash.
"""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from flynn.agent.delivery import is_left
from flynn.agent.prompt import Prompts
from flynn.agent.turns import Cancelled
from flynn.domain import events as ev
from flynn.domain.branch import own_branch
from flynn.domain.content import text_block
from flynn.domain.errors import FlynnError, SandboxUnavailable, Unavailable, WorkspaceError
from flynn.sandbox.command import Sandbox
from flynn.sandbox.view import owner_to_become, walkable
from flynn.store import log, runs
from flynn.store.database import Database
from flynn.telemetry.crash_point import reach
from flynn.telemetry.redaction import redact
from flynn.worker.claims import Held
from flynn.worker.endings import Endings
from flynn.workspace.beside import Beside
from flynn.workspace.checkout import Checkout, Identity, Note, settle_message
from flynn.workspace.git import Git, GitFailed, GitMissing
from flynn.workspace.handover import HandedOver, hand_over
from flynn.workspace.mounts import Mounts, Place
from flynn.workspace.repository import (
    BranchBlocked,
    BranchInUse,
    NoRepository,
    Survey,
    objects_of,
    survey,
)
from flynn.workspace.root import Workspace

STOP_SECONDS = 20.0
"""How long the hand-over of a task may take that was stopped: whoever stopped it waits for its end."""
DIRECTORY = "checkouts"
"""The directory of all checkouts in what the service keeps on a volume."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """Where a run works. `checkout` is None in the workspace itself."""

    workspace: Workspace
    checkout: Checkout | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkouts:
    """Makes and hands over checkouts; `email` is the address that stands in their commits."""

    database: Database
    sandbox: Sandbox
    prompts: Prompts
    endings: Endings
    mounts: Mounts
    email: str

    def git(self, deadline: Callable[[], float | None], confirm: Callable[[], None]) -> Git:
        """git under the lease of a run."""
        return Git(sandbox=self.sandbox, deadline=deadline, confirm=confirm)

    async def enter(self, held: Held, workspace: Workspace, git: Git) -> Station | None:
        """Where the run works; None when it was queued again, for the workspace itself, or stopped.

        Raises LeaseLost, and for what the order asks for and cannot be BranchInUse, BranchBlocked,
        NoRepository or another FlynnError.
        """
        conversation = held.conversation
        branch, task_id = conversation.branch, conversation.task_id
        if conversation.checkout != "own" or branch is None or task_id is None:
            return Station(workspace=workspace)
        place = Place(conversation.volume_id, conversation.workspace_path)
        try:
            private = await asyncio.to_thread(self.mounts.private, place, conversation.workspace_name)
            checkout = Checkout(private / DIRECTORY / str(task_id), task_id)
            note = await asyncio.to_thread(_known, checkout)
            made = note is None
            found: Survey | None
            if note is None:
                found = await survey(workspace, git, branch)
                note = await self._make(held, workspace, checkout, found, git, branch)
            else:
                note, found = await self._go_on(workspace, checkout, note, git)
        except (NoRepository, GitFailed, GitMissing, SandboxUnavailable, Unavailable, OSError) as error:
            return await self._without(held, workspace, error, branch)
        if made or held.journal.transcript.checkout is None:
            await self._tell(held, checkout, note, found)
        identity = self._identity(held)
        beside = Beside(shown=(objects_of(workspace.path),), environment=identity.environment())
        opened = self.mounts.open_private(checkout.tree, quota_bytes=workspace.quota_bytes, beside=beside)
        return Station(workspace=opened, checkout=checkout)

    async def leave(
        self,
        held: Held,
        workspace: Workspace,
        station: Station,
        git: Git,
        *,
        waits: bool = False,
        seconds: float | None = None,
        undone: str | None = None,
    ) -> None:
        """Commit what is not committed, hand the branch over to `workspace`, and append what came of it.

        After `seconds` git is stopped, and what is there is left to the next hand-over. `undone` names what
        an undo took back. What does not work is told in the event; raises LeaseLost only.
        """
        checkout = station.checkout
        if checkout is None:
            return
        after: Note | None = None
        scope = asyncio.timeout(seconds)
        try:
            note = await asyncio.to_thread(_known, checkout)
            if note is None:
                raise GitFailed("The checkout is gone.")
            title = _title(held, waits=waits, undone=undone)
            async with scope:
                event, after = await self._hand_over(held, workspace, checkout, note, git, title)
        except (WorkspaceError, SandboxUnavailable, OSError) as error:
            late = f"The task was stopped, and git was not done within {seconds or 0:g} s"
            event = _failed(held, GitFailed(late) if scope.expired() else error)
        if await self._is_news(held, event, waits=waits):
            await held.journal.append([event])
        reach("handover.told")
        if after is not None:
            # Only now: what the note knows to be shared is not told of again. Where the disk does not take
            # it, the next hand-over finds the branch as it is, and tells of the same commits.
            with suppress(OSError):
                await asyncio.to_thread(checkout.write, after)

    async def _is_news(self, held: Held, event: ev.TaskCommitted, *, waits: bool) -> bool:
        """Whether `event` says what the log does not."""
        before = held.journal.transcript.handed_over
        same = before is not None and (before.head, before.outcome, before.detail) == (
            event.head,
            event.outcome,
            event.detail,
        )
        if not same and (event.outcome != "unchanged" or (before is None and not waits)):
            return True
        async with self.database.statement() as connection:
            # That there was nothing to hand over is news where calls may have left something.
            return is_left(await log.read(connection, held.journal.conversation_id))

    async def _hand_over(
        self, held: Held, workspace: Workspace, checkout: Checkout, note: Note, git: Git, title: str
    ) -> tuple[ev.TaskCommitted, Note | None]:
        """What came of it, and the note of that which is to be written when it was told, if any is."""
        identity = self._identity(held)
        reach("handover.begun")
        sealed = await checkout.seal(
            git,
            note,
            objects_of(workspace.path),
            identity=identity,
            subject=title,
            quota=workspace.quota_bytes,
        )
        reach("handover.sealed")
        result, after = HandedOver(outcome="unchanged"), None
        if sealed.new:
            await asyncio.to_thread(checkout.write, replace(note, handing=True))
            result = await hand_over(workspace, checkout, note, sealed, git, identity=identity)
            shared = sealed.head if result.outcome == "updated" else note.shared
            after = replace(note, shared=shared, handing=False)
        said = " ".join((*((result.detail,) if result.detail else ()), *sealed.remarks))
        event = ev.TaskCommitted(
            branch=note.branch,
            base=note.base,
            head=sealed.head,
            commits=list(result.commits),
            more=result.more,
            outcome=result.outcome,
            detail=said or None,
        )
        return event, after

    async def _go_on(
        self, workspace: Workspace, checkout: Checkout, note: Note, git: Git
    ) -> tuple[Note, Survey | None]:
        """The checkout that there is, with what was committed to its branch elsewhere.

        Where git or the repository fails, what is in it is not lost: the hand-over will say so.
        """
        found: Survey | None = None
        objects = objects_of(workspace.path)
        try:
            note = await checkout.attach(git, note, objects)
            found = await survey(workspace, git, note.branch)
            return await checkout.refresh(git, found, note, objects), found
        except (NoRepository, GitFailed, GitMissing, SandboxUnavailable, OSError):
            return note, found

    async def _make(
        self, held: Held, workspace: Workspace, checkout: Checkout, found: Survey, git: Git, branch: str
    ) -> Note:
        if found.in_use:
            raise BranchInUse(
                f"The workspace {held.conversation.workspace_name!r} has the branch {branch!r} checked out: "
                "it cannot be changed under the feet of whoever works there. Name another branch, check out "
                'another one there, or order the task with checkout "workspace".'
            )
        if found.blocked:
            raise BranchBlocked(
                f"There can be no branch {branch!r} beside the branches that there are: git keeps them like "
                "files and directories. Name another one."
            )
        owner = owner_to_become(workspace.path)
        await asyncio.to_thread(checkout.clear, owner)
        if owner is not None and not self.mounts.by_descriptor and not walkable(checkout.tree, owner):
            raise GitFailed("The workspace's owner could not walk to where checkouts lie on its volume.")
        return await checkout.make(
            git, found, branch, objects_of(workspace.path), quota=workspace.quota_bytes
        )

    async def _tell(self, held: Held, checkout: Checkout, note: Note, found: Survey | None) -> None:
        before = held.journal.transcript.checkout
        uncommitted = found.uncommitted if found else None
        words = self.prompts.note(
            "checkout",
            path=str(checkout.tree),
            branch=note.branch,
            base=note.base[:12],
            default_branch=note.default_branch,
            existing=note.existing,
            again=before is not None,
            uncommitted=uncommitted,
        )
        event = ev.CheckoutMade(
            branch=note.branch,
            base=note.base,
            existing=note.existing,
            default_branch=note.default_branch,
            uncommitted=uncommitted,
            again=before is not None,
            content=[text_block(words)],
        )
        await held.journal.append([event])
        reach("checkout.told")

    async def _without(
        self, held: Held, workspace: Workspace, error: Exception, branch: str
    ) -> Station | None:
        """Have the task work in the workspace itself, unless its order names a branch: then raise."""
        task_id = held.conversation.task_id
        if task_id is None:
            raise error
        if held.run.kind == "undo" and held.journal.transcript.checkout is not None:
            # What is to be undone was never done in the workspace's own files.
            raise error if isinstance(error, FlynnError) else GitFailed(f"The disk said: {error}.")
        code = getattr(error, "code", "no-checkout")
        detail = str(getattr(error, "detail", None) or getattr(error, "strerror", None) or error)
        if branch != own_branch(task_id):
            raise NoRepository(
                f"The order names the branch {branch!r}, and there can be no checkout for it. {detail}"
            )
        words = self.prompts.note("no_checkout", path=str(workspace.path), reason=detail.rstrip("."))
        skipped = ev.CheckoutSkipped(code=code, detail=redact(detail), content=[text_block(redact(words))])
        if held.run.lane:
            asked = await self.endings.leave_lane(held.journal, skipped, task_id)
            if asked is not None:
                content = [text_block(self.prompts.note("interrupted"))]
                await self.endings.cancel(held.journal, Cancelled(asked.principal, asked.reason, content))
            return None
        async with self.database.begin() as connection:
            await runs.settle_without_checkout(connection, task_id)
        had = held.journal.transcript.checkout is not None
        if had or not await asyncio.to_thread(_is_plain, workspace):
            # Where there is no .git nobody expects a checkout, and the opening has said where the files are.
            await held.journal.append([skipped])
        return Station(workspace=workspace)

    def _identity(self, held: Held) -> Identity:
        return Identity(name=held.conversation.agent, email=self.email)


def _title(held: Held, *, waits: bool, undone: str | None) -> str:
    """The first line of the commit of what the agent has not committed."""
    task = f"Task {held.conversation.task_id}"
    if undone is not None:
        return settle_message(redact(f"Undo: {undone}"), otherwise=task)
    title = settle_message(redact(held.conversation.title or task), otherwise=task)
    return settle_message(f"{title[:58]} (in progress)", otherwise=task) if waits else title


def _failed(held: Held, error: WorkspaceError | SandboxUnavailable | OSError) -> ev.TaskCommitted:
    """What is said of a hand-over that did not come to its end."""
    made = held.journal.transcript.checkout
    base = made.base if made else ""
    why = error.strerror if isinstance(error, OSError) else error.detail
    return ev.TaskCommitted(
        branch=held.conversation.branch or "",
        base=base,
        head=base,
        outcome="failed",
        detail=redact(f"{str(why).rstrip('.')}. What is there is in the task's checkout only."),
    )


def _is_plain(workspace: Workspace) -> bool:
    """Whether nothing looks like a repository."""
    return not os.path.lexists(workspace.path / ".git")


def _known(checkout: Checkout) -> Note | None:
    """What the checkout is; None when there is none that is whole."""
    try:
        note = checkout.read()
        if note is not None:
            checkout.look()
    except GitFailed:
        return None
    return note
