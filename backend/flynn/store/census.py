"""The census: how much work there is in the whole service, in two cheap statements."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

QUIET_MINUTES = 15
"""A run whose conversation's log has stood still for so long does not get on. The longest command of Bash is
10 minutes, and an answer of the model has 90 seconds for its next sign of life."""

SILENT_SECONDS = 60.0
"""A worker without a heartbeat for so long, or twice the lease if that is more, is not coming back; within a
lease another one takes its runs over, if there is one that can."""

_COUNT = text("""
SELECT state, count(*) AS amount,
  coalesce(extract(epoch FROM clock_timestamp() - min(queued_at)
    FILTER (WHERE after IS NULL AND (not_before IS NULL OR not_before <= now()))), 0) AS age
FROM runs WHERE state IN ('queued', 'running', 'waiting') GROUP BY state""")

_STUCK = text(f"""
SELECT count(*) FROM runs r
JOIN conversations c ON c.id = r.conversation_id
JOIN events e ON e.conversation_id = c.id AND e.seq = c.head
LEFT JOIN procrastinate_jobs j ON j.id = r.job_id AND j.status = 'doing'
LEFT JOIN procrastinate_workers w ON w.id = j.worker_id
WHERE r.state = 'running' AND (
  e.at < now() - interval '{QUIET_MINUTES} minutes'
  OR (e.at < now() - make_interval(secs => :silent)
    AND coalesce(w.last_heartbeat < now() - make_interval(secs => :silent), true)))""")  # noqa: S608 # a constant of this file


@dataclass(frozen=True, slots=True)
class Census:
    """Runs that are not over; `queue_age` are the seconds that the one queued first has waited.

    `stuck` are those of the running ones that nobody drives, or that have not logged anything for long.
    """

    queued: int = 0
    running: int = 0
    waiting: int = 0
    queue_age: float = 0.0
    stuck: int = 0


async def take_census(connection: AsyncConnection, *, lease_seconds: float = 0.0) -> Census:
    """Count the open runs."""
    found = {row.state: row for row in await connection.execute(_COUNT)}
    counts = {state: int(row.amount) for state, row in found.items()}
    queued = found.get("queued")
    stuck = 0
    if counts.get("running"):
        silent = max(SILENT_SECONDS, 2 * lease_seconds)
        stuck = int((await connection.execute(_STUCK, {"silent": silent})).scalar_one())
    return Census(
        queued=counts.get("queued", 0),
        running=counts.get("running", 0),
        waiting=counts.get("waiting", 0),
        queue_age=max(0.0, float(queued.age)) if queued else 0.0,
        stuck=stuck,
    )
