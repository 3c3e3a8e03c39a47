"""Delegated tasks: each owns a conversation, and an idempotency key brings it in once."""

import hashlib
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.agent.agent_catalog import Catalog
from flynn.domain import events as ev
from flynn.domain.branch import own_branch
from flynn.domain.errors import Conflict, InvalidInput
from flynn.domain.orders import TaskBudget, TaskOrder
from flynn.domain.principal import Principal
from flynn.intake import callbacks, conversations, messages
from flynn.intake.access import see_task
from flynn.intake.briefing import brief_of, kept
from flynn.intake.rules import Rules
from flynn.store import runs
from flynn.store.rows import ConversationRow
from flynn.telemetry.redaction import redact
from flynn.workspace.mounts import Place
from flynn.workspace.repository import is_repository

LONGEST_DELAY = timedelta(days=30)
"""How far ahead a task may be put off."""

_LATER = (
    *("priority", "not_before", "after", "after_failed", "deadline", "acceptance_criteria", "context"),
    *("callback_url", "callback_events", "callback_secret", "budget", "branch", "checkout"),
)

_BEGIN = text("SELECT pg_try_advisory_xact_lock(hashtextextended(CAST(:p AS text) || ' ' || :key, 0))")
_CLAIM = text("""
INSERT INTO idempotency_keys (principal_id, key, digest, task_id) VALUES (:p, :key, :digest, :task)
ON CONFLICT DO NOTHING RETURNING task_id""")
_FIND = text("SELECT digest, task_id FROM idempotency_keys WHERE principal_id = :p AND key = :key")
_INSERT = text("""
INSERT INTO tasks (id, conversation_id, principal_id, title, instructions, after, after_failed, deadline,
                   acceptance_criteria, context, limit_turns, limit_tokens, limit_nanodollars, limit_seconds,
                   checkout, branch)
VALUES (:id, :c, :p, :title, :instructions, CAST(:after AS uuid[]), :after_failed, :deadline,
        CAST(:criteria AS text[]), CAST(:context AS json), :turns, :tokens, :nanodollars, :seconds,
        :checkout, :branch)""")


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

    Secrets in its words are redacted before anything is written. Raises QueueFull, ModelKeyMissing, and
    InvalidInput for a time too far ahead and for a callback to where none may be.

    Raises Conflict while another post with the same key is being carried out.
    """
    instructions = redact(messages.check(order.instructions, rules))
    task_id = uuid4()
    if idempotency_key is not None:
        known = await _known(connection, principal, idempotency_key, order, task_id)
        if known is not None:
            return known, []
    _check_times(order)
    for place, before in enumerate(order.after):
        await see_task(connection, principal, before, field=f"after.{place}")
    callbacks.check(order, rules)
    brief = await brief_of(connection, principal, order, rules)
    conversation_id = await conversations.create(
        connection,
        principal,
        agents=agents,
        agent=order.agent,
        workspace=order.workspace or rules.default_workspace,
        title=order.title or messages.title_of(instructions),
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
            "after": list(dict.fromkeys(order.after)) or None,
            "after_failed": order.after_failed if order.after else None,
            "deadline": order.deadline,
            "criteria": [redact(criterion) for criterion in order.acceptance_criteria] or None,
            "context": kept(order.context),
            **(order.budget or TaskBudget()).limits.model_dump(),
            "checkout": order.checkout,
            "branch": (order.branch or own_branch(task_id)) if order.checkout == "own" else None,
        },
    )
    await callbacks.keep(connection, principal, order, task_id, conversation_id)
    conversation = await runs.lock_conversation(connection, conversation_id)
    lane = _first_lane(conversation, order, rules)
    message = messages.first_words(principal, conversation, instructions, rules, brief=brief, placed=not lane)
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
        after=list(dict.fromkeys(order.after)),
        deadline=order.deadline,
        lane=lane,
    )
    return task_id, recorded


def _first_lane(conversation: ConversationRow, order: TaskOrder, rules: Rules) -> str:
    """What the task's first run takes of the workspace: its branch, unless there is no repository for sure.

    Only the worker knows: it looks when the run starts, and until then a task before this one may make a
    repository. Where this process has the files too, it saves a run a start in vain. Raises InvalidInput for
    a branch of what is no repository and will not become one.
    """
    path = rules.mounts.resolve(Place(conversation.volume_id, conversation.workspace_path))
    if not conversation.lane or path is None or is_repository(path):
        return conversation.lane
    if order.branch is not None and not order.after and order.not_before is None:
        raise InvalidInput(
            f"The workspace {conversation.workspace_name!r} is no git repository of its own, so there is no "
            "branch in it: leave branch out.",
            errors=[{"field": "branch", "message": "the workspace is no git repository of its own"}],
        )
    return ""


def _check_times(order: TaskOrder) -> None:
    now = datetime.now(UTC)
    problems = [
        {"field": name, "message": f"should be at most {LONGEST_DELAY.days} days ahead"}
        for name in ("not_before", "deadline")
        if (at := getattr(order, name)) is not None and at > now + LONGEST_DELAY
    ]
    if order.deadline is not None and order.deadline <= max(now, order.not_before or now):
        problems.append(
            {"field": "deadline", "message": "should be in the future, and later than not_before"}
        )
    if problems:
        said = "; ".join(f"{problem['field']}: {problem['message']}" for problem in problems)
        raise InvalidInput(f"{said}.", errors=problems)


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
