"""The reversal: what the run of an undo does with files.

What Write and Edit did comes back from what the store kept of it, what else a call did from snapshots: under
the run's fence, the way Write writes. It calls no model and starts no process, and may be done again after
any crash: files that are as they were before are left alone.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, assert_never

from flynn.agent.changes import MOST_FILES, shown, tell
from flynn.agent.open_run import Undo
from flynn.agent.prompt import Prompts
from flynn.domain import events as ev
from flynn.domain.content import text_block
from flynn.domain.errors import LeaseLost, WorkspaceError
from flynn.domain.evidence import FileChanged
from flynn.store import differences, log, originals
from flynn.store.database import Database
from flynn.telemetry.crash_point import reach
from flynn.telemetry.redaction import redact
from flynn.tools.thread import in_thread
from flynn.worker.claims import Held
from flynn.workspace.fence import Fence
from flynn.workspace.restoration import restore
from flynn.workspace.root import Workspace
from flynn.workspace.snapshots.comparison import Net
from flynn.workspace.snapshots.rollback import RolledBackPartly, roll_back
from flynn.workspace.snapshots.snapshots import SnapshotFailed, Snapshots

_NAMED: Final = 10
"""Paths that the model and refusals are told; it finds the others by looking."""
_TITLED: Final = 2
"""Paths that a commit's title names."""


class NotKept(WorkspaceError):
    """What the file held before is not in the store."""

    code = "not-kept"
    title = "The content from before is not kept any more"


class NotCovered(WorkspaceError):
    """Not all that is to be undone is in snapshots."""

    code = "not-covered"
    title = "Snapshots do not tell of all that is to be undone"


