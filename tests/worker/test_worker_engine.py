"""The engine on a database that stays: delivery, hand-back, locks, orphans, stop."""

import asyncio
import contextlib
import statistics
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from uuid import UUID, uuid4

import asyncpg
import pytest

from flynn.domain.errors import LeaseLost
from flynn.worker import engine as engine_module
from flynn.worker.engine import Engine
from flynn.worker.engine_delivery import Handler
from flynn.worker.engine_lease import Claim, Ending, WorkerLease, boot_time
from flynn.worker.runner import Lease
from tests.postgres import TestDatabase, TestDatabases
from tests.worker.engine_bench import Bench, prepare

LEASE, MARGIN = 1.5, 0.5


@pytest.fixture
def database() -> Iterator[TestDatabase]:
    with TestDatabases.shared().new(prepare) as database:
        yield database


@pytest.fixture
async def bench(database: TestDatabase) -> AsyncIterator[Bench]:
    async with asyncpg.create_pool(database.dsn, min_size=1, max_size=5) as pool:
        yield Bench(pool)


Start = Callable[..., Awaitable[Engine]]


@pytest.fixture
async def start(database: TestDatabase, bench: Bench) -> AsyncIterator[Start]:
    """Starts engines, and stops those that still run at the end."""
    async with engines(database.dsn, bench.handle) as start:
        yield start


@asynccontextmanager
async def engines(dsn: str, default: Handler) -> AsyncIterator[Start]:
    running: list[tuple[Engine, asyncio.Task[None]]] = []

    async def start(
        handler: Handler = default, *, queues: list[str] | None = None, settle: float = 0
    ) -> Engine:
        engine = Engine(
            dsn=dsn,
            queues=queues,
            concurrency=4,
            lease_seconds=LEASE,
            margin_seconds=MARGIN,
            settle_seconds=settle,
            handler=handler,
        )
        running.append((engine, asyncio.create_task(engine.run())))
        await until(lambda: engine.connected)
        return engine

    try:
        yield start
    finally:
        for engine, task in running:
            await engine.stop(0)
            await task


