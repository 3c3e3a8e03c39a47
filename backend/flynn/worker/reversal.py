"""The reversal: what the run of an undo does with the files of one call.

It tells from the log what the call did, takes from the store what was there before, and restores that
under the run's fence, the way Write writes. It calls no model and starts no process, and may be done
again after any crash: files that are as they were before are left alone.
"""

from collections.abc import Callable
from dataclasses import dataclass

from flynn.agent.open_run import Undo
from flynn.agent.prompt import Prompts
from flynn.domain import events as ev
from flynn.domain.content import text_block
from flynn.domain.errors import WorkspaceError
from flynn.domain.evidence import FileChanged
from flynn.store import log, originals
from flynn.store.database import Database
from flynn.telemetry.crash_point import reach
from flynn.telemetry.redaction import redact
from flynn.tools.thread import in_thread
from flynn.worker.claims import Held
from flynn.workspace.fence import Fence
from flynn.workspace.restoration import restore
from flynn.workspace.root import Workspace


class NotKept(WorkspaceError):
    """What the file held before is not in the store."""

    code = "not-kept"
    title = "The content from before is not kept any more"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversal:
    """Undoes calls. `deadline` and `confirm` are those of the run's lease."""

    database: Database
    prompts: Prompts
    deadline: Callable[[], float]
    confirm: Callable[[], None]

    async def act(self, held: Held, workspace: Workspace) -> ev.WorkspaceReverted:
        """Take the call back, or say why not. Raises LeaseLost; cancelled, the file work has ended."""
        undo = held.journal.transcript.undo
        if undo is None:
            raise ValueError("the log of this run asks for no undo")
        reach("revert.before-act")
        reverted = await self._revert(held, undo, workspace)
        reach("revert.after-act")
        return reverted

    async def _revert(self, held: Held, undo: Undo, workspace: Workspace) -> ev.WorkspaceReverted:
        target = undo.request.target
        tool, changes = await self._changes(held, target)
        try:
            # No tool changes more than one file in a call: of a refusal it is true that nothing was changed.
            for change in changes:
                await self._restore(held, workspace, change)
        except WorkspaceError as error:
            why = f"{redact(error.detail).rstrip('.')}. Nothing was changed by the undo."
            return ev.WorkspaceReverted(target=target, refused=why)
        files = [
            ev.RevertedFile(path=change.path, before=change.after, after=change.before) for change in changes
        ]
        note = self.prompts.note(
            "undone",
            who=undo.request.principal,
            tool=tool,
            paths=", ".join(change.path for change in changes),
            gone=all(change.before is None for change in changes),
        )
        return ev.WorkspaceReverted(target=target, files=files, content=[text_block(redact(note))])

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
