"""Delegated tasks: each owns a conversation, and an idempotency key brings it in once."""

import hashlib
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.agent.agent_catalog import Catalog
from flynn.domain import events as ev
from flynn.domain.errors import Conflict, InvalidInput
from flynn.domain.orders import TaskOrder
from flynn.domain.principal import Principal
from flynn.intake import callbacks, conversations, messages
from flynn.intake.rules import Rules
from flynn.store import runs
from flynn.telemetry.redaction import redact

LONGEST_DELAY = timedelta(days=30)
"""How far ahead a task may be put off."""

_LATER = ("priority", "not_before", "callback_url", "callback_events", "callback_secret")

_BEGIN = text("SELECT pg_try_advisory_xact_lock(hashtextextended(CAST(:p AS text) || ' ' || :key, 0))")
_CLAIM = text("""
INSERT INTO idempotency_keys (principal_id, key, digest, task_id) VALUES (:p, :key, :digest, :task)
ON CONFLICT DO NOTHING RETURNING task_id""")
_FIND = text("SELECT digest, task_id FROM idempotency_keys WHERE principal_id = :p AND key = :key")
_INSERT = text("""
INSERT INTO tasks (id, conversation_id, principal_id, title, instructions)
VALUES (:id, :c, :p, :title, :instructions)""")


async def delegate(
    connection: AsyncConnection,
    principal: Principal,
    order: TaskOrder,
    idempotency_key: str | None,
    *,
    agents: Catalog,
    rules: Rules,
) -> tuple[UUID, list[ev.Recorded]]:
    """Commit a task with its conversation and run; with a known key, return the task it brought in.

    Secrets in its words are redacted before anything is written. Raises QueueFull, and InvalidInput for a
    time too far ahead and for a callback to where none may be.

    Raises Conflict while another post with the same key is being carried out.
    """
    instructions = redact(messages.check(order.instructions, rules))
    task_id = uuid4()
    if idempotency_key is not None:
        known = await _known(connection, principal, idempotency_key, order, task_id)
        if known is not None:
            return known, []
    _check_time(order.not_before)
    callbacks.check(order, rules)
    conversation_id = await conversations.create(
        connection,
        principal,
        agents=agents,
        agent=order.agent,
        workspace=order.workspace or rules.default_workspace,
        title=order.title,
        permission_mode=order.permission_mode,
    )
    await connection.execute(
        _INSERT,
        {
            "id": task_id,
            "c": conversation_id,
            "p": principal.id,
            "title": redact(order.title) if order.title else order.title,
            "instructions": instructions,
        },
    )
    await callbacks.keep(connection, principal, order, task_id, conversation_id)
    conversation = await runs.lock_conversation(connection, conversation_id)
    message = messages.first_words(principal, conversation, instructions, rules)
    recorded, _run = await messages.accept(
        connection,
        conversation,
        principal,
        message,
        None,
        "task",
        rules=rules,
        priority=order.priority,
        not_before=order.not_before,
    )
    return task_id, recorded


def _check_time(not_before: datetime | None) -> None:
    if not_before is not None and not_before > datetime.now(UTC) + LONGEST_DELAY:
        raise InvalidInput(
            f"not_before: should be at most {LONGEST_DELAY.days} days ahead.",
            errors=[{"field": "not_before", "message": f"should be at most {LONGEST_DELAY.days} days ahead"}],
        )


def _digest(order: TaskOrder) -> str:
    # Fields that orders had not always have no part in it at their defaults: a resend across an upgrade
    # is the same order.
    fields = TaskOrder.model_fields
    plain = {name for name in _LATER if getattr(order, name) == fields[name].default}
    return hashlib.sha256(order.model_dump_json(exclude=plain).encode("utf-8", "replace")).hexdigest()


async def _known(
    connection: AsyncConnection, principal: Principal, key: str, order: TaskOrder, task_id: UUID
) -> UUID | None:
    if not await connection.scalar(_BEGIN, {"p": str(principal.id), "key": key}):
        raise Conflict(
            f"An order with the Idempotency-Key {key!r} is just being taken; send this one again in a second "
            "to get its answer.",
            retry_after=1,
        )
    digest = _digest(order)
    parameters = {"p": principal.id, "key": key, "digest": digest, "task": task_id}
    if (await connection.execute(_CLAIM, parameters)).one_or_none() is not None:
        return None
    row = (await connection.execute(_FIND, {"p": principal.id, "key": key})).one()
    if row.digest != digest:
        raise InvalidInput(
            f"Idempotency-Key {key!r} was used for another task; use a new key for a new task.",
            errors=[{"field": "Idempotency-Key", "message": "was used with another body"}],
        )
    found: UUID = row.task_id
    return found
