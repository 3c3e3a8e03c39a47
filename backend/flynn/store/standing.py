"""Runs that stand still until the clock looks: due, delayed, stranded, or with nobody to serve them."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.domain.run import RunState
from flynn.store.mounts import MOUNTED

_DUE = text("""
SELECT id FROM runs WHERE state = 'waiting' AND not_before <= clock_timestamp()
  AND (CAST(:r AS uuid) IS NULL OR id = :r)
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
SELECT r.id FROM runs r WHERE r.job_id IS NOT NULL AND (CAST(:r AS uuid) IS NULL OR r.id = :r)
  AND NOT EXISTS (
    SELECT 1 FROM procrastinate_jobs j WHERE j.id = r.job_id AND j.status IN ('todo', 'doing')) LIMIT 100""")
_UNSERVED = text(f"""
SELECT r.id FROM runs r JOIN workspaces w ON w.id = r.workspace_id
JOIN procrastinate_jobs j ON j.id = r.job_id
WHERE j.status = 'todo' AND NOT {MOUNTED} AND (CAST(:r AS uuid) IS NULL OR r.id = :r)
LIMIT 100""")  # noqa: S608  # constants only
_ANY_DELAYED = text("SELECT EXISTS (SELECT 1 FROM runs WHERE state = 'queued' AND not_before <= now())")
_RELEASED = text("""
SELECT r.id FROM runs r WHERE r.after IS NOT NULL AND r.state = 'queued'
  AND (CAST(:r AS uuid) IS NULL OR r.id = :r)
  AND NOT EXISTS (
    SELECT 1 FROM tasks t JOIN runs o ON o.conversation_id = t.conversation_id
    WHERE t.id = ANY(r.after) AND o.state IN ('queued', 'running', 'waiting'))
ORDER BY r.created_at, r.id LIMIT 100""")
_ENDS = text("""
SELECT t.id, l.state FROM tasks t JOIN LATERAL (
  SELECT state FROM runs WHERE conversation_id = t.conversation_id AND kind = 'agent'
  ORDER BY created_at DESC, id DESC LIMIT 1
) l ON true WHERE t.id = ANY(:tasks) ORDER BY t.created_at, t.id""")
_WHEN_FAILED = text("SELECT after_failed FROM tasks WHERE conversation_id = :c")
_LET_GO = text("UPDATE runs SET after = NULL, queued_at = clock_timestamp() WHERE id = :r")
_OVERDUE = text("""
SELECT id FROM runs WHERE deadline <= clock_timestamp() AND state IN ('queued', 'running', 'waiting')
  AND (CAST(:r AS uuid) IS NULL OR id = :r)
ORDER BY deadline LIMIT 100""")
_TELL = text("UPDATE runs SET deadline = NULL WHERE id = :r")
_COME_DUE = text("""
UPDATE runs SET queued_at = runs.not_before, not_before = NULL
FROM (SELECT id FROM runs WHERE state = 'queued' AND not_before <= clock_timestamp()
      ORDER BY not_before LIMIT 100 FOR UPDATE SKIP LOCKED) AS due
WHERE runs.id = due.id RETURNING runs.id""")


async def due_runs(connection: AsyncConnection, run_id: UUID | None = None) -> list[UUID]:
    """Waiting runs whose time has come; only `run_id`, when it is given."""
    return list((await connection.execute(_DUE, {"r": run_id})).scalars())


async def hasten_runs(connection: AsyncConnection, *, within: float) -> list[UUID]:
    """Let runs that wait for the model wake within so many seconds, spread; returns them.

    Not those whose provider named the time itself.
    """
    return list((await connection.execute(_HASTEN, {"within": within})).scalars())


async def stranded_runs(connection: AsyncConnection, run_id: UUID | None = None) -> list[UUID]:
    """Admitted runs whose job the queue engine does not have any more; only `run_id`, when it is given."""
    return list((await connection.execute(_STRANDED, {"r": run_id})).scalars())


async def unserved_runs(connection: AsyncConnection, run_id: UUID | None = None) -> list[UUID]:
    """Admitted runs that no worker has fetched and whose volume no living one has mounted any more."""
    return list((await connection.execute(_UNSERVED, {"r": run_id})).scalars())


async def released_runs(connection: AsyncConnection, run_id: UUID | None = None) -> list[UUID]:
    """Held runs whose tasks before them are all over; only `run_id`, when it is given."""
    return list((await connection.execute(_RELEASED, {"r": run_id})).scalars())


async def ends_of(connection: AsyncConnection, tasks: Sequence[UUID]) -> list[tuple[UUID, RunState]]:
    """The states of tasks' latest runs, the oldest task first."""
    return [(row.id, RunState(row.state)) for row in await connection.execute(_ENDS, {"tasks": list(tasks)})]


async def when_failed(connection: AsyncConnection, conversation_id: UUID) -> str:
    """What the conversation's task does when one that it comes after failed: fail or skip."""
    return str(await connection.scalar(_WHEN_FAILED, {"c": conversation_id}) or "fail")


async def let_go(connection: AsyncConnection, run_id: UUID) -> None:
    """The run is held no longer, and stands in line from now on."""
    await connection.execute(_LET_GO, {"r": run_id})


async def overdue_runs(connection: AsyncConnection, run_id: UUID | None = None) -> list[UUID]:
    """Open runs whose deadline has passed and that were not told to stop; only `run_id`, when it is given."""
    return list((await connection.execute(_OVERDUE, {"r": run_id})).scalars())


async def note_deadline(connection: AsyncConnection, run_id: UUID) -> None:
    """The run was told to stop for its deadline."""
    await connection.execute(_TELL, {"r": run_id})


async def any_delayed(connection: AsyncConnection) -> bool:
    """Whether there is a delayed run whose time has come."""
    return bool(await connection.scalar(_ANY_DELAYED))


async def come_due(connection: AsyncConnection) -> list[UUID]:
    """Let delayed runs whose time has come stand in line, from that time on; returns them.

    Runs that somebody is just changing are left to the next look.
    """
    return list((await connection.execute(_COME_DUE)).scalars())
