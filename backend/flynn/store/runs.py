"""Runs: their states, and the moves between them.

Locks are always taken in this order: the conversation's row, the run's row, admission's advisory lock.
Every move happens in a transaction that holds the conversation's row, beside the event that tells of it.
"""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.domain.errors import LeaseLost, NotFound
from flynn.domain.permission import PermissionMode
from flynn.domain.run import Limits, RunState
from flynn.store.rows import ConversationRow, RunRow

INPUT_CHANNEL = "flynn_input"

_CONVERSATION = """
SELECT c.id, c.principal_id, c.workspace_id, c.agent, c.agent_version, c.prefix_digest, c.head, c.epoch,
       c.permission_mode, w.path AS workspace_path, w.name AS workspace_name, w.volume_id,
       v.root AS volume_root, w.made AS workspace_made, w.quota_bytes AS workspace_quota, t.id AS task_id
FROM conversations c JOIN workspaces w ON w.id = c.workspace_id LEFT JOIN volumes v ON v.id = w.volume_id
LEFT JOIN tasks t ON t.conversation_id = c.id
WHERE c.id = :c"""
_LOCK = text(_CONVERSATION + " FOR UPDATE OF c")
_OPEN = text(
    "SELECT * FROM runs WHERE conversation_id = :c AND state IN ('queued','running','waiting') FOR UPDATE"
)
_LATEST = text("SELECT * FROM runs WHERE conversation_id = :c ORDER BY created_at DESC, id DESC LIMIT 1")
_BY_ID = text("SELECT * FROM runs WHERE id = :r FOR UPDATE")
_WHERE = text("SELECT conversation_id FROM runs WHERE id = :r")
_INSERT = text("""
INSERT INTO runs (id, conversation_id, workspace_id, principal_id, state,
                  limit_turns, limit_nanodollars, limit_prompt_tokens)
VALUES (:id, :conversation_id, :workspace_id, :principal_id, 'queued', :turns, :nanodollars, :prompt_tokens)
RETURNING *""")
_RAISE_EPOCH = text("UPDATE conversations SET epoch = epoch + 1 WHERE id = :c RETURNING epoch")
_START = text("""
UPDATE runs SET state = 'running', reason = NULL, detail = NULL, not_before = NULL, lost = :lost,
  started_at = coalesce(started_at, clock_timestamp()) WHERE id = :r RETURNING *""")
_WAIT = text("""
UPDATE runs SET state = 'waiting', reason = :reason, detail = :detail, not_before = :at, job_id = NULL
WHERE id = :r RETURNING *""")
_QUEUE_AGAIN = text("""
UPDATE runs SET state = 'queued', reason = NULL, detail = NULL, not_before = NULL, job_id = NULL,
  resume = true, queued_at = clock_timestamp() WHERE id = :r RETURNING *""")
_END = text("""
UPDATE runs SET state = :state, reason = :reason, detail = :detail, not_before = NULL, job_id = NULL,
  turns = coalesce(:turns, turns), nanodollars = coalesce(:nanodollars, nanodollars),
  ended_at = clock_timestamp() WHERE id = :r RETURNING *""")
_LIMITS = text("""
UPDATE runs SET limit_turns = :turns, limit_nanodollars = :nanodollars, limit_prompt_tokens = :prompt_tokens
WHERE id = :r RETURNING *""")
_DROP_JOB = text("DELETE FROM procrastinate_jobs WHERE id = :job AND status = 'todo'")
_DUE = text("""
SELECT id FROM runs WHERE state = 'waiting' AND not_before <= clock_timestamp()
ORDER BY not_before LIMIT 100""")
_HASTEN = text("""
UPDATE runs SET not_before = clock_timestamp() + random() * :within * interval '1 second'
WHERE id IN (
  SELECT r.id FROM runs r WHERE r.state = 'waiting' AND r.reason = 'model'
    AND r.not_before > clock_timestamp() + :within * interval '1 second'
    AND NOT coalesce((
      SELECT CAST(e.data ->> 'asked' AS boolean) FROM events e
      WHERE e.conversation_id = r.conversation_id AND e.run_id = r.id AND e.type = 'run.waiting'
      ORDER BY e.seq DESC LIMIT 1), false)
  FOR UPDATE OF r SKIP LOCKED)
RETURNING id""")
_STRANDED = text("""
SELECT r.id FROM runs r WHERE r.job_id IS NOT NULL AND NOT EXISTS (
  SELECT 1 FROM procrastinate_jobs j WHERE j.id = r.job_id AND j.status IN ('todo', 'doing')) LIMIT 100""")
_NOTIFY = text("SELECT pg_notify('flynn_input', :c)")


def _run(row: Row[Any]) -> RunRow:
    return RunRow(
        id=row.id,
        conversation_id=row.conversation_id,
        workspace_id=row.workspace_id,
        principal_id=row.principal_id,
        state=RunState(row.state),
        reason=row.reason,
        detail=row.detail,
        job_id=row.job_id,
        lost=row.lost,
        turns=row.turns,
        nanodollars=row.nanodollars,
        limits=Limits(
            turns=row.limit_turns,
            nanodollars=row.limit_nanodollars,
            prompt_tokens=row.limit_prompt_tokens,
        ),
        not_before=row.not_before,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
    )


