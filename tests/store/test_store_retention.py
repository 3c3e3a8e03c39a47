"""Retention: what is old goes, what is young or still needed stays, and the log is never touched."""

from datetime import timedelta
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.domain.orders import TaskOrder
from flynn.store.retention import Retention, sweep
from tests.house import open_house

KEPT = Retention(jobs=timedelta(days=7), keys=timedelta(days=30), originals=timedelta(days=30))

_PREPARE = [
    """INSERT INTO procrastinate_jobs (id, queue_name, task_name, status)
       VALUES (901, 'q', 'run', 'failed'), (902, 'q', 'run', 'failed'), (903, 'q', 'run', 'succeeded'),
              (904, 'q', 'run', 'todo'), (905, 'q', 'run', 'failed')""",
    "DELETE FROM procrastinate_events WHERE job_id > 900",
    """INSERT INTO procrastinate_events (job_id, type, at)
       VALUES (901, 'failed', now() - interval '8 days'), (902, 'failed', now() - interval '6 days'),
              (903, 'succeeded', now() - interval '9 days'), (904, 'deferred', now() - interval '9 days'),
              (904, 'retried', now() - interval '9 days')""",
    """INSERT INTO procrastinate_periodic_defers (task_name, defer_timestamp, job_id)
       VALUES ('old', extract(epoch FROM now() - interval '8 days'), 901),
              ('new', extract(epoch FROM now()), 905)""",
    """INSERT INTO procrastinate_workers (last_heartbeat)
       VALUES (now() - interval '2 days'), (now()), (now() - interval '3 days')""",
    """UPDATE procrastinate_jobs SET status = 'doing',
         worker_id = (SELECT min(id) FROM procrastinate_workers) WHERE id = 904""",
    "INSERT INTO volumes (id, root) VALUES ('00000000-0000-0000-0000-000000000001', '/nowhere')",
    """INSERT INTO mounts (volume_id, worker_id, seen_at)
       SELECT '00000000-0000-0000-0000-000000000001', gen_random_uuid(), now() - age
       FROM unnest(ARRAY[interval '2 days', interval '1 hour']) age""",
    """INSERT INTO workers (id, concurrency, seen_at)
       SELECT gen_random_uuid(), 8, now() - age
       FROM unnest(ARRAY[interval '2 days', interval '1 hour']) age""",
]


_ORIGINALS = text("""
INSERT INTO originals (conversation_id, sha256, data, kept_at)
SELECT c.id, age::text, 'x', now() - age
FROM conversations c, unnest(ARRAY[interval '31 days', interval '29 days']) age""")


async def count(connection: AsyncConnection, table: str) -> int:
    return int(await connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0)  # of this file


async def test_what_is_old_goes_and_what_is_needed_stays(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        for key in ("old", "young"):
            await house.intake.delegate_task(
                house.owner, TaskOrder(instructions="x", workspace="house"), idempotency_key=key
            )
        async with house.database.begin() as connection:
            for statement in _PREPARE:
                await connection.execute(text(statement))
            await connection.execute(
                text("UPDATE idempotency_keys SET created_at = now() - interval '31 days' WHERE key = 'old'")
            )
            await connection.execute(_ORIGINALS)
            kept = {t: await count(connection, t) for t in ("events", "runs", "tasks", "conversations")}
            gone = await sweep(connection, KEPT)
            assert gone == {
                "periodic defers": 1,
                "jobs": 2,  # not the young one, not the one at work, not one that a periodic row names
                "events of jobs": 1,  # of the job at work; but for the one that a claim asks for
                "dead workers": 1,  # not the one that holds a job
                "worker processes": 1,
                "mounts": 1,
                "originals": 2,  # one in each conversation
                "idempotency keys": 1,
            }
            assert kept == {t: await count(connection, t) for t in kept}
            assert await sweep(connection, KEPT) == {}
            left = (
                await connection.execute(text("SELECT id FROM procrastinate_jobs WHERE id > 900"))
            ).scalars()
            assert set(left) == {902, 904, 905}
