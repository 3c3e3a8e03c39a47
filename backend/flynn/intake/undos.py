"""Undo: what a call did to files, or all that was done after a seq, is to be taken back.

Committed once, whatever is sent again.
"""

from typing import assert_never
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.domain import events as ev
from flynn.domain.errors import Conflict, InvalidInput, NotFound
from flynn.domain.evidence import FileChanged
from flynn.domain.orders import UndoOrder
from flynn.domain.principal import Principal
from flynn.domain.tool_result import Outcome
from flynn.domain.views import UndoAcknowledgement
from flynn.intake.access import act_in_conversation
from flynn.intake.messages import rank
from flynn.intake.rules import Rules
from flynn.store import differences, log, originals, runs, undos
from flynn.store.admission import admit


async def undo(
    connection: AsyncConnection,
    principal: Principal,
    conversation_id: UUID,
    order: UndoOrder,
    *,
    rules: Rules,
) -> tuple[UndoAcknowledgement, list[ev.Recorded]]:
    """Commit the wish and the run that follows; nothing is appended for a resend.

    The run waits its turn for the workspace as any other does, and whether the file is still as the call
    left it is looked at then. Raises NotFound without such a call, Conflict while a run is open and for
    what cannot be undone, QueueFull, and InvalidInput when the client's id was used for another call.
    """
    await act_in_conversation(connection, principal, conversation_id)
    conversation = await runs.lock_conversation(connection, conversation_id)
    if again := await _resent(connection, conversation_id, order):
        return again, []
    target = await _target(connection, conversation_id, order)
    request = ev.UndoRequested(principal=principal.name, client_undo_id=order.client_undo_id, target=target)
    run = await runs.queue_run(
        connection,
        conversation,
        principal.id,
        rules.limits,
        priority=await rank(connection, conversation),
        kind="undo",
        depth=rules.admission,
    )
    recorded = await log.append(connection, conversation_id, run.id, [request, ev.RunQueued(reason="undo")])
    await admit(connection, rules.admission)
    await runs.check_depth(connection, principal.id, rules.admission)
    acknowledgement = UndoAcknowledgement(
        conversation_id=conversation_id,
        call_id=order.call_id,
        to_seq=order.to_seq,
        seq=recorded[0].seq,
        run=run.view(),
    )
    return acknowledgement, recorded


async def _resent(
    connection: AsyncConnection, conversation_id: UUID, order: UndoOrder
) -> UndoAcknowledgement | None:
    if order.client_undo_id is None:
        return None
    found = await undos.find_request(connection, conversation_id, order.client_undo_id)
    if found is None or not isinstance(found.event, ev.UndoRequested) or found.run_id is None:
        return None
    if not _is(found.event.target, order):
        raise InvalidInput(
            f"client_undo_id {order.client_undo_id!r} was used for another undo in this conversation; use a "
            "new one for a new undo.",
            errors=[{"field": "client_undo_id", "message": "was used for another undo"}],
        )
    run = await runs.lock_run(connection, found.run_id)
    return UndoAcknowledgement(
        conversation_id=conversation_id,
        call_id=order.call_id,
        to_seq=order.to_seq,
        seq=found.seq,
        run=run.view(),
        duplicate=True,
    )


def _is(target: ev.Undone, order: UndoOrder) -> bool:
    match target:
        case ev.UndoneCall():
            return target.call_id == order.call_id
        case ev.UndoneSince():
            return target.seq == order.to_seq
        case _:
            assert_never(target)


async def _target(connection: AsyncConnection, conversation_id: UUID, order: UndoOrder) -> ev.Undone:
    """What the order is about, if it can be undone as far as the log says. Raises NotFound, Conflict."""
    call: tuple[int, ev.ToolFinished] | None = None
    if order.call_id is not None:
        call = await undos.find_call(connection, conversation_id, order.call_id)
        if call is None and not await undos.is_started(connection, conversation_id, order.call_id):
            raise NotFound(f"No call {order.call_id!r} was ever begun in this conversation.")
    if (open_run := await runs.open_run(connection, conversation_id)) is not None:
        raise Conflict(
            f"A run of this conversation is {open_run.state.value}: stop it or wait for its end, then undo "
            "what it did."
        )
    if order.to_seq is not None:
        return await _since(connection, conversation_id, order.to_seq)
    if call is None:
        raise _unknown()
    return await _call(connection, conversation_id, *call)


async def _since(connection: AsyncConnection, conversation_id: UUID, seq: int) -> ev.UndoneSince:
    """All that was done after `seq`. Raises Conflict when that is nothing, or not all of it is known."""
    told = [item for item in await differences.told(connection, conversation_id) if item.seq > seq]
    if not told:
        raise Conflict(f"No change of the workspace is told of after {seq}: there is nothing to undo.")
    if missed := [item.seq for item in told if item.missed]:
        raise Conflict(
            f"Not all that was done after {seq} is known: no snapshot could be taken at {missed[-1]}. Undo "
            "single calls, or go back no further than that."
        )
    return ev.UndoneSince(seq=seq)


async def _call(
    connection: AsyncConnection, conversation_id: UUID, seq: int, call: ev.ToolFinished
) -> ev.UndoneCall:
    """The call that ended at `seq`, if it can be undone as far as the log says. Raises Conflict."""
    changes = [item for item in call.evidence if isinstance(item, FileChanged)]
    target = ev.UndoneCall(call_id=call.call_id, seq=seq)
    if await undos.is_reverted(connection, conversation_id, seq):
        raise Conflict("This call was undone already. Go back to a seq to undo an undo.")
    if not changes:
        told = await differences.told(connection, conversation_id)
        if any(item.call_id == call.call_id and item.seq > seq and item.pair for item in told):
            return target
        if call.outcome in (Outcome.UNKNOWN, Outcome.CANCELLED):
            raise _unknown()
        raise Conflict(
            f"This call of {call.tool} cannot be undone: no snapshot tells of a change that it made."
        )
    for change in changes:
        gone = change.before is not None and not await originals.is_kept(
            connection, conversation_id, change.before
        )
        if gone or not change.kept:
            raise Conflict(
                f"What {change.path} held before this call is not kept (any more): it was too large, its "
                "name cannot be told, or it is too long ago."
            )
    return target


def _unknown() -> Conflict:
    return Conflict(
        "Nobody knows what this call did, since it was cut off while it ran: there is nothing certain to go "
        "back to. Look at the file."
    )
