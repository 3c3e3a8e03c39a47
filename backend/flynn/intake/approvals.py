"""Decisions about calls that wait for a yes, and the mode that says which calls do."""

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.agent.rule_match import check_rule
from flynn.domain import events as ev
from flynn.domain.content import clean, text_block
from flynn.domain.errors import Conflict, InvalidInput
from flynn.domain.orders import ApprovalOrder
from flynn.domain.permission import BadRule, PermissionMode, Rule
from flynn.domain.principal import Principal
from flynn.domain.run import RunState
from flynn.domain.views import ApprovalView
from flynn.intake.access import act_in_conversation
from flynn.intake.rules import Rules
from flynn.store import approvals, log, runs
from flynn.store.admission import admit
from flynn.store.rows import RunRow
from flynn.telemetry.redaction import redact
from flynn.tools.pattern import BadPattern

_MODE = text("UPDATE conversations SET permission_mode = :mode WHERE id = :c")


async def decide(
    connection: AsyncConnection,
    principal: Principal,
    conversation_id: UUID,
    approval_id: UUID,
    order: ApprovalOrder,
    *,
    rules: Rules,
) -> tuple[ApprovalView, list[ev.Recorded]]:
    """Commit a decision; the run goes on when nothing of it waits for one any more.

    The same decision again changes nothing. Raises NotFound, Conflict when it is decided otherwise or
    cannot be decided any more, InvalidInput for a digest that is not this call's or a rule that is none.
    """
    await act_in_conversation(connection, principal, conversation_id)
    await runs.lock_conversation(connection, conversation_id)
    held = await approvals.find(connection, conversation_id, approval_id)
    if order.call_digest != held.call_digest:
        raise InvalidInput(
            "The decision is for another call than this one: call_digest does not match. Read the approval "
            "again and decide what it says now.",
            errors=[{"field": "call_digest", "message": "is not that of this approval's call"}],
        )
    _check_rule(order, held)
    decided = "allowed" if order.decision == "allow" else "denied"
    if held.state == decided:
        return held, []
    if held.state != "pending":
        raise Conflict(f"This call is not waiting for a decision any more: it is {held.state}.")
    if held.expires_at <= datetime.now(UTC):
        raise Conflict(f"The time to decide was up at {held.expires_at:%Y-%m-%d %H:%M:%S} UTC.")
    run = await runs.open_run(connection, conversation_id)
    if run is None or run.id != held.run_id:
        raise Conflict("The run that asked for this is over; there is nothing to decide.")
    event = ev.ApprovalDecided(
        approval_id=approval_id,
        call_id=held.call_id,
        call_digest=held.call_digest,
        decision=order.decision,
        principal=principal.name,
        message=redact(clean(order.message)) if order.message else None,
        remember=order.remember,
        rule=order.rule,
    )
    recorded = await log.append(connection, conversation_id, run.id, [event])
    left = await approvals.pending(connection, conversation_id)
    recorded += await _go_on(connection, run, conversation_id, resume=not left, rules=rules)
    return await approvals.find(connection, conversation_id, approval_id), recorded


async def change_mode(
    connection: AsyncConnection,
    principal: Principal,
    conversation_id: UUID,
    mode: PermissionMode,
    *,
    rules: Rules,
) -> list[ev.Recorded]:
    """Change the conversation's mode; a run that waits for a yes looks again whether it needs one."""
    await act_in_conversation(connection, principal, conversation_id)
    conversation = await runs.lock_conversation(connection, conversation_id)
    if conversation.permission_mode is mode:
        return []
    await connection.execute(_MODE, {"c": conversation_id, "mode": mode.value})
    if conversation.head == 0:
        return []  # nothing was said yet: the opening will tell of it
    run = await runs.open_run(connection, conversation_id)
    event = ev.ModeChanged(principal=principal.name, mode=mode, content=[text_block(rules.modes[mode])])
    recorded = await log.append(connection, conversation_id, run.id if run else None, [event])
    if run is not None:
        recorded += await _go_on(connection, run, conversation_id, resume=True, rules=rules)
    return recorded


async def _go_on(
    connection: AsyncConnection, run: RunRow, conversation_id: UUID, *, resume: bool, rules: Rules
) -> list[ev.Recorded]:
    """Tell the run's worker, or queue the run again when it waits for a yes."""
    await runs.announce_input(connection, conversation_id)
    if not resume or run.state is not RunState.WAITING or run.reason != "approval":
        return []
    await runs.queue_again(connection, run.id)
    recorded = await log.append(connection, conversation_id, run.id, [ev.RunQueued(reason="resume")])
    await admit(connection, rules.admission)
    return recorded


def _check_rule(order: ApprovalOrder, held: ApprovalView) -> None:
    if order.rule is None and not order.remember:
        return
    problem: str | None = None
    field = "rule" if order.rule is not None else "remember"
    if order.decision == "deny":
        problem = "only goes with the decision allow"
    elif order.rule is not None:
        try:
            rule = Rule.parse(order.rule)
            check_rule(rule, "allow")
        except (BadRule, BadPattern) as error:
            problem = str(error)
        else:
            if rule.tool != held.tool and not (rule.tool == "Edit" and held.tool == "Write"):
                problem = f"speaks of {rule.tool}, but the call is one of {held.tool}"
    if problem is not None:
        raise InvalidInput(f"{field}: {problem}.", errors=[{"field": field, "message": problem}])
