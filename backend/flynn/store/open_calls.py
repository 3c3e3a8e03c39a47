"""Calls that are under way on a volume: whose run a worker has, and which command it is in. Only read."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.store.visibility import WORKSPACE

_HELD = text("""
SELECT r.conversation_id, j.worker_id AS worker FROM runs r
JOIN workspaces w ON w.id = r.workspace_id JOIN procrastinate_jobs j ON j.id = r.job_id
WHERE w.volume_id = :v AND r.state = 'running' AND j.status = 'doing'""")
_CALL = text("""
SELECT s.data->>'call_id' AS call_id FROM events s
WHERE s.conversation_id = :c AND s.type = 'tool.started' AND s.data->>'tool' = :tool AND NOT EXISTS (
  SELECT 1 FROM events f WHERE f.conversation_id = :c AND f.seq > s.seq AND f.type = 'tool.finished'
    AND f.data->>'call_id' = s.data->>'call_id')
ORDER BY s.seq DESC LIMIT 1""")
_ON = text("""
SELECT w.volume_id FROM conversations c JOIN workspaces w ON w.id = c.workspace_id WHERE c.id = :c""")
_DEMAND = text("""
SELECT EXISTS (SELECT 1 FROM runs r JOIN workspaces w ON w.id = r.workspace_id
  WHERE w.volume_id = :v AND r.state IN ('queued', 'running'))""")
_BEGUN = text("SELECT EXISTS (SELECT 1 FROM conversations c WHERE c.workspace_id = :w)")
_WORKSPACES = text(f"""
SELECT w.id FROM workspaces w WHERE w.volume_id = :v AND {WORKSPACE}
ORDER BY w.created_at, w.id""")  # noqa: S608  # constants only


@dataclass(frozen=True, slots=True)
class HeldRun:
    """A conversation whose run is held by the worker with this number in the queue's tables."""

    conversation_id: UUID
    worker: int


async def held_runs(connection: AsyncConnection, volume_id: UUID) -> list[HeldRun]:
    """The runs of the volume that workers have now; a dead worker has its own until it is taken over."""
    rows = await connection.execute(_HELD, {"v": volume_id})
    return [HeldRun(row.conversation_id, row.worker) for row in rows]


async def open_call(connection: AsyncConnection, conversation_id: UUID, tool: str) -> str | None:
    """The id of the latest call of `tool` that was started there and has no end yet."""
    found: str | None = await connection.scalar(_CALL, {"c": conversation_id, "tool": tool})
    return found


async def volume_of(connection: AsyncConnection, conversation_id: UUID) -> UUID | None:
    """The volume where the conversation's workspace lies."""
    found: UUID | None = await connection.scalar(_ON, {"c": conversation_id})
    return found


async def in_demand(connection: AsyncConnection, volume_id: UUID) -> bool:
    """Whether a run of the volume is queued or running."""
    return bool(await connection.scalar(_DEMAND, {"v": volume_id}))


async def is_begun(connection: AsyncConnection, workspace_id: UUID) -> bool:
    """Whether the workspace has a conversation."""
    return bool(await connection.scalar(_BEGUN, {"w": workspace_id}))


async def workspaces_on(
    connection: AsyncConnection, volume_id: UUID, principal_id: UUID, *, admin: bool
) -> list[UUID]:
    """The workspaces of the volume that the principal is a member of, all for an admin; oldest first."""
    parameters = {"v": volume_id, "p": principal_id, "admin": admin}
    return list(await connection.scalars(_WORKSPACES, parameters))
