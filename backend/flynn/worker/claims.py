"""Claiming a run: raise the epoch, freeze the prefix, read the log. One transaction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from uuid import UUID

from flynn.agent.fold import Transcript
from flynn.agent.shelf import media_of
from flynn.domain import events as ev
from flynn.domain.blob import references
from flynn.domain.content import Json
from flynn.domain.run import RunState
from flynn.store import blobs, log, prefixes, runs, spending, task_budgets
from flynn.store.database import Database
from flynn.store.rows import ConversationRow, RunRow
from flynn.telemetry.crash_point import reach
from flynn.worker.journal import Journal, Payer

Freeze = Callable[[ConversationRow], tuple[Json, str]]
"""Renders the prefix of a conversation and names the agent's version."""


@dataclass(frozen=True, slots=True)
class Held:
    """A run that this worker holds now."""

    conversation: ConversationRow
    run: RunRow
    prefix: Json
    journal: Journal
    taken_over: bool = False
    """Whether another worker was lost under it."""
    worked: float = 0.0
    """Seconds that runs of the conversation had been at work until the claim."""
    task_id: UUID | None = None
    """The task that the conversation is for, if it is for one."""
    claimed_at: float = field(default_factory=monotonic)

    def at_work(self) -> float:
        """Seconds that runs of the conversation have been at work until now."""
        return self.worked + monotonic() - self.claimed_at


async def claim(
    database: Database,
    run_id: UUID,
    *,
    job_id: int,
    worker: str,
    again: bool,
    freeze: Freeze,
    allowed: int | None,
    publish: Callable[[Sequence[ev.Recorded]], None],
) -> Held | None:
    """Take the run, or None when it is over, waits, or is another job's by now.

    `again` says that this very worker held it a moment ago, so that nobody was lost under it. `allowed` are
    the nano-dollars that a principal may spend in a day.
    """
    async with database.begin() as connection:
        conversation = await runs.lock_conversation_of(connection, run_id)
        if conversation is None:
            return None
        conversation_id = conversation.id
        run = await runs.lock_run(connection, run_id)
        if run.state not in (RunState.QUEUED, RunState.RUNNING) or run.job_id != job_id:
            return None
        fresh = run.started_at is None
        epoch = await runs.raise_epoch(connection, conversation_id)
        let_go = again or fresh or await runs.was_let_go(connection, job_id)
        taken_over = run.state is RunState.RUNNING and not let_go
        run = await runs.start_run(connection, run, lost=taken_over)
        if conversation.prefix_digest is None:
            prefix, version = freeze(conversation)
            await prefixes.freeze(connection, conversation_id, prefix, version=version)
        else:
            prefix = await prefixes.read_prefix(connection, conversation.prefix_digest)
        started = ev.RunStarted(epoch=epoch, worker=worker)
        recorded = await log.append(connection, conversation_id, run_id, [started], epoch=epoch)
        whole = await log.read(connection, conversation_id)
        most = prefix.get("max_turns")
        if fresh and most and most < run.limits.turns and not _raised(whole, run_id):
            # The agent is content with fewer turns; whoever raises the limit later raises this one.
            run = await runs.set_limits(connection, run_id, run.limits.model_copy(update={"turns": most}))
        media = [block for item in whole for block in media_of(item.event)]
        digests = {source["sha256"] for source in references(media)}
        kept = await blobs.read(connection, conversation_id, digests) if digests else []
        task = await task_budgets.task_limits(connection, conversation_id)
        task_id = await task_budgets.task_id(connection, conversation_id) if task is not None else None
        worked = await task_budgets.time_at_work(connection, conversation_id)
        payer = Payer(
            run.principal_id,
            await spending.payer_name(connection, run.principal_id),
            allowed,
            await spending.read_day(connection, run.principal_id),
        )
        reach("claim.before-commit")
    reach("claim.after-commit")
    journal = Journal(
        database,
        Transcript(prefix=prefix, limits=run.limits, task=task),
        conversation_id=conversation_id,
        run_id=run_id,
        epoch=epoch,
        payer=payer,
        publish=publish,
    )
    journal.transcript.shelf.load(media, kept)
    journal.apply(whole)
    journal.publish(recorded)
    return Held(conversation, run, prefix, journal, taken_over, worked, task_id)


def _raised(whole: Sequence[ev.Recorded], run_id: UUID) -> bool:
    """Whether somebody has given the run other turns before it began: no limit falls."""
    return any(
        item.run_id == run_id and isinstance(item.event, ev.BudgetRaised) and item.event.turns is not None
        for item in whole
    )
