"""Runs: their states, and the moves between them.

Locks are always taken in this order: the conversation's row, the run's row, admission's advisory lock.
Every move happens in a transaction that holds the conversation's row, beside the event that tells of it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.domain.errors import LeaseLost, NotFound, QueueFull
from flynn.domain.permission import PermissionMode
from flynn.domain.run import Limits, RunKind, RunState
from flynn.store.admission import AdmissionLimits
from flynn.store.rows import ConversationRow, RunRow
from flynn.store.task_budgets import REST, SPELL

INPUT_CHANNEL = "flynn_input"

FULL_RETRY_SECONDS = 5.0
"""After how long a full queue is worth another try."""

_CONVERSATION = """
SELECT c.id, c.title, c.principal_id, c.workspace_id, c.agent, c.agent_version, c.prefix_digest, c.head,
       c.epoch, c.permission_mode, w.path AS workspace_path, w.name AS workspace_name, w.volume_id,
       v.root AS volume_root, w.made AS workspace_made, w.quota_bytes AS workspace_quota, t.id AS task_id,
       t.checkout, t.branch
FROM conversations c JOIN workspaces w ON w.id = c.workspace_id LEFT JOIN volumes v ON v.id = w.volume_id
LEFT JOIN tasks t ON t.conversation_id = c.id
WHERE c.id = :c"""
_LOCK = text(_CONVERSATION + " FOR UPDATE OF c")
_OF_RUN = "(SELECT conversation_id FROM runs WHERE runs.id = :r)"
_LOCK_OF = text(_CONVERSATION.replace(":c", _OF_RUN) + " FOR UPDATE OF c")
_OPEN = text(
    "SELECT * FROM runs WHERE conversation_id = :c AND state IN ('queued','running','waiting') FOR UPDATE"
)
_LATEST = text("SELECT * FROM runs WHERE conversation_id = :c ORDER BY created_at DESC, id DESC LIMIT 1")
_LATEST_WORK = text("""
SELECT * FROM runs WHERE conversation_id = :c AND kind = 'agent' ORDER BY created_at DESC, id DESC LIMIT 1""")
_BY_ID = text("SELECT * FROM runs WHERE id = :r FOR UPDATE")
_WHERE = text("SELECT conversation_id FROM runs WHERE id = :r")
_INSERT = text("""
INSERT INTO runs (id, conversation_id, workspace_id, principal_id, lane, kind, state, priority, not_before,
                  after, deadline, limit_turns, limit_nanodollars, limit_prompt_tokens)
SELECT :id, :conversation_id, :workspace_id, :principal_id, :lane, :kind, 'queued', :priority,
       CAST(:not_before AS timestamptz), CAST(:after AS uuid[]), CAST(:deadline AS timestamptz),
       :turns, :nanodollars, :prompt_tokens
WHERE CAST(:depth AS bigint) IS NULL OR (
  SELECT count(*) < CAST(:depth AS bigint)
    AND count(*) FILTER (WHERE principal_id = :principal_id) < CAST(:principal_depth AS bigint)
  FROM runs WHERE state = 'queued')
RETURNING *""")
_QUEUED = text("""
SELECT count(*) AS everyone, count(*) FILTER (WHERE principal_id = :p) AS own
FROM runs WHERE state = 'queued'""")
_RAISE_EPOCH = text("UPDATE conversations SET epoch = epoch + 1 WHERE id = :c RETURNING epoch")
_START = text(f"""
UPDATE runs SET state = 'running', reason = NULL, detail = NULL, not_before = NULL, lost = :lost,
  worked_ms = worked_ms + {SPELL}, working_since = clock_timestamp(),
  started_at = coalesce(started_at, clock_timestamp()) WHERE id = :r RETURNING *""")  # noqa: S608  # constants only
_WAIT = text(f"""
UPDATE runs SET state = 'waiting', reason = :reason, detail = :detail, not_before = :at, job_id = NULL,
  {REST}
