"""Admission: which queued runs may hold a worker now.

A run holds its slots while `job_id` is set. The rules: one admitted run a workspace, N a principal, a
global limit; resumes before fresh runs, then priority, then age. One global advisory lock, always taken
after a conversation's row, makes concurrent admissions see each other's picks; candidates that another
transaction has locked are skipped, since that transaction admits again itself when it ends.

A job goes to the queue of its workspace's volume, which only workers that have mounted it serve. A run
whose volume no living worker has is not admitted: it would hold its principal's slots for nobody.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.store.mounts import MOUNTED

ADMISSION_LOCK = 0x464C594E4E01
QUEUE = "default"
"""Of workspaces that no volume has; every worker serves it."""

_LOCK = text("SELECT pg_advisory_xact_lock(:key)")
_ADMIT = text(f"""
WITH busy AS (
  SELECT workspace_id, principal_id FROM runs WHERE job_id IS NOT NULL
), waiting AS (
  SELECT r.id, r.conversation_id, r.principal_id, r.resume, r.priority, r.queued_at, row_number() OVER (
      PARTITION BY r.workspace_id ORDER BY r.resume DESC, r.priority DESC, r.queued_at, r.id) AS place
  FROM runs r JOIN workspaces w ON w.id = r.workspace_id
  WHERE r.state = 'queued' AND r.job_id IS NULL AND (r.not_before IS NULL OR r.not_before <= now())
    AND {MOUNTED}
    AND NOT EXISTS (SELECT 1 FROM busy b WHERE b.workspace_id = r.workspace_id)
), ranked AS (
  SELECT w.*, row_number() OVER (
      PARTITION BY w.principal_id ORDER BY w.resume DESC, w.priority DESC, w.queued_at, w.id) AS turn,
    (SELECT count(*) FROM busy b WHERE b.principal_id = w.principal_id) AS held
  FROM waiting w WHERE w.place = 1
), chosen AS (
  SELECT id FROM ranked WHERE turn + held <= :principal_limit
  ORDER BY resume DESC, priority DESC, queued_at, id
  LIMIT greatest(:global_limit - (SELECT count(*) FROM busy), 0)
), picked AS MATERIALIZED (
  SELECT r.id, r.conversation_id, w.volume_id
  FROM runs r JOIN chosen USING (id) JOIN workspaces w ON w.id = r.workspace_id
  WHERE r.state = 'queued' AND r.job_id IS NULL FOR UPDATE OF r SKIP LOCKED
), job AS MATERIALIZED (
  SELECT p.id, procrastinate_defer_jobs_v1(ARRAY[ROW(
      CAST(coalesce('vol:' || p.volume_id, :queue) AS varchar), 'run', 0,
      'conversation:' || p.conversation_id, NULL,
      jsonb_build_object('run', p.id), NULL)::procrastinate_job_to_defer_v1]) AS ids
  FROM picked p
)
UPDATE runs SET job_id = job.ids[1] FROM job WHERE runs.id = job.id RETURNING runs.id
""")  # noqa: S608  # constants only


def queues_of(volumes: Iterable[UUID]) -> list[str]:
    """The queues that a worker serves which has these volumes mounted."""
    return [QUEUE, *(f"vol:{volume}" for volume in volumes)]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionLimits:
    """How many admitted runs a principal, and the whole service, may have."""

    principal: int = 8
    everyone: int = 256


async def admit(connection: AsyncConnection, limits: AdmissionLimits) -> list[UUID]:
    """Admit what may run now, in the caller's transaction; returns the admitted runs.

    The caller holds its conversation's row (if any) already, and commits soon after.
    """
    await connection.execute(_LOCK, {"key": ADMISSION_LOCK})
    rows = await connection.execute(
        _ADMIT,
        {"principal_limit": limits.principal, "global_limit": limits.everyone, "queue": QUEUE},
    )
    return [row.id for row in rows]
