"""The end of a run: its last event, a successor if words are unanswered, a task's report, the next run.

Used by intake for runs that no worker holds, and by workers for their own. The caller holds the
conversation's row.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Literal
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.agent.report import build_report
from flynn.domain import events as ev
from flynn.domain.run import Limits, RunState
from flynn.store import log, runs, spending, task_budgets
from flynn.store.admission import AdmissionLimits, admit
from flynn.store.rows import ConversationRow, RunRow

_LAST_STEP = text("""
SELECT type, data FROM events WHERE conversation_id = :c AND run_id = :r
  AND type IN ('step.started', 'step.completed', 'step.failed') ORDER BY seq DESC LIMIT 1""")
_CRITERIA = text("SELECT acceptance_criteria FROM tasks WHERE id = :t")
_REPORT = text("UPDATE tasks SET report = CAST(:report AS json) WHERE id = :t")

Final = Literal["completed", "failed", "cancelled"]
_FINALS: Mapping[RunState, Final] = MappingProxyType(
    {
        RunState.COMPLETED: "completed",
        RunState.FAILED: "failed",
        RunState.CANCELLED: "cancelled",
    }
)
Ended = ev.RunCompleted | ev.RunFailed | ev.RunCancelled


async def conclude(
    connection: AsyncConnection,
    conversation: ConversationRow,
    run: RunRow,
    event: Ended,
    *,
    epoch: int | None,
    successor: Limits | None,
    admission: AdmissionLimits,
) -> list[ev.Recorded]:
    """End `run` with `event` and do all that follows from it; returns what was appended.

    With `successor`, words are unanswered: a run with those limits is queued for them, and a task's
    report waits for its end. A model call that a lost worker left open is settled first, at what was
    reserved for it: it is this run's, whoever goes on with the conversation.
    """
    events: list[ev.EventData] = []
    if lost := await _open_step(connection, conversation.id, run.id):
        events.append(lost)
        await task_budgets.charge_lost_call(connection, run.id, lost.tokens or 0)
        await spending.settle(connection, conversation.id, lost.nanodollars)
        event = event.model_copy(update={"nanodollars": event.nanodollars + lost.nanodollars})
    final, reason, detail = _outcome(event)
    recorded = await log.append(connection, conversation.id, run.id, [*events, event], epoch=epoch)
    ended = await runs.end_run(
        connection,
        run,
        state=RunState(final),
        reason=reason,
        detail=detail,
        nanodollars=event.nanodollars or None,
    )
    if successor is not None:
        following = await runs.queue_run(
            connection,
            conversation,
            run.principal_id,
            successor,
            priority=run.priority,
            deadline=run.deadline,
        )
        recorded += await log.append(
            connection, conversation.id, following.id, [ev.RunQueued(reason="successor")]
        )
    elif conversation.task_id is not None and (run.kind == "agent" or final == "completed"):
        recorded += await _report(connection, conversation, ended, conversation.task_id)
    await admit(connection, admission)
    return recorded


async def _report(
    connection: AsyncConnection, conversation: ConversationRow, ended: RunRow, task_id: UUID
) -> list[ev.Recorded]:
    """A task's report, also anew when something of it was undone: how it ended stays as it was then."""
    work = await runs.latest_work(connection, conversation.id) if ended.kind == "undo" else ended
    if work is None or not work.state.final:
        raise RuntimeError("an undo without work that is over")
    whole = await log.read(connection, conversation.id)
    criteria = await connection.scalar(_CRITERIA, {"t": task_id})
    report = build_report(
        task_id,
        whole,
        state=_FINALS[work.state],
        stop_reason=work.reason or "",
        detail=work.detail,
        began=whole[0].at,
        ended=work.ended_at or datetime.now(UTC),
        criteria=criteria or (),
    )
    await connection.execute(_REPORT, {"t": task_id, "report": report.model_dump_json()})
    return await log.append(connection, conversation.id, ended.id, [ev.TaskReported(report=report)])


async def _open_step(
    connection: AsyncConnection, conversation_id: UUID, run_id: UUID
) -> ev.StepFailed | None:
    """The end of the run's model call that has none."""
    row = (await connection.execute(_LAST_STEP, {"c": conversation_id, "r": run_id})).one_or_none()
    if row is None or row.type != "step.started":
        return None
    return ev.StepFailed(
        step=row.data["step"],
        reason="worker_lost",
        detail="Its worker was lost during the call.",
        nanodollars=row.data["reserved_nanodollars"],
        tokens=row.data.get("reserved_tokens", 0),
        settlement="worst_case",
    )


def _outcome(event: Ended) -> tuple[Final, str, str | None]:
    match event:
        case ev.RunCompleted():
            return "completed", event.stop_reason, None
        case ev.RunFailed():
            return "failed", event.code, event.detail
        case ev.RunCancelled():
            return "cancelled", "cancelled", event.reason