WHERE id = :r RETURNING *""")  # noqa: S608  # constants only
_QUEUE_AGAIN = text(f"""
UPDATE runs SET state = 'queued', reason = NULL, detail = NULL, not_before = NULL, job_id = NULL,
  resume = true, lost = lost + :lost, queued_at = clock_timestamp(), {REST} WHERE id = :r RETURNING *""")  # noqa: S608  # constants only
_HAND_BACK = text(f"""
UPDATE runs SET state = 'queued', resume = true, queued_at = clock_timestamp(), {REST}
WHERE id = :r AND job_id = :job AND state = 'running' RETURNING id""")  # noqa: S608  # constants only
_END = text(f"""
UPDATE runs SET state = :state, reason = :reason, detail = :detail, not_before = NULL, job_id = NULL,
  after = NULL, deadline = NULL,
  nanodollars = coalesce(:nanodollars, nanodollars), {REST},
  ended_at = clock_timestamp() WHERE id = :r RETURNING *""")  # noqa: S608  # constants only
_SETTLE = text("UPDATE tasks SET checkout = 'workspace', branch = NULL WHERE id = :t")
_CHANGE_LANE = text(f"""
UPDATE runs SET state = 'queued', reason = NULL, detail = NULL, not_before = NULL, job_id = NULL,
  resume = true, lane = '', queued_at = clock_timestamp(), {REST} WHERE id = :r RETURNING *""")  # noqa: S608  # constants only
_LIMITS = text("""
UPDATE runs SET limit_turns = :turns, limit_nanodollars = :nanodollars, limit_prompt_tokens = :prompt_tokens
WHERE id = :r RETURNING *""")
_DROP_JOB = text("DELETE FROM procrastinate_jobs WHERE id = :job AND status = 'todo' RETURNING id")
_LET_GO = text("DELETE FROM procrastinate_events WHERE job_id = :job AND type = 'retried'")
_NOTIFY = text("SELECT pg_notify('flynn_input', :c)")


def _run(row: Row[Any]) -> RunRow:
    return RunRow(
        id=row.id,
        conversation_id=row.conversation_id,
        workspace_id=row.workspace_id,
        principal_id=row.principal_id,
        lane=row.lane,
        kind=row.kind,
        state=RunState(row.state),
        reason=row.reason,
        detail=row.detail,
        job_id=row.job_id,
        lost=row.lost,
        turns=row.turns,
        nanodollars=row.nanodollars,
        priority=row.priority,
        limits=Limits(
            turns=row.limit_turns,
            nanodollars=row.limit_nanodollars,
            prompt_tokens=row.limit_prompt_tokens,
        ),
        not_before=row.not_before,
        after=tuple(row.after or ()),
        deadline=row.deadline,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
    )


async def lock_conversation(connection: AsyncConnection, conversation_id: UUID) -> ConversationRow:
    """Lock a conversation's row for this transaction. Raises NotFound."""
    row = (await connection.execute(_LOCK, {"c": conversation_id})).one_or_none()
    if row is None:
        raise NotFound(f"There is no conversation {conversation_id}.")
    return _conversation(row)


async def lock_conversation_of(connection: AsyncConnection, run_id: UUID) -> ConversationRow | None:
    """Lock the row of a run's conversation for this transaction; None without such a run."""
    row = (await connection.execute(_LOCK_OF, {"r": run_id})).one_or_none()
    return _conversation(row) if row else None


def _conversation(row: Row[Any]) -> ConversationRow:
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


async def latest_work(connection: AsyncConnection, conversation_id: UUID) -> RunRow | None:
    """The newest run in which the agent worked, whatever was undone since."""
    row = (await connection.execute(_LATEST_WORK, {"c": conversation_id})).one_or_none()
    return _run(row) if row else None


async def queue_run(
    connection: AsyncConnection,
    conversation: ConversationRow,
    principal_id: UUID,
    limits: Limits,
    *,
    priority: int,
    kind: RunKind = "agent",
    not_before: datetime | None = None,
    after: Sequence[UUID] = (),
    deadline: datetime | None = None,
    depth: AdmissionLimits | None = None,
    lane: str | None = None,
) -> RunRow:
    """Insert a queued run for a locked conversation that has no open one; it is held behind tasks `after`.

    It takes the conversation's own lane of the workspace, unless another `lane` is given.
    With `depth`, raises QueueFull when too many are queued already. The count takes no lock: those who come
    at the same time may all find the last place free, until `check_depth` looks again.
    """
    parameters = {
        "id": uuid4(),
        "conversation_id": conversation.id,
        "workspace_id": conversation.workspace_id,
        "principal_id": principal_id,
        "lane": conversation.lane if lane is None else lane,
        "kind": kind,
        "priority": priority,
        "not_before": not_before,
        "after": list(after) or None,
        "deadline": deadline,
        "depth": depth.depth if depth else None,
        "principal_depth": depth.principal_depth if depth else None,
        **limits.model_dump(),
    }
    row = (await connection.execute(_INSERT, parameters)).one_or_none()
    if row is None and depth is not None:
        raise await _full(connection, principal_id, depth)
    if row is None:
        raise RuntimeError("a run was not inserted")
    return _run(row)


