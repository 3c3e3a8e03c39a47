"""What the engine's tests share: a queue, a trace of what handlers did, and an engine to kill.

As a script, `python engine_bench.py DSN LEASE MARGIN [stubborn]` is a worker process.
"""

import asyncio
import sys
from uuid import UUID, uuid4

import asyncpg
from sqlalchemy import make_url

from flynn.domain.errors import LeaseLost
from flynn.worker.engine import Engine, schema_sql
from flynn.worker.engine_lease import Claim

TRACE = """
CREATE TABLE trace (id bigserial PRIMARY KEY, run uuid, worker text, attempt int, what text,
  at timestamptz DEFAULT clock_timestamp())
"""


async def prepare(url: str) -> None:
    """Make the queue and the trace in a template database."""
    dsn = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(schema_sql())
        await connection.execute(TRACE)
    finally:
        await connection.close()


class Bench:
    """A database with a queue, and a handler that leaves a trace in it."""

    def __init__(self, pool: asyncpg.Pool, *, seconds: float = 0.0, stubborn: bool = False) -> None:
        """The handler works for `seconds`; a stubborn one asks nobody and says it is done when cancelled."""
        self.pool = pool
        self.seconds = seconds
        self.stubborn = stubborn

    async def put(self, *, queue: str = "default", lock: str | None = None, run: str | None = None) -> UUID:
        """Put a run into the queue, as the admission does."""
        run_id = uuid4()
        await self.pool.execute(
            """SELECT procrastinate_defer_jobs_v1(ARRAY[ROW($1, 'run', 0, $2, NULL,
            jsonb_build_object('run', $3::text), NULL)::procrastinate_job_to_defer_v1])""",
            queue,
            lock,
            run or str(run_id),
        )
        return run_id

    async def note(self, run_id: UUID, claim: Claim, what: str) -> None:
        """Leave a trace."""
        await self.pool.execute(
            "INSERT INTO trace (run, worker, attempt, what) VALUES ($1, $2, $3, $4)",
            run_id,
            claim.worker,
            claim.attempt,
            what,
        )

    async def handle(self, run_id: UUID, claim: Claim) -> None:
        """Work in small steps, and make sure of the lease after each."""
        loop = asyncio.get_running_loop()
        # Whoever sees the trace of the start may change the seconds for later runs.
        end = loop.time() + self.seconds
        await self.note(run_id, claim, "start")
        try:
            while loop.time() < end:
                await asyncio.sleep(0.02)
                if not self.stubborn:
                    claim.confirm()
        except LeaseLost:
            await self.note(run_id, claim, "refused")
            raise
        except asyncio.CancelledError:
            await self.note(run_id, claim, f"cancelled: {claim.ending}")
            if self.stubborn:
                return
            raise
        await self.note(run_id, claim, "end")

    async def trace(self, run_id: UUID) -> list[tuple[int, str]]:
        """What was done for a run: `(attempt, what)`, in order."""
        rows = await self.pool.fetch("SELECT attempt, what FROM trace WHERE run = $1 ORDER BY id", run_id)
        return [(row["attempt"], row["what"]) for row in rows]

    async def jobs(self) -> list[tuple[str, int | None]]:
        """The jobs in the queue's table: `(status, worker)`."""
        rows = await self.pool.fetch("SELECT status::text, worker_id FROM procrastinate_jobs ORDER BY id")
        return [(row["status"], row["worker_id"]) for row in rows]


async def main(dsn: str, lease: str, margin: str, stubborn: str = "") -> None:
    """Be a worker process that works a minute on each run."""
    async with asyncpg.create_pool(dsn, min_size=1, max_size=3) as pool:
        bench = Bench(pool, seconds=60, stubborn=bool(stubborn))
        await Engine(
            dsn=dsn,
            queues=None,
            concurrency=4,
            lease_seconds=float(lease),
            margin_seconds=float(margin),
            settle_seconds=0,
            handler=bench.handle,
        ).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