@dataclass(slots=True)
class _Undone:
    """What was done: the files, what had to stay, and what the model is told."""

    files: list[ev.RevertedFile] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversal:
    """Undoes what calls did. `deadline` and `confirm` are those of the run's lease."""

    database: Database
    prompts: Prompts
    deadline: Callable[[], float]
    confirm: Callable[[], None]
    snapshots: Snapshots | None = None

    async def act(self, held: Held, workspace: Workspace) -> ev.WorkspaceReverted:
        """Take it back, or say why not. Raises LeaseLost; cancelled, the file work has ended."""
        undo = held.journal.transcript.undo
        if undo is None:
            raise ValueError("the log of this run asks for no undo")
        before = await self._begin(held)
        reach("revert.before-act")
        reverted = await self._revert(held, undo, workspace)
        reach("revert.after-act")
        after = await self._look() if before is not None else None
        trees = {"before": before, "after": after} if after is not None else {}
        return reverted.model_copy(update=trees)

    async def _begin(self, held: Held) -> str | None:
        """The snapshot from before the undo; that of a worker which was lost over it, if there is one."""
        snapshots = self.snapshots
        if snapshots is None:
            return None
        seq = held.journal.transcript.seq

        def begin() -> str:
            began = snapshots.began()
            return began[0] if began is not None else snapshots.begin(seq).tree

        try:
            return await in_thread(begin, snapshots.stop)
        except SnapshotFailed:
            return None  # the undo is told without snapshots, and cannot be undone by seq

    async def _look(self) -> str | None:
        snapshots = self.snapshots
        if snapshots is None:
            return None
        try:
            return (await in_thread(snapshots.look, snapshots.stop)).tree
        except SnapshotFailed:
            return None

    async def _revert(self, held: Held, undo: Undo, workspace: Workspace) -> ev.WorkspaceReverted:
        target = undo.request.target
        try:
            undone = await self._undo(held, undo, workspace)
        except RolledBackPartly as error:
            why = f"{redact(error.detail).rstrip('.')}. Ask again to go on."
            return ev.WorkspaceReverted(target=target, refused=why)
        except (WorkspaceError, SnapshotFailed) as error:
            detail = error.detail if isinstance(error, WorkspaceError) else f"It cannot be undone: {error}"
            why = f"{redact(detail).rstrip('.')}. Nothing was changed by the undo."
            return ev.WorkspaceReverted(target=target, refused=why)
        return ev.WorkspaceReverted(
            target=target,
            files=undone.files[:MOST_FILES],
            more=max(0, len(undone.files) - MOST_FILES),
            left=undone.left[:MOST_FILES],
            content=[text_block(redact(undone.note))],
        )

    async def _undo(self, held: Held, undo: Undo, workspace: Workspace) -> _Undone:
        target = undo.request.target
        match target:
            case ev.UndoneCall():
                tool, changes = await self._changes(held, target)
                if changes:
                    return await self._restore_call(held, undo, workspace, tool, changes)
                return await self._roll_back(
                    held, undo, workspace, lambda told: told.call_id == target.call_id
                )
            case ev.UndoneSince():
                return await self._roll_back(held, undo, workspace, lambda told: told.seq > target.seq)
            case _:
                assert_never(target)

    # -- a Write or Edit ---------------------------------------------------------------------------------

    async def _restore_call(
        self, held: Held, undo: Undo, workspace: Workspace, tool: str, changes: Sequence[FileChanged]
    ) -> _Undone:
        # No tool changes more than one file in a call: of a refusal it is true that nothing was changed.
        for change in changes:
            await self._restore(held, workspace, change)
        note = self.prompts.note(
            "undone",
            who=undo.request.principal,
            tool=tool,
            paths=", ".join(change.path for change in changes),
            gone=all(change.before is None for change in changes),
        )
        files = [
            ev.RevertedFile(path=change.path, before=change.after, after=change.before) for change in changes
        ]
        return _Undone(files, note=note)

    async def _changes(self, held: Held, target: ev.UndoneCall) -> tuple[str, list[FileChanged]]:
        """The call's tool, and what the call did, as its end in the log says."""
        async with self.database.statement() as connection:
            found = await log.read(
                connection, held.journal.conversation_id, after_seq=target.seq - 1, limit=1
            )
        if not found or not isinstance(found[0].event, ev.ToolFinished):
            raise ValueError(f"no call ended at {target.seq}")
        call = found[0].event
        return call.tool, [item for item in call.evidence if isinstance(item, FileChanged)]

    async def _restore(self, held: Held, workspace: Workspace, change: FileChanged) -> None:
        original: bytes | None = None
        if change.before is not None:
            async with self.database.statement() as connection:
                original = await originals.read(connection, held.journal.conversation_id, change.before)
            if original is None:
                raise NotKept(f"What {change.path} held before that call is not kept any more.")
        fence = Fence(deadline=self.deadline(), confirm=self.confirm)
        await in_thread(lambda: restore(workspace, change, original, fence=fence), fence.stop)

    def _confirm(self) -> None:
        """Raise LeaseLost unless the lease, which may have been renewed since, holds right now."""
        self.confirm()
        if time.clock_gettime(time.CLOCK_BOOTTIME) >= self.deadline():
            raise LeaseLost("The lease's deadline passed before the undo was through; the rest was not done.")

    # -- by snapshots --------------------------------------------------------------------------------------

    async def _roll_back(
        self, held: Held, undo: Undo, workspace: Workspace, wanted: Callable[[differences.Told], bool]
    ) -> _Undone:
        """Take back what the events that are `wanted` tell of."""
        snapshots = self.snapshots
        if snapshots is None:
            raise NotCovered("This worker takes no snapshots (FLYNN_SNAPSHOTS_MB=0).")
        async with self.database.statement() as connection:
            told = await differences.told(connection, held.journal.conversation_id)
        steps = [item for item in told if wanted(item)]
        if any(item.missed for item in steps):
            raise NotCovered("Not all that was done since then is in snapshots.")
        pairs = [item.pair for item in steps if item.pair is not None]
        fence = Fence(confirm=self._confirm)

        def act() -> _Undone:
            net = snapshots.net(pairs)
            changes = net.left()
            _refuse_broken(net, {change.path for change in changes})
            left = roll_back(workspace, changes, snapshots.content, fence=fence)
            files = [
                ev.RevertedFile(path=item.path, before=item.after, after=item.before)
                for item in tell(changes, snapshots, 0)[0]
            ]
            return _Undone(files, [*map(shown, left), *map(shown, sorted(net.uncovered))])

        undone = await in_thread(act, fence.stop)
        undone.note = self.prompts.note(
            "rolled_back",
            who=undo.request.principal,
            paths=", ".join(file.path for file in undone.files[:_NAMED]) or "nothing that is left",
            more=max(0, len(undone.files) - _NAMED),
            one=len(undone.files) <= 1,
        )
        return undone


def what_was_undone(reverted: ev.WorkspaceReverted) -> str | None:
    """What was undone, in the words of a commit's title; None when nothing was."""
    if reverted.refused is not None:
        return None
    target = reverted.target
    match target:
        case ev.UndoneCall():
            begins = f"call at event {target.seq}"
        case ev.UndoneSince():
            begins = f"all since event {target.seq}"
        case _:
            assert_never(target)
    named = ", ".join(file.path for file in reverted.files[:_TITLED])
    others = max(0, len(reverted.files) - _TITLED) + reverted.more
    return begins + (f", {named}" if named else "") + (f" and {others} more" if others else "")


def _refuse_broken(net: Net, paths: set[str]) -> None:
    """Raise NotCovered when somebody else changed, in between, what is to be undone."""
    broken = sorted(map(shown, net.broken & paths))
    if broken:
        more = f" and {len(broken) - _NAMED} more" if len(broken) > _NAMED else ""
        raise NotCovered(
            "Somebody else changed what is to be undone, between the calls of this conversation: "
            f"{', '.join(broken[:_NAMED])}{more}."
        )