async def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait until `condition`, which may be a coroutine function, holds."""
    async with asyncio.timeout(seconds):
        while True:
            found = condition()
            if await found if isinstance(found, Awaitable) else found:
                return
            await asyncio.sleep(0.01)


def traced(bench: Bench, run_id: UUID, *expected: tuple[int, str]) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return await bench.trace(run_id) == list(expected)

    return look


def empty(bench: Bench) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return await bench.jobs() == []

    return look


async def test_a_run_is_delivered_within_milliseconds_and_its_job_deleted(bench: Bench, start: Start) -> None:
    began: dict[UUID, float] = {}
    loop = asyncio.get_running_loop()

    async def handler(run_id: UUID, _claim: Claim) -> None:
        began[run_id] = loop.time()

    await start(handler)
    delays = []
    for _ in range(20):
        put = loop.time()
        run_id = await bench.put(lock=f"conversation:{uuid4()}")
        await until(partial(began.__contains__, run_id))
        delays.append(began[run_id] - put)
    # Far below the poll, whatever the machine is busy with.
    assert statistics.median(delays) < 0.1
    await until(empty(bench))


async def test_a_claim_is_the_lease_that_the_runner_asks_for(bench: Bench, start: Start) -> None:
    seen: asyncio.Queue[tuple[UUID, Claim]] = asyncio.Queue()

    async def handler(run_id: UUID, claim: Claim) -> None:
        await seen.put((run_id, claim))
        await asyncio.sleep(LEASE)

    engine = await start(handler)
    run_id = await bench.put()
    found, claim = await seen.get()
    lease: Lease = claim
    first = lease.deadline()
    lease.confirm()
    assert (found, claim.run_id, claim.attempt) == (run_id, run_id, 1)
    assert await bench.jobs() == [("doing", int(lease.worker))]
    assert boot_time() < first <= boot_time() + LEASE - MARGIN
    assert engine.held == 1
    await until(lambda: lease.deadline() > first)  # heartbeats move it
    assert engine.lease_valid_until == lease.deadline()
    assert not claim.lost.is_set()


def test_a_claim_is_fenced_when_its_lease_runs_out_or_it_ends() -> None:
    lease = WorkerLease(worker_id=1, seconds=5, margin=1.5)
    claim = Claim(run_id=uuid4(), job_id=1, attempt=1, lease=lease)
    with pytest.raises(LeaseLost, match="could not be confirmed"):
        claim.confirm()
    lease.confirm(boot_time())
    claim.confirm()
    claim.end(Ending.SHUTDOWN)
    assert not claim.lost.is_set()
    with pytest.raises(LeaseLost, match="shutting down"):
        claim.confirm()
    claim.end(Ending.LOST)
    assert claim.lost.is_set()
    assert claim.ending is Ending.SHUTDOWN
    late = WorkerLease(worker_id=1, seconds=5, margin=1.5)
    late.confirm(boot_time() - 3.6)  # confirmed, but the answer took too long
    assert not late.holds()


async def test_a_handler_that_breaks_fails_its_job_and_nothing_else(
    bench: Bench, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(run_id: UUID, claim: Claim) -> None:
        if claim.job_id == 1:
            raise RuntimeError("sesame")
        await bench.note(run_id, claim, "end")

    await start(handler)
    await bench.put()
    await bench.put(run="no uuid")
    good = await bench.put()
    await until(traced(bench, good, (1, "end")))
    await until(lambda: failed_twice(bench))
    assert any(record.exc_info and "sesame" in str(record.exc_info[1]) for record in caplog.records)


async def failed_twice(bench: Bench) -> bool:
    return [status for status, _ in await bench.jobs()] == ["failed", "failed"]


async def test_a_run_that_was_let_go_of_is_delivered_again(bench: Bench, start: Start) -> None:
    async def handler(run_id: UUID, claim: Claim) -> None:
        await bench.note(run_id, claim, "start")
        if claim.attempt < 3:
            raise LeaseLost("the epoch was raised")

    await start(handler)
    run_id = await bench.put(lock="conversation:1")
    await until(traced(bench, run_id, (1, "start"), (2, "start"), (3, "start")))
    await until(empty(bench))


async def test_the_lock_goes_to_the_next_job_at_once(bench: Bench, start: Start) -> None:
    await start()
    await start()
    runs = [await bench.put(lock="conversation:1") for _ in range(12)]
    async with asyncio.timeout(10):  # a look a second would take twelve
        for run_id in runs:
            await until(traced(bench, run_id, (1, "start"), (1, "end")))
    order = await bench.pool.fetch("SELECT run, what FROM trace ORDER BY id")
    assert [(row["run"], row["what"]) for row in order] == [
        (run_id, what) for run_id in runs for what in ("start", "end")
    ]


async def test_losing_the_race_for_a_lock_is_survived(bench: Bench, start: Start) -> None:
    """Ids are drawn before they are committed: a job can turn up before one that is being fetched."""
    engine = await start(queues=["default"])
    await bench.pool.execute("SELECT setval('procrastinate_jobs_id_seq', 10)")
    async with bench.pool.acquire() as other:
        async with other.transaction():
            await other.execute("INSERT INTO procrastinate_workers DEFAULT VALUES")
            await other.execute(
                """INSERT INTO procrastinate_jobs (id, queue_name, task_name, lock, args, status, worker_id)
                VALUES (9, 'default', 'run', 'conversation:1', '{}', 'doing',
                  (SELECT max(id) FROM procrastinate_workers))"""
            )
            run_id = await bench.put(lock="conversation:1")

            async def fetch_waits() -> bool:
                """The engine's fetch waits for this transaction's lock."""
                query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'transactionid'"
                return bool(await bench.pool.fetchval(query) == 1)

            await until(fetch_waits)
        await asyncio.sleep(0.1)
        assert await bench.trace(run_id) == []
        await other.execute("DELETE FROM procrastinate_jobs WHERE id = 9")
    await until(traced(bench, run_id, (1, "start"), (1, "end")))
    assert engine.connected


async def test_a_job_whose_fetch_was_never_answered_is_run_all_the_same(bench: Bench, start: Start) -> None:
    await start(queues=["elsewhere"])
    run_id = await bench.put(queue="elsewhere-too")
    await bench.pool.execute(
        """UPDATE procrastinate_jobs SET status = 'doing', queue_name = 'elsewhere',
        worker_id = (SELECT max(id) FROM procrastinate_workers)"""
    )
    await until(traced(bench, run_id, (2, "start"), (2, "end")))
    await until(empty(bench))


async def test_a_worker_that_is_struck_off_stops_and_signs_on_anew(bench: Bench, start: Start) -> None:
    bench.seconds = 60
    await start()
    run_id = await bench.put()
    await until(traced(bench, run_id, (1, "start")))
    bench.seconds = 0
    await bench.pool.execute("DELETE FROM procrastinate_workers")
    await until(lambda: done_again(bench, run_id))
    assert (1, f"cancelled: {Ending.LOST}") in await bench.trace(run_id)
    await until(empty(bench))


async def done_again(bench: Bench, run_id: UUID) -> bool:
    return (2, "end") in await bench.trace(run_id)


async def test_only_the_queues_named_are_served_and_announced(bench: Bench, start: Start) -> None:
    volume = f"vol:{uuid4()}"
    await start(queues=["default", volume])
    foreign = await bench.put(queue=f"vol:{uuid4()}")
    await asyncio.sleep(0.1)
    loop = asyncio.get_running_loop()
    began = loop.time()
    ours = await bench.put(queue=volume)
    await until(traced(bench, ours, (1, "start"), (1, "end")))
    assert loop.time() - began < 0.5  # announced, though its name fills a channel's
    assert await bench.trace(foreign) == []


async def test_stop_hands_runs_back_and_another_worker_goes_on_at_once(bench: Bench, start: Start) -> None:
    bench.seconds = 60
    first = await start()
    runs = [await bench.put(lock=f"conversation:{n}") for n in range(3)]
    for run_id in runs:
        await until(traced(bench, run_id, (1, "start")))
    bench.seconds = 0
    await start()
    loop = asyncio.get_running_loop()
    began = loop.time()
    await first.stop(0)
    for run_id in runs:
        expected = ((1, "start"), (1, f"cancelled: {Ending.SHUTDOWN}"), (2, "start"), (2, "end"))
        await until(traced(bench, run_id, *expected))
    assert loop.time() - began < 1
    assert not first.connected
    assert await bench.pool.fetchval("SELECT count(*) FROM procrastinate_workers") == 1
    await first.stop(0)


async def test_stop_lets_what_ends_soon_end(bench: Bench, start: Start) -> None:
    """Longer than the lease: heartbeats go on meanwhile."""
    bench.seconds = LEASE + 0.3
    engine = await start()
    await start(queues=["elsewhere"])
    run_id = await bench.put()
    await until(traced(bench, run_id, (1, "start")))
    stopping = asyncio.create_task(engine.stop(30))
    await asyncio.sleep(0.1)
    late = await bench.put()
    await stopping
    assert await bench.trace(run_id) == [(1, "start"), (1, "end")]
    assert await bench.trace(late) == []


async def test_a_stop_that_is_hurried_waits_for_nobody_to_end_by_themselves(
    bench: Bench, start: Start
) -> None:
    bench.seconds = 60
    engine = await start()
    run_id = await bench.put()
    await until(traced(bench, run_id, (1, "start")))
    engine.wind_down(60)
    late = await bench.put()
    stopping = asyncio.create_task(engine.stop(60))
    await asyncio.sleep(0.2)
    assert not stopping.done()
    engine.hurry()
    await asyncio.wait_for(stopping, 20)
    assert await bench.trace(run_id) == [(1, "start"), (1, f"cancelled: {Ending.SHUTDOWN}")]
    assert await bench.trace(late) == []
    assert await bench.jobs() == [("todo", None), ("todo", None)]


async def test_a_handler_that_ignores_its_cancellation_is_given_up_but_its_job_is_not_handed_back(
    bench: Bench, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "CANCEL_SECONDS", 0.1)
    monkeypatch.setattr(engine_module, "WRITE_SECONDS", 0.1)
    freed = asyncio.Event()

    async def deaf(run_id: UUID, claim: Claim) -> None:
        await bench.note(run_id, claim, "start")
        while not freed.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await freed.wait()

    engine = await start(deaf)
    run_id = await bench.put()
    await until(traced(bench, run_id, (1, "start")))
    owner = await bench.jobs()
    await engine.stop(0)
    assert await bench.jobs() == owner  # while it may still act, nobody else may
    await start()
    await until(traced(bench, run_id, (1, "start"), (2, "start"), (2, "end")))
    freed.set()


async def test_an_engine_that_is_cancelled_hands_its_runs_back(database: TestDatabase, bench: Bench) -> None:
    bench.seconds = 60
    engine = Engine(
        dsn=database.dsn,
        queues=None,
        concurrency=1,
        lease_seconds=LEASE,
        margin_seconds=MARGIN,
        handler=bench.handle,
    )
    task = asyncio.create_task(engine.run())
    run_id = await bench.put()
    await until(traced(bench, run_id, (1, "start")))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await bench.jobs() == [("todo", None)]
    with pytest.raises(RuntimeError):
        await engine.run()


async def test_nothing_is_taken_over_while_the_database_settles(bench: Bench, start: Start) -> None:
    await bench.pool.execute(
        "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 day')"
    )
    run_id = await bench.put()
    await bench.pool.execute("UPDATE procrastinate_jobs SET status = 'doing', worker_id = 1")
    careful = await start(settle=86_400)
    await asyncio.sleep(1)
    assert await bench.jobs() == [("doing", 1)]
    await careful.stop(0)
    await start(settle=0)
    await until(traced(bench, run_id, (2, "start"), (2, "end")))


def test_a_lease_that_leaves_no_time_for_heartbeats_is_refused(bench: Bench, database: TestDatabase) -> None:
    with pytest.raises(ValueError, match="no time for two heartbeats"):
        Engine(dsn=database.dsn, queues=None, concurrency=1, lease_seconds=2, handler=bench.handle)
