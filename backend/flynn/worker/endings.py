"""How a worker lets go of a run: it is over, or it waits. Each is one transaction under its epoch.

What came in since the worker last looked is applied first, so that no words are left unanswered and no
interrupt unheard: then the answer is False, and the loop goes on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.agent.fold import Transcript
from flynn.agent.open_run import RunTotals
from flynn.agent.turns import Cancelled, Completed, Failed, Waits
from flynn.domain import events as ev
from flynn.domain.run import Limits, RunState
from flynn.domain.usage import Usage
from flynn.intake.ending import conclude
from flynn.store import log, runs, standing
from flynn.store.admission import AdmissionLimits, admit
from flynn.store.database import Database
from flynn.store.rows import ConversationRow, RunRow
from flynn.telemetry.crash_point import reach
from flynn.telemetry.metrics import Metrics
from flynn.telemetry.redaction import redact
from flynn.worker.journal import Journal

UNDO_REFUSED = "undo-refused"
"""The code of a run that ended without undoing what it was to undo."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endings:
    """Ends and waits. `limits` are those of a successor that answers words which came too late."""

    database: Database
    limits: Limits
    admission: AdmissionLimits
    metrics: Metrics = field(default_factory=Metrics)

    async def complete(self, journal: Journal, stop: Completed) -> bool:
        """End the run well, unless words came in: then False."""
        async with journal.turn, self.database.begin() as connection:
            conversation = await _look(connection, journal)
            if journal.transcript.unanswered():
                return False
            run = journal.transcript.run
            event = ev.RunCompleted(
                stop_reason=stop.stop_reason, steps=run.turns, usage=run.usage, nanodollars=run.nanodollars
            )
            recorded = await self._conclude(connection, journal, conversation, event, successor=False)
        reach("end.after-commit")
        return _done(journal, recorded)

    async def revert(self, journal: Journal, reverted: ev.WorkspaceReverted) -> bool:
        """End the run of an undo with what came of it; words that came since get a run of their own.

        An undo that has begun comes to its end, but an interrupt still ends what was said before it.
        """
        async with journal.turn, self.database.begin() as connection:
            conversation = await _look(connection, journal)
            late = journal.transcript.unanswered(after=_asked_at(journal.transcript))
            recorded = await log.append(
                connection, journal.conversation_id, journal.run_id, [reverted], epoch=journal.epoch
            )
            event: ev.RunCompleted | ev.RunFailed
            if reverted.refused is None:
                event = ev.RunCompleted(stop_reason="undone", steps=0, usage=Usage(), nanodollars=0)
            else:
                event = ev.RunFailed(
                    code=UNDO_REFUSED, detail=reverted.refused, steps=0, usage=Usage(), nanodollars=0
                )
            recorded += await self._conclude(connection, journal, conversation, event, successor=late)
        reach("end.after-commit")
        return _done(journal, recorded)

    async def fail(self, journal: Journal, stop: Failed) -> bool:
        """End the run badly; words that came after its last call and claim get a run of their own.

        The others were this run's: with a successor for them, what fails at once would do so for ever.
        An undo answers no words, so all that came since it was asked for, or since it was to stop, get one.
        """

        def event(run: RunTotals) -> ev.RunFailed:
            return ev.RunFailed(
                code=stop.code,
                detail=redact(stop.detail),
                steps=run.turns,
                usage=run.usage,
                nanodollars=run.nanodollars,
            )

        return await self._end(journal, event, answered=_asked_at)

    async def cancel(self, journal: Journal, stop: Cancelled) -> bool:
        """End the run as asked; words that came after the interrupt get a run of their own."""

        def event(run: RunTotals) -> ev.RunCancelled:
            return ev.RunCancelled(
                principal=stop.principal,
                reason=stop.reason,
                content=stop.content,
                steps=run.turns,
                usage=run.usage,
                nanodollars=run.nanodollars,
            )

        return await self._end(journal, event, answered=lambda transcript: transcript.interrupted_at)

    async def _end(
        self,
        journal: Journal,
        event: Callable[[RunTotals], ev.RunFailed | ev.RunCancelled],
        *,
        answered: Callable[[Transcript], int],
    ) -> bool:
        """End a run before the agent did; words later than the seq `answered` want a successor."""
        async with journal.turn, self.database.begin() as connection:
            conversation = await _look(connection, journal)
            transcript = journal.transcript
            late = transcript.unanswered(after=answered(transcript))
            recorded = await self._conclude(
                connection, journal, conversation, event(transcript.run), successor=late
            )
        reach("end.after-commit")
        if transcript.interrupted is not None and transcript.interrupted_since is not None:
            for item in recorded:
                if isinstance(item.event, ev.RunCancelled):
                    latency = (item.at - transcript.interrupted_since).total_seconds()
                    self.metrics.interrupt_seconds.observe(max(0.0, latency))
        return _done(journal, recorded)

    async def wait(self, journal: Journal, stop: Waits) -> bool:
        """Let the run wait, unless it was asked to stop or given more meanwhile: then False."""
        async with journal.turn, self.database.begin() as connection:
            await _look(connection, journal)
            if journal.transcript.interrupted is not None:
                return False
            if stop.limits is not None and stop.limits != journal.transcript.run.limits:
                return False
            if stop.task is not None and stop.task != journal.transcript.task.limits:
                return False
            if stop.after is not None and stop.after != journal.transcript.seq:
                return False
            event = ev.RunWaiting(
                reason=stop.reason, detail=redact(stop.detail), retry_at=stop.retry_at, asked=stop.asked
            )
            events: list[ev.EventData] = [event] if stop.reached is None else [stop.reached, event]
            recorded = await log.append(
                connection, journal.conversation_id, journal.run_id, events, epoch=journal.epoch
            )
            await runs.wait_run(
                connection, journal.run_id, reason=stop.reason, detail=redact(stop.detail), at=stop.retry_at
            )
            await admit(connection, self.admission)
            reach("wait.before-commit")
        reach("wait.after-commit")
        return _done(journal, recorded)

    async def leave_lane(
        self, journal: Journal, skipped: ev.CheckoutSkipped, task_id: UUID
    ) -> ev.InterruptRequested | None:
        """Queue the run again for the workspace itself: there can be no checkout for its task.

        Nothing is done when it was asked to stop, which is given then: it is not to wait for the workspace.
        """
        async with journal.turn, self.database.begin() as connection:
            await _look(connection, journal)
            if journal.transcript.interrupted is not None:
                return journal.transcript.interrupted
            await runs.lock_run(connection, journal.run_id)
            await runs.leave_lane(connection, journal.run_id, task_id)
            recorded = await log.append(
                connection,
                journal.conversation_id,
                journal.run_id,
                [skipped, ev.RunQueued(reason="resume")],
                epoch=journal.epoch,
            )
            await admit(connection, self.admission)
            reach("lane.before-commit")
        reach("lane.after-commit")
        journal.publish(recorded)
        return None

    async def hand_back(self, journal: Journal, job_id: int) -> None:
        """Say that this worker lets go of the run because it ends: nobody was lost. Raises LeaseLost.

        The run keeps its job, which goes to the next worker, and its slots.
        """
        async with journal.turn, self.database.begin() as connection:
            await runs.check_epoch(connection, journal.conversation_id, journal.epoch)
            if not await runs.hand_back(connection, journal.run_id, job_id):
                return
            recorded = await log.append(
                connection,
                journal.conversation_id,
                journal.run_id,
                [ev.RunQueued(reason="resume")],
                epoch=journal.epoch,
            )
            reach("hand-back.before-commit")
        reach("hand-back.after-commit")
        # The transcript is done with; whoever watches is told.
        journal.publish(recorded)

    async def refuse(
        self, run_id: UUID, stop: Failed, *, publish: Callable[[Sequence[ev.Recorded]], None]
    ) -> None:
        """End a run that cannot even be claimed; nothing when it is over already."""
        async with self.database.begin() as connection:
            conversation_id = await runs.conversation_of(connection, run_id)
            if conversation_id is None:
                return
            conversation = await runs.lock_conversation(connection, conversation_id)
            run = await runs.lock_run(connection, run_id)
            if run.state.final:
                return
            await runs.raise_epoch(connection, conversation_id)
            event = ev.RunFailed(
                code=stop.code,
                detail=redact(stop.detail),
                steps=run.turns,
                usage=Usage(),
                nanodollars=run.nanodollars,
            )
            recorded = await conclude(
                connection, conversation, run, event, epoch=None, successor=None, admission=self.admission
            )
            reach("refuse.before-commit")
        reach("refuse.after-commit")
        publish(recorded)

    async def _conclude(
        self,
        connection: AsyncConnection,
        journal: Journal,
        conversation: ConversationRow,
        event: ev.RunCompleted | ev.RunFailed | ev.RunCancelled,
        *,
        successor: bool,
    ) -> list[ev.Recorded]:
        run = await runs.lock_run(connection, journal.run_id)
        recorded = await conclude(
            connection,
            conversation,
            run,
            event,
            epoch=journal.epoch,
            successor=self.limits if successor else None,
            admission=self.admission,
        )
        reach("end.before-commit")
        return recorded


