"""The queue's SQL where procrastinate's own is not enough. Parameters are psycopg's.

Each runs as a transaction of its own. A fenced statement first locks the job's row under the condition
that it is still `doing` for this worker and this attempt; no row, no change.
"""

_ANNOUNCE = """pg_notify('procrastinate_any_queue_v1',
  json_build_object('type', 'job_inserted', 'job_id', j.id)::text)"""

_OURS = """SELECT j.id FROM procrastinate_jobs j WHERE j.id = %(id)s AND j.status = 'doing'
  AND j.worker_id = %(worker)s AND j.attempts = %(attempts)s"""

OWNED = f"SELECT EXISTS ({_OURS}) AS owned"  # constants of this file
"""Whether the job is this worker's, in this attempt."""

FINISH = f"""WITH j AS MATERIALIZED ({_OURS} FOR UPDATE)
SELECT procrastinate_finish_job_v1(j.id, %(status)s::procrastinate_job_status, %(delete)s), {_ANNOUNCE}
FROM j"""  # noqa: S608 # constants of this file
"""End a job, fenced; whoever waits for its lock is told. One row when it was ours."""

HAND_BACK = f"""WITH j AS MATERIALIZED ({_OURS} FOR UPDATE), said AS (
  INSERT INTO procrastinate_events (job_id, type) SELECT j.id, 'retried' FROM j
)
SELECT procrastinate_retry_job_v2(j.id, now() + make_interval(secs => %(delay)s), NULL, NULL, NULL),
  {_ANNOUNCE}
FROM j"""  # noqa: S608 # constants of this file
"""Put a job back into the queue after `delay` seconds, fenced, and announce it. One row when it was ours.

The event `retried` (nobody else writes any) tells the next claim that its worker let go of it alive; a
job that is taken over has none, and lost a worker.
"""

BEAT = """WITH beat AS (
  UPDATE procrastinate_workers SET last_heartbeat = now() WHERE id = %(worker)s RETURNING id
)
SELECT EXISTS (SELECT 1 FROM beat) AS known, ARRAY(
  SELECT ARRAY[j.id, j.attempts] FROM procrastinate_jobs j
  WHERE j.worker_id = %(worker)s AND j.status = 'doing') AS owned"""
"""A heartbeat: whether the worker is known, and the jobs it has as `[id, attempts]`."""

_SETTLED = "pg_postmaster_start_time() < now() - make_interval(secs => %(settle)s)"

TAKE_OVER = f"""WITH j AS MATERIALIZED (
  SELECT j.id, j.attempts, j.worker_id FROM procrastinate_jobs j
  LEFT JOIN procrastinate_workers w ON w.id = j.worker_id
  WHERE j.status = 'doing' AND {_SETTLED}
    AND (w.id IS NULL OR w.last_heartbeat < now() - make_interval(secs => %(lease)s))
  LIMIT 100 FOR UPDATE OF j SKIP LOCKED
)
SELECT j.id, j.attempts, j.worker_id, procrastinate_retry_job_v2(j.id, now(), NULL, NULL, NULL), {_ANNOUNCE}
FROM j"""  # noqa: S608 # constants of this file
"""Put the jobs of silent workers back into the queue; those jobs."""

FORGET = f"""DELETE FROM procrastinate_workers w
WHERE {_SETTLED} AND w.last_heartbeat < now() - make_interval(secs => %(lease)s)
  AND NOT EXISTS (SELECT 1 FROM procrastinate_jobs j WHERE j.worker_id = w.id AND j.status = 'doing')
RETURNING w.id"""  # noqa: S608 # constants of this file
"""Remove workers that fell silent and hold nothing."""
