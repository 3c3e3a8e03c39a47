"""Retention: what goes after a time. Conversations, events, runs and tasks are never among it."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.domain.sample import KEPT_SECONDS

MOST = 5_000
"""Rows of one kind that one sweep removes; the others wait for the next."""

_SWEEPS = {
    "periodic defers": """
DELETE FROM procrastinate_periodic_defers WHERE id IN (
  SELECT id FROM procrastinate_periodic_defers
  WHERE defer_timestamp < extract(epoch FROM now() - CAST(:jobs AS interval)) ORDER BY id LIMIT :most)""",
    # A job has no time of its own; the last event of an ended one tells when it ended.
    "jobs": """
DELETE FROM procrastinate_jobs WHERE id IN (
  SELECT j.id FROM procrastinate_jobs j
  WHERE j.status NOT IN ('todo', 'doing')
    AND NOT EXISTS (
      SELECT 1 FROM procrastinate_events e WHERE e.job_id = j.id AND e.at > now() - CAST(:jobs AS interval))
    AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.job_id = j.id)
    AND NOT EXISTS (SELECT 1 FROM procrastinate_periodic_defers d WHERE d.job_id = j.id)
  ORDER BY j.id LIMIT :most)""",
    # What a claim still asks of a job's events is never older than the delivery before it.
    "events of jobs": """
DELETE FROM procrastinate_events WHERE id IN (
  SELECT e.id FROM procrastinate_events e
  WHERE e.at < now() - CAST(:jobs AS interval) AND e.type <> 'retried' ORDER BY e.id LIMIT :most)""",
    "dead workers": """
DELETE FROM procrastinate_workers WHERE id IN (
  SELECT w.id FROM procrastinate_workers w
  WHERE w.last_heartbeat < now() - interval '1 day'
    AND NOT EXISTS (SELECT 1 FROM procrastinate_jobs j WHERE j.worker_id = w.id AND j.status = 'doing')
  LIMIT :most)""",
    "worker processes": "DELETE FROM workers WHERE seen_at < now() - interval '1 day'",
    "mounts": "DELETE FROM mounts WHERE seen_at < now() - interval '1 day'",
    # At most four a minute and process: one sweep takes them all.
    "samples": "DELETE FROM samples WHERE slot < now() - CAST(:samples AS interval)",
    "originals": """
DELETE FROM originals WHERE (conversation_id, sha256) IN (
  SELECT conversation_id, sha256 FROM originals
  WHERE kept_at < now() - CAST(:originals AS interval) ORDER BY kept_at LIMIT :most)""",
    "idempotency keys": """
DELETE FROM idempotency_keys WHERE (principal_id, key) IN (
  SELECT principal_id, key FROM idempotency_keys
  WHERE created_at < now() - CAST(:keys AS interval) ORDER BY created_at LIMIT :most)""",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long what is left of jobs, idempotency keys, what undo needs, and samples are kept."""

    jobs: timedelta
    keys: timedelta
    originals: timedelta
    samples: timedelta = timedelta(seconds=KEPT_SECONDS)


async def sweep(connection: AsyncConnection, kept: Retention) -> dict[str, int]:
    """Remove what is older than `kept` says; how many rows of each kind went."""
    found: dict[str, int] = {}
    for kind, statement in _SWEEPS.items():
        wanted = {
            "jobs": kept.jobs,
            "keys": kept.keys,
            "originals": kept.originals,
            "samples": kept.samples,
            "most": MOST,
        }
        parameters = {name: value for name, value in wanted.items() if f":{name}" in statement}
        found[kind] = (await connection.execute(text(statement), parameters)).rowcount
    return {kind: count for kind, count in found.items() if count}
