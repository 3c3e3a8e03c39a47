"""Callbacks of tasks: taken with the order, and revived when somebody asks for it."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.domain.callback import NOTEWORTHY, new_secret
from flynn.domain.destination import Destination
from flynn.domain.errors import Conflict, InvalidInput
from flynn.domain.orders import ReplayOrder, TaskOrder
from flynn.domain.principal import Principal
from flynn.intake.access import act_in_conversation
from flynn.intake.rules import Rules
from flynn.store import callbacks


def check(order: TaskOrder, rules: Rules) -> None:
    """Raise InvalidInput for a callback to where none may be, as far as the address shows."""
    if order.callback_url is None:
        return
    try:
        rules.destinations.check(Destination.read(order.callback_url))
    except ValueError as error:
        raise InvalidInput(
            f"callback_url: {error}.", errors=[{"field": "callback_url", "message": str(error)}]
        ) from None


async def keep(
    connection: AsyncConnection,
    principal: Principal,
    order: TaskOrder,
    task_id: UUID,
    conversation_id: UUID,
) -> None:
    """Keep a task's callback, if its order asks for one, with a secret made here where it names none."""
    if order.callback_url is None:
        return
    await callbacks.keep(
        connection,
        task_id=task_id,
        conversation_id=conversation_id,
        principal_id=principal.id,
        url=order.callback_url,
        events=sorted(set(order.callback_events or NOTEWORTHY)),
        secret=order.callback_secret or new_secret(),
        made_here=order.callback_secret is None,
    )


async def replay(
    connection: AsyncConnection,
    principal: Principal,
    task_id: UUID,
    conversation_id: UUID,
    order: ReplayOrder,
) -> None:
    """Let a task's callback go on. Raises NotFound, Forbidden, and Conflict when the task has none."""
    await act_in_conversation(connection, principal, conversation_id)
    if not await callbacks.replay(connection, task_id, after_seq=order.after_seq):
        raise Conflict("This task has no callback: it was delegated without a callback_url.")
