"""Admission: which queued runs may hold a worker now.

A run holds its slots while `job_id` is set. The rules: one admitted run a lane of a workspace, N a principal,
a global limit; resumes before fresh runs, then priority, then age. The lane is the workspace's own files ('')
or, for a task with a checkout of its own, the branch that its commits go to: such tasks run beside each other
and beside whoever is at work in the workspace, and two that share a branch take turns. A run that waits for
its time (`not_before`), for other tasks (`after`) or for somebody holds none. One global advisory lock,
always taken after a conversation's row, makes concurrent admissions see each other's picks; candidates that
another transaction has locked are skipped, since that transaction admits again itself when it ends.

A job goes to the queue of its workspace's volume, which only workers that have mounted it serve. A run
whose volume no living worker has is not admitted: it would hold its principal's slots for nobody. The
order of admission is the order of the jobs too: there may be more admitted runs than free workers.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.store.mounts import LIVE_VOLUMES

ADMISSION_LOCK = 0x464C594E4E01
QUEUE = "default"
"""Of workspaces that no volume has; every worker serves it that has paths of its machine at all."""

RESUMED = 1_000
"""What a resume is ahead of fresh runs in the order of jobs: above every priority."""

_LOCK = text("SELECT pg_advisory_xact_lock(:key)")
_ADMIT = text(f"""
WITH busy AS MATERIALIZED (
  SELECT workspace_id, lane, principal_id FROM runs WHERE job_id IS NOT NULL
), held AS MATERIALIZED (
  SELECT principal_id, count(*) AS runs FROM busy GROUP BY principal_id
), room AS MATERIALIZED (
  SELECT greatest(:global_limit - count(*), 0) AS runs FROM busy
), live AS MATERIALIZED (
  {LIVE_VOLUMES}
), waiting AS MATERIALIZED (
  SELECT r.id, r.principal_id, coalesce(h.runs, 0) AS held, r.resume, r.priority, r.queued_at, row_number()
    OVER (
      PARTITION BY r.workspace_id, r.lane
      ORDER BY r.resume DESC, r.priority DESC, r.queued_at, r.id) AS place
  FROM runs r JOIN workspaces w ON w.id = r.workspace_id
  LEFT JOIN held h ON h.principal_id = r.principal_id
  WHERE (SELECT runs FROM room) > 0 AND r.state = 'queued' AND r.job_id IS NULL
    AND coalesce(h.runs, 0) < :principal_limit
    AND (r.not_before IS NULL OR r.not_before <= now()) AND r.after IS NULL
    AND (w.volume_id IS NULL OR w.volume_id IN (SELECT volume_id FROM live))
    AND (r.workspace_id, r.lane) NOT IN (SELECT workspace_id, lane FROM busy)
), ranked AS MATERIALIZED (
  SELECT w.*, row_number() OVER (
      PARTITION BY w.principal_id ORDER BY w.resume DESC, w.priority DESC, w.queued_at, w.id) AS turn
  FROM waiting w WHERE w.place = 1
), chosen AS (
  SELECT id FROM ranked WHERE turn + held <= :principal_limit
  ORDER BY resume DESC, priority DESC, queued_at, id
  LIMIT (SELECT runs FROM room)
), picked AS MATERIALIZED (
  SELECT r.id, r.conversation_id, w.volume_id,
    r.priority + CASE WHEN r.resume THEN {RESUMED} ELSE 0 END AS rank
  FROM runs r JOIN chosen USING (id) JOIN workspaces w ON w.id = r.workspace_id
  WHERE r.state = 'queued' AND r.job_id IS NULL FOR UPDATE OF r SKIP LOCKED
), job AS MATERIALIZED (
  SELECT p.id, procrastinate_defer_jobs_v1(ARRAY[ROW(
      CAST(coalesce('vol:' || p.volume_id, :queue) AS varchar), 'run', p.rank,
      'conversation:' || p.conversation_id, NULL,
      jsonb_build_object('run', p.id), NULL)::procrastinate_job_to_defer_v1]) AS ids
  FROM picked p
), admitted AS (
  UPDATE runs SET job_id = job.ids[1] FROM job WHERE runs.id = job.id RETURNING runs.id
)
SELECT ARRAY(SELECT id FROM admitted) AS ids,
  EXISTS (SELECT 1 FROM ranked WHERE turn + held > :principal_limit) AS passed_over
""")  # noqa: S608  # constants only


def queues_of(volumes: Iterable[UUID], *, placeless: bool = True) -> list[str]:
    """The queues that a worker serves which has these volumes mounted.

    `placeless`: it serves workspaces that no volume has, too.
    """
    return [*([QUEUE] if placeless else []), *(f"vol:{volume}" for volume in volumes)]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionLimits:
    """How many admitted runs a principal, and the whole service, may have; and how many queued ones."""

    principal: int = 8
    everyone: int = 256
    depth: int = 1_000
    principal_depth: int = 250


async def admit(connection: AsyncConnection, limits: AdmissionLimits) -> list[UUID]:
    """Admit what may run now, in the caller's transaction; returns the admitted runs.

    The caller holds its conversation's row (if any) already, and commits soon after.
    """
    await connection.execute(_LOCK, {"key": ADMISSION_LOCK})
    parameters = {"principal_limit": limits.principal, "global_limit": limits.everyone, "queue": QUEUE}
    admitted: list[UUID] = []
    while True:
        row = (await connection.execute(_ADMIT, parameters)).one()
        admitted += row.ids
        # Whoever reached its limit just now may have stood before somebody else's run in a lane.
        if not row.ids or not row.passed_over:
            return admitted
