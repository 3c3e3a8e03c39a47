"""What can be done to an open run: stop it, or give it more."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.agent.delivery import is_left
from flynn.domain import events as ev
from flynn.domain.content import text_block
from flynn.domain.errors import Conflict
from flynn.domain.orders import BudgetOrder
from flynn.domain.principal import Principal
from flynn.domain.run import RunState
from flynn.domain.usage import nanodollars
from flynn.domain.views import RunView
from flynn.intake.access import act_in_conversation
from flynn.intake.ending import conclude
from flynn.intake.raising import raised_limits
from flynn.intake.rules import Rules
from flynn.store import log, runs, task_budgets
from flynn.store.admission import admit
from flynn.store.rows import ConversationRow, RunRow
from flynn.store.visibility import see_conversation
from flynn.telemetry.redaction import redact


async def interrupt(
    connection: AsyncConnection,
    principal: Principal,
    conversation_id: UUID,
    reason: str | None,
    *,
    rules: Rules,
) -> tuple[RunView | None, list[ev.Recorded]]:
    """Ask a running run's worker to stop; end a queued or waiting run right here.

    But one that left something in its checkout and is about to go on is left to the worker that comes for
    it, since only a worker can hand that over; who asks again does not wait for that.
    """
    await see_conversation(connection, principal, conversation_id)
    return await stop(connection, principal.name, conversation_id, reason, rules=rules)


async def stop(
    connection: AsyncConnection, who: str, conversation_id: UUID, reason: str | None, *, rules: Rules
) -> tuple[RunView | None, list[ev.Recorded]]:
    """The same in the name of `who`, whose right to it was seen to."""
    conversation = await runs.lock_conversation(connection, conversation_id)
    run = await runs.open_run(connection, conversation_id)
    if run is None:
        latest = await runs.latest_run(connection, conversation_id)
        return (latest.view() if latest else None), []
    reason = redact(reason) if reason else reason
    asked = ev.InterruptRequested(principal=who, reason=reason)
    leaves = await _leaves(connection, conversation, run)
    recorded = await log.append(connection, conversation_id, run.id, [asked])
    if run.state is RunState.RUNNING or leaves:
        await runs.announce_input(connection, conversation_id)
        return run.view(), recorded
    # No worker holds it. A claim that is just under way finds a higher epoch and a run that is over.
    await runs.raise_epoch(connection, conversation_id)
    cancelled = ev.RunCancelled(
        principal=who,
        reason=reason,
        # Of an undo the agent knows nothing yet; if it is asked for again, it finds what was done of it.
        content=[text_block(rules.interrupted)] if run.kind == "agent" else [],
        nanodollars=run.nanodollars,
    )
    recorded += await conclude(
        connection, conversation, run, cancelled, epoch=None, successor=None, admission=rules.admission
    )
    ended = await runs.latest_run(connection, conversation_id)
    return (ended or run).view(), recorded


async def _leaves(connection: AsyncConnection, conversation: ConversationRow, run: RunRow) -> bool:
    """Whether the worker that comes for a queued run has something to hand over; who asks twice is not kept
    waiting for it.
    """
    if run.state is not RunState.QUEUED or run.started_at is None or run.job_id is None:
        return False
    if conversation.checkout != "own":
        return False
    types = ("interrupt.requested",)
    if await log.latest(connection, conversation.id, run.id, types) is not None:
        return False
    return is_left(await log.read(connection, conversation.id))


async def raise_budget(
    connection: AsyncConnection,
    principal: Principal,
    conversation_id: UUID,
    order: BudgetOrder,
    *,
    rules: Rules,
) -> tuple[RunView, list[ev.Recorded]]:
    """Lift limits of the open run and of its task. Raises Conflict without an open run, InvalidInput for a
    limit that would fall or that the task does not have.

    An order that is sent again is answered and changes nothing, also when the run is over by then.
    """
    await act_in_conversation(connection, principal, conversation_id)
    await runs.lock_conversation(connection, conversation_id)
    event = ev.BudgetRaised(
        principal=principal.name,
        turns=order.turns,
        nanodollars=None if order.dollars is None else nanodollars(order.dollars),
        prompt_tokens=order.prompt_tokens,
        task=order.task.limits if order.task is not None else None,
    )
    run = await runs.open_run(connection, conversation_id)
    known = run or await runs.latest_run(connection, conversation_id)
    if known is not None and await _resent(connection, known, event):
        return known.view(), []
    if run is None:
        raise Conflict("There is no open run whose limits could be raised; send a message to start one.")
    held = await task_budgets.task_limits(connection, conversation_id)
    raised, task = raised_limits(run.limits, held, event)
    follows: list[ev.EventData] = [event]
    run = await runs.set_limits(connection, run.id, raised)
    if task is not None:
        await task_budgets.set_task_limits(connection, conversation_id, task)
    if run.state is RunState.WAITING:
        run = await runs.queue_again(connection, run.id)
        follows.append(ev.RunQueued(reason="resume"))
    recorded = await log.append(connection, conversation_id, run.id, follows)
    await admit(connection, rules.admission)
    await runs.announce_input(connection, conversation_id)
    return run.view(), recorded


async def _resent(connection: AsyncConnection, run: RunRow, event: ev.BudgetRaised) -> bool:
    """Whether the same was done to the run already, and it has not waited for anything since."""
    types = ("budget.raised", "run.waiting")
    before = await log.latest(connection, run.conversation_id, run.id, types)
    return before is not None and before.event == event
