"""The queue as it is now: a reading of runs, jobs, mounts and workers. It changes nothing."""

from collections import defaultdict
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.domain.queue import QueueLimits, QueueLine, QueueServed, QueueTotals, QueueView, WorkerView
from flynn.domain.run import RunState
from flynn.store.admission import QUEUE, AdmissionLimits
from flynn.store.mounts import LIVE_VOLUMES

ALIVE_SECONDS = 10
"""A worker without a sign of life for so long is not counted; it gives one a second while it works."""

_OPEN = "(r.state IN ('queued', 'waiting') OR r.job_id IS NOT NULL)"
_TOTALS = text(f"""
SELECT clock_timestamp() AS at, count(*) FILTER (WHERE state = 'queued') AS queued,
  count(*) FILTER (WHERE state = 'running') AS running, count(*) FILTER (WHERE state = 'waiting') AS waiting
FROM runs r WHERE {_OPEN}""")  # noqa: S608  # constants only
_LINES = text(f"""
WITH busy AS MATERIALIZED (
  SELECT workspace_id, lane, principal_id FROM runs WHERE job_id IS NOT NULL
), held AS MATERIALIZED (
  SELECT principal_id, count(*) AS runs FROM busy GROUP BY principal_id
), live AS MATERIALIZED ({LIVE_VOLUMES}), open AS (
  SELECT r.state, coalesce('vol:' || w.volume_id, :queue) AS queue, r.queued_at, CASE
      WHEN r.state = 'waiting' THEN r.reason
      WHEN r.state = 'running' THEN CASE WHEN j.status = 'doing' THEN NULL ELSE 'worker' END
      WHEN r.not_before > now() THEN 'delayed'
      WHEN r.after IS NOT NULL THEN 'after'
      WHEN r.job_id IS NOT NULL THEN 'worker'
      WHEN w.volume_id IS NOT NULL AND w.volume_id NOT IN (SELECT volume_id FROM live) THEN 'volume-away'
      WHEN (r.workspace_id, r.lane) IN (SELECT workspace_id, lane FROM busy)
        THEN CASE WHEN r.lane = '' THEN 'workspace' ELSE 'branch' END
      WHEN coalesce(h.runs, 0) >= :principal_limit THEN 'principal-limit'
      WHEN (SELECT count(*) FROM busy) >= :global_limit THEN 'total-limit'
      ELSE 'next' END AS reason
  FROM runs r JOIN workspaces w ON w.id = r.workspace_id
  LEFT JOIN held h ON h.principal_id = r.principal_id
  LEFT JOIN procrastinate_jobs j ON j.id = r.job_id
  WHERE {_OPEN} AND (:everything OR r.principal_id = :p)
)
SELECT queue, state, reason, count(*) AS runs,
  EXTRACT(EPOCH FROM clock_timestamp() - min(queued_at)
    FILTER (WHERE state = 'queued' AND reason NOT IN ('delayed', 'after'))) AS oldest
FROM open GROUP BY queue, state, reason ORDER BY queue, state, reason""")  # noqa: S608  # constants only
_WORKERS = text(f"""
SELECT k.id, k.started_at, k.concurrency, EXTRACT(EPOCH FROM clock_timestamp() - k.sign) AS silent,
  ARRAY(SELECT m.volume_id FROM mounts m WHERE m.worker_id = k.id ORDER BY m.volume_id) AS volumes,
  ARRAY(SELECT r.id FROM procrastinate_jobs j JOIN runs r ON r.job_id = j.id
        WHERE j.worker_id = k.number AND j.status = 'doing' ORDER BY r.id) AS holds
FROM (SELECT w.*, coalesce(p.last_heartbeat, w.seen_at) AS sign
      FROM workers w LEFT JOIN procrastinate_workers p ON p.id = w.number) k
WHERE k.sign > clock_timestamp() - interval '{ALIVE_SECONDS} seconds'
ORDER BY k.started_at, k.id""")  # noqa: S608  # constants only


async def read_queue(
    connection: AsyncConnection, principal_id: UUID, *, everything: bool, limits: AdmissionLimits
) -> QueueView:
    """The queue: all of it with `everything`, else the principal's own runs and the totals."""
    totals = (await connection.execute(_TOTALS)).one()
    parameters = {
        "p": principal_id,
        "everything": everything,
        "queue": QUEUE,
        "principal_limit": limits.principal,
        "global_limit": limits.everyone,
    }
    lines = (await connection.execute(_LINES, parameters)).all()
    workers = (await connection.execute(_WORKERS)).all()
    served: dict[str, dict[str, int]] = defaultdict(
        lambda: dict.fromkeys(("queued", "running", "waiting"), 0)
    )
    for line in lines:
        served[line.queue][line.state] += line.runs
    serving = {
        queue: sum(queue == QUEUE or UUID(queue.removeprefix("vol:")) in w.volumes for w in workers)
        for queue in served
    }
    ages = [float(line.oldest) for line in lines if line.oldest is not None]
    return QueueView(
        at=totals.at,
        everything=everything,
        totals=QueueTotals(
            queued=totals.queued, running=totals.running, waiting=totals.waiting, workers=len(workers)
        ),
        oldest_queued_seconds=max(ages, default=None),
        lines=[
            QueueLine(queue=n.queue, state=RunState(n.state), reason=n.reason, runs=n.runs) for n in lines
        ],
        queues=[
            QueueServed(queue=queue, workers=serving[queue], **states)
            for queue, states in sorted(served.items())
        ],
        limits=QueueLimits(
            total_runs=limits.everyone,
            principal_runs=limits.principal,
            queue_depth=limits.depth,
            principal_queue_depth=limits.principal_depth,
        ),
        workers=[
            WorkerView(
                id=w.id,
                started_at=w.started_at,
                silent_seconds=max(float(w.silent), 0.0),
                concurrency=w.concurrency,
                volumes=w.volumes,
                holds=w.holds,
            )
            for w in workers
        ]
        if everything
        else [],
    )
