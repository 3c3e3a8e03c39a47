"""What the runs of a task may use together, and for how long they were at work.

Their calls, tokens and dollars are told by the log. Time is kept in columns of the runs, which each move
between states brings up to date in its own transaction (`flynn.store.runs`), by the database's clock.
"""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.domain.run import TaskLimits

LONGEST_SILENCE = 900.0
"""Seconds for which a worker may leave nothing in the log: longer than any call of a model or a tool takes.

When a run's worker is lost, what passes beyond that until it is taken over was nobody's time at work.
"""

SPELL = f"""coalesce(greatest(0, round(1000 * extract(epoch FROM least(clock_timestamp(), (
  SELECT e.at FROM events e WHERE e.conversation_id = runs.conversation_id ORDER BY e.seq DESC LIMIT 1
  ) + interval '{LONGEST_SILENCE} seconds') - working_since))), 0)"""  # noqa: S608  # constants only
"""What the present spell of a row of runs has taken, in milliseconds."""
REST = f"worked_ms = worked_ms + {SPELL}, working_since = NULL"
"""Assignments that end a run's spell."""

_LIMITS = text("""
SELECT limit_turns AS turns, limit_tokens AS tokens, limit_nanodollars AS nanodollars,
  limit_seconds AS seconds
FROM tasks WHERE conversation_id = :c""")
_ID = text("SELECT id FROM tasks WHERE conversation_id = :c")
_SET_LIMITS = text("""
UPDATE tasks SET limit_turns = :turns, limit_tokens = :tokens, limit_nanodollars = :nanodollars,
  limit_seconds = :seconds WHERE conversation_id = :c""")
_AT_WORK = text("""
SELECT coalesce(sum(worked_ms + coalesce(
  round(1000 * extract(epoch FROM clock_timestamp() - working_since)), 0)), 0)
FROM runs WHERE conversation_id = :c""")
_LOST_CALL = text("UPDATE runs SET calls = calls + 1, tokens = tokens + :tokens WHERE id = :r")


async def task_limits(connection: AsyncConnection, conversation_id: UUID) -> TaskLimits | None:
    """What all runs of the conversation's task may use together; None where it is no task's."""
    row = (await connection.execute(_LIMITS, {"c": conversation_id})).one_or_none()
    return TaskLimits(**row._mapping) if row else None


async def task_id(connection: AsyncConnection, conversation_id: UUID) -> UUID | None:
    """The conversation's task, if it is one's."""
    found: UUID | None = await connection.scalar(_ID, {"c": conversation_id})
    return found


async def set_task_limits(connection: AsyncConnection, conversation_id: UUID, limits: TaskLimits) -> None:
    """Give the conversation's task new limits; the conversation's row is locked."""
    await connection.execute(_SET_LIMITS, {"c": conversation_id, **limits.model_dump()})


async def time_at_work(connection: AsyncConnection, conversation_id: UUID) -> float:
    """Seconds for which runs of the conversation were at work until now."""
    found = await connection.scalar(_AT_WORK, {"c": conversation_id})
    return float(found or 0) / 1000


async def charge_lost_call(connection: AsyncConnection, run_id: UUID, tokens: int) -> None:
    """Charge a run for a call whose end its worker did not live to tell; its dollars come with its end."""
    await connection.execute(_LOST_CALL, {"r": run_id, "tokens": tokens})