async def lock_conversation(connection: AsyncConnection, conversation_id: UUID) -> ConversationRow:
    """Lock a conversation's row for this transaction. Raises NotFound."""
    row = (await connection.execute(_LOCK, {"c": conversation_id})).one_or_none()
    if row is None:
        raise NotFound(f"There is no conversation {conversation_id}.")
    mode = row.permission_mode
    return ConversationRow(
        **{**row._mapping, "permission_mode": PermissionMode(mode) if mode is not None else None}
    )


async def open_run(connection: AsyncConnection, conversation_id: UUID) -> RunRow | None:
    """The queued, running or waiting run of a locked conversation."""
    row = (await connection.execute(_OPEN, {"c": conversation_id})).one_or_none()
    return _run(row) if row else None


async def latest_run(connection: AsyncConnection, conversation_id: UUID) -> RunRow | None:
    """The newest run of a conversation, whatever its state."""
    row = (await connection.execute(_LATEST, {"c": conversation_id})).one_or_none()
    return _run(row) if row else None


async def queue_run(
    connection: AsyncConnection, conversation: ConversationRow, principal_id: UUID, limits: Limits
) -> RunRow:
    """Insert a queued run for a locked conversation that has no open one."""
    row = await connection.execute(
        _INSERT,
        {
            "id": uuid4(),
            "conversation_id": conversation.id,
            "workspace_id": conversation.workspace_id,
            "principal_id": principal_id,
            **limits.model_dump(),
        },
    )
    return _run(row.one())


async def conversation_of(connection: AsyncConnection, run_id: UUID) -> UUID | None:
    """The conversation of a run, without a lock."""
    found: UUID | None = await connection.scalar(_WHERE, {"r": run_id})
    return found


async def lock_run(connection: AsyncConnection, run_id: UUID) -> RunRow:
    """Lock a run's row; its conversation's is locked already."""
    return _run((await connection.execute(_BY_ID, {"r": run_id})).one())


async def raise_epoch(connection: AsyncConnection, conversation_id: UUID) -> int:
    """Fence every earlier worker of the conversation off; returns the new epoch."""
    return int((await connection.execute(_RAISE_EPOCH, {"c": conversation_id})).scalar_one())


async def check_epoch(connection: AsyncConnection, conversation_id: UUID, epoch: int) -> ConversationRow:
    """Lock the conversation and make sure that `epoch` still holds it. Raises LeaseLost."""
    conversation = await lock_conversation(connection, conversation_id)
    if conversation.epoch != epoch:
        raise LeaseLost(f"Conversation {conversation_id} has moved past epoch {epoch}.")
    return conversation


async def start_run(connection: AsyncConnection, run: RunRow, *, lost: bool) -> RunRow:
    """The run is running now; `lost` counts one more worker that was lost under it."""
    return _run((await connection.execute(_START, {"r": run.id, "lost": run.lost + lost})).one())


async def wait_run(
    connection: AsyncConnection, run_id: UUID, *, reason: str, detail: str, at: datetime | None
) -> RunRow:
    """The run waits and frees its slots; `at` is when it wakes by itself."""
    rows = await connection.execute(_WAIT, {"r": run_id, "reason": reason, "detail": detail, "at": at})
    return _run(rows.one())


async def queue_again(connection: AsyncConnection, run_id: UUID) -> RunRow:
    """A waiting or stranded run is queued again, ahead of fresh ones."""
    return _run((await connection.execute(_QUEUE_AGAIN, {"r": run_id})).one())


async def end_run(
    connection: AsyncConnection,
    run: RunRow,
    *,
    state: RunState,
    reason: str,
    detail: str | None,
    turns: int | None = None,
    nanodollars: int | None = None,
) -> RunRow:
    """The run is over and its slots are free; a job that no worker fetched yet goes with it."""
    if run.job_id is not None:
        await connection.execute(_DROP_JOB, {"job": run.job_id})
    rows = await connection.execute(
        _END,
        {
            "r": run.id,
            "state": state.value,
            "reason": reason,
            "detail": detail,
            "turns": turns,
            "nanodollars": nanodollars,
        },
    )
    return _run(rows.one())


async def set_limits(connection: AsyncConnection, run_id: UUID, limits: Limits) -> RunRow:
    """Give the run new limits."""
    rows = await connection.execute(_LIMITS, {"r": run_id, **limits.model_dump()})
    return _run(rows.one())


async def due_runs(connection: AsyncConnection) -> list[UUID]:
    """Waiting runs whose time has come."""
    return list((await connection.execute(_DUE)).scalars())


async def hasten_runs(connection: AsyncConnection, *, within: float) -> list[UUID]:
    """Let runs that wait for the model wake within so many seconds, spread; returns them.

    Not those whose provider named the time itself.
    """
    return list((await connection.execute(_HASTEN, {"within": within})).scalars())


async def stranded_runs(connection: AsyncConnection) -> list[UUID]:
    """Admitted runs whose job the queue engine does not have any more."""
    return list((await connection.execute(_STRANDED)).scalars())


async def announce_input(connection: AsyncConnection, conversation_id: UUID) -> None:
    """Tell the worker of a conversation, at commit, that an input has come."""
    await connection.execute(_NOTIFY, {"c": str(conversation_id)})