async def queue_waiting(
    connection: AsyncConnection, run_id: UUID, admission: AdmissionLimits
) -> list[ev.Recorded]:
    """Queue a run again: its time has come, its job is lost, or nobody has its volume any more.

    Nothing happens when it moved on meanwhile. A run that was at work then has lost its worker.
    """
    conversation_id = await runs.conversation_of(connection, run_id)
    if conversation_id is None:
        return []
    await runs.lock_conversation(connection, conversation_id)
    run = await runs.lock_run(connection, run_id)
    ready = await standing.due_runs(connection, run_id) or await standing.stranded_runs(connection, run_id)
    if not ready and not await _taken_back(connection, run):
        return []
    await runs.raise_epoch(connection, conversation_id)
    await runs.queue_again(connection, run_id, lost=run.state is RunState.RUNNING)
    recorded = await log.append(connection, conversation_id, run_id, [ev.RunQueued(reason="resume")])
    await admit(connection, admission)
    return recorded


def _asked_at(transcript: Transcript) -> int:
    """The seq up to which words are the open run's own: later ones want a successor when it ends.

    What was said before an interrupt was stopped with the run, even where the run came to its own end.
    """
    if transcript.undo is not None:
        return max(transcript.undo.seq, transcript.interrupted_at)
    return max(transcript.last_step_at, transcript.entered_at, transcript.interrupted_at)


async def _taken_back(connection: AsyncConnection, run: RunRow) -> bool:
    """Whether the run had a job that nobody can serve, and that is gone now."""
    if run.job_id is None or not await standing.unserved_runs(connection, run.id):
        return False
    return await runs.drop_job(connection, run.job_id)


async def _look(connection: AsyncConnection, journal: Journal) -> ConversationRow:
    conversation = await runs.check_epoch(connection, journal.conversation_id, journal.epoch)
    if conversation.head > journal.transcript.seq:
        journal.apply(await log.read(connection, journal.conversation_id, after_seq=journal.transcript.seq))
    return conversation


def _done(journal: Journal, recorded: list[ev.Recorded]) -> bool:
    journal.publish(recorded)
    return True