async def check_depth(connection: AsyncConnection, principal_id: UUID, depth: AdmissionLimits) -> None:
    """Raise QueueFull when there are too many with the run that was just queued for the principal.

    Under the lock of `admit`, which others that queue one take too: so only so many find a place.
    """
    found = (await connection.execute(_QUEUED, {"p": principal_id})).one()
    if found.everyone > depth.depth or found.own > depth.principal_depth:
        raise _refusal(found.everyone - 1, found.own - 1, depth)


async def _full(connection: AsyncConnection, principal_id: UUID, depth: AdmissionLimits) -> QueueFull:
    found = (await connection.execute(_QUEUED, {"p": principal_id})).one()
    return _refusal(found.everyone, found.own, depth)


def _refusal(everyone: int, own: int, depth: AdmissionLimits) -> QueueFull:
    if own >= depth.principal_depth:
        said = f"{own:,} runs of yours are queued already; at most {depth.principal_depth:,} may be."
    else:
        said = f"{everyone:,} runs are queued already; at most {depth.depth:,} may be."
    return QueueFull(
        f"{said} Nothing was taken: send it again in {FULL_RETRY_SECONDS:.0f} seconds or later.",
        retry_after=FULL_RETRY_SECONDS,
    )


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


async def was_let_go(connection: AsyncConnection, job_id: int) -> bool:
    """Whether the last worker that had the job handed it back alive; the answer is given once."""
    return bool((await connection.execute(_LET_GO, {"job": job_id})).rowcount)


async def wait_run(
    connection: AsyncConnection, run_id: UUID, *, reason: str, detail: str, at: datetime | None
) -> RunRow:
    """The run waits and frees its slots; `at` is when it wakes by itself."""
    rows = await connection.execute(_WAIT, {"r": run_id, "reason": reason, "detail": detail, "at": at})
    return _run(rows.one())


async def queue_again(connection: AsyncConnection, run_id: UUID, *, lost: bool = False) -> RunRow:
    """A waiting or stranded run is queued again, ahead of fresh ones; `lost` as in `start_run`."""
    return _run((await connection.execute(_QUEUE_AGAIN, {"r": run_id, "lost": int(lost)})).one())


async def leave_lane(connection: AsyncConnection, run_id: UUID, task_id: UUID) -> RunRow:
    """There can be no checkout for the task: it works in the workspace itself, in its turn."""
    await connection.execute(_SETTLE, {"t": task_id})
    return _run((await connection.execute(_CHANGE_LANE, {"r": run_id})).one())


async def settle_without_checkout(connection: AsyncConnection, task_id: UUID) -> None:
    """The same for a run that has the workspace already."""
    await connection.execute(_SETTLE, {"t": task_id})


async def hand_back(connection: AsyncConnection, run_id: UUID, job_id: int) -> bool:
    """The run's worker lets go of it: queued, its job and slots kept. False when it was not its any more."""
    row = await connection.execute(_HAND_BACK, {"r": run_id, "job": job_id})
    return row.one_or_none() is not None


async def end_run(
    connection: AsyncConnection,
    run: RunRow,
    *,
    state: RunState,
    reason: str,
    detail: str | None,
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
            "nanodollars": nanodollars,
        },
    )
    return _run(rows.one())


async def set_limits(connection: AsyncConnection, run_id: UUID, limits: Limits) -> RunRow:
    """Give the run new limits."""
    rows = await connection.execute(_LIMITS, {"r": run_id, **limits.model_dump()})
    return _run(rows.one())


async def drop_job(connection: AsyncConnection, job_id: int) -> bool:
    """Take a job back that no worker fetched yet; False when one has."""
    row = await connection.execute(_DROP_JOB, {"job": job_id})
    return row.one_or_none() is not None


async def announce_input(connection: AsyncConnection, conversation_id: UUID) -> None:
    """Tell the worker of a conversation, at commit, that an input has come."""
    await connection.execute(_NOTIFY, {"c": str(conversation_id)})
