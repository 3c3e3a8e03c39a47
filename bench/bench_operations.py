"""What the numbers of the service cost: `python -m bench.bench_operations`. On an embedded server, fsync on.

Taking a sample holds up the event loop for as long as is shown; writing it does not. An answer is made once a
slot however many ask; it is timed with a full hour of so many processes in the table, each with traffic on
forty routes in every slot.
"""

import asyncio
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import procrastinate.schema
from sqlalchemy import text

from bench.service import HEAD, milliseconds, row
from flynn.domain.readiness import Part, Readiness
from flynn.domain.sample import STEP_SECONDS
from flynn.ops.numbers import Numbers
from flynn.ops.sampler import Sampler
from flynn.ops.sampling import counts_of, gauges_of, routes_of, totals_of
from flynn.ops.scrape import Scrape
from flynn.store.database import Database
from flynn.store.embedded import EmbeddedPostgres
from flynn.store.migrate import migrate
from flynn.telemetry.metrics import Metrics
from flynn.telemetry.reading import Reading, read

ROUTES = 40
SLOTS = 3600 // STEP_SECONDS
PROCESSES = (1, 3, 10)
TIMES = 50


class Clock:
    """A time that is set."""

    def __init__(self) -> None:
        self.at = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.at


def traffic(metrics: Metrics) -> None:
    """What a busy process counts in a slot."""
    for route in range(ROUTES):
        for status in ("200", "404"):
            metrics.http_requests.labels("GET", f"/api/v1/route/{route}", status).inc(7)
        for seconds in (0.004, 0.03, 0.3):
            metrics.http_seconds.labels("GET", f"/api/v1/route/{route}").observe(seconds)
    for tool in ("Read", "Write", "Edit", "Bash", "Glob", "Grep"):
        metrics.tool_calls.labels(tool, "ok").inc()
    for name in ("input", "output", "cache_read", "cache_write_5m"):
        metrics.tokens.labels("claude-haiku-5-5", name).inc(1000)
    metrics.steps.labels("claude-haiku-5-5").inc()
    metrics.dollars.labels("claude-haiku-5-5", "usage").inc(0.01)


async def ready() -> Readiness:
    """Parts of the usual number and length."""
    names = ("database", "queue", "live", "sandbox", "model", "volumes", "backups")
    return Readiness(ok=True, parts=[Part(name=name, state="ok", detail="x" * 80) for name in names])


def taken() -> Iterator[float]:
    """The milliseconds of CPU, all on the loop, that taking a sample needs."""
    metrics, before = Metrics(), Reading()
    for _ in range(TIMES):
        traffic(metrics)
        began = time.process_time()
        now = read(metrics.registry)
        grown = now.grown(before)
        routes, counts = routes_of(grown), counts_of(grown)
        totals_of(routes, counts, now, STEP_SECONDS)
        gauges_of(now, grown, STEP_SECONDS)
        yield (time.process_time() - began) * 1000
        before = now


async def fill(database: Database, clock: Clock, processes: int) -> list[Numbers]:
    """Write a full hour of so many processes more."""
    found = []
    for _ in range(processes):
        clock.at = datetime.now(UTC) - timedelta(hours=1)
        metrics = Metrics()
        scrape = Scrape(metrics, database=database, ready=ready)
        sampler = Sampler(scrape, database, kind="serve", version="bench", now=clock)
        for _ in range(SLOTS):
            clock.at += timedelta(seconds=STEP_SECONDS)
            traffic(metrics)
            await sampler.sample()
        found.append(Numbers(sampler, database))
    return found


async def main() -> None:
    """Measure and print."""
    print(HEAD)
    print(row("taking a sample", list(taken()), "< 20 ms every 15 s"))
    with tempfile.TemporaryDirectory(prefix="flynn-bench-") as name:
        async with EmbeddedPostgres(Path(name) / "postgres") as server:
            database = Database(server.url, pool_size=5)
            await migrate(database, queue_schema=procrastinate.schema.SchemaManager.get_schema())
            clock, there = Clock(), 0
            for processes in PROCESSES:
                numbers = (await fill(database, clock, processes - there))[-1]
                there = processes
                times, busy = [], []
                for _ in range(TIMES):
                    numbers.forget()
                    began, spent = time.perf_counter(), time.process_time()
                    found = await numbers.view(60)
                    times.append(milliseconds(began))
                    busy.append((time.process_time() - spent) * 1000)
                print(row(f"an answer, {processes} processes", times, "p95 200 ms"))
                print(row(f"of that, CPU of the process, {processes}", busy, "–"), flush=True)
            size = len(found.model_dump_json())
            async with database.statement() as connection:
                bytes_, rows = (
                    await connection.execute(
                        text("SELECT pg_total_relation_size('samples'), (SELECT count(*) FROM samples)")
                    )
                ).one()
            await database.close()
    each = bytes_ / rows / 1000
    print(
        f"\nAn answer has {size / 1000:.0f} KB. {rows} rows take {bytes_ / 1e6:.1f} MB, "
        f"{each:.1f} KB each: {2 * SLOTS * each / 1000:.1f} MB a process in two hours."
    )


if __name__ == "__main__":
    asyncio.run(main())
