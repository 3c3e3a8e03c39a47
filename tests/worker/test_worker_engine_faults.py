"""The engine when things die: workers by kill -9 and SIGSTOP, the database under running jobs."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from flynn.store.embedded import EmbeddedPostgres
from flynn.worker.engine import Engine
from flynn.worker.engine_lease import Claim, Ending, boot_time
from tests.postgres import TestDatabase, TestDatabases
from tests.worker import engine_bench
from tests.worker.engine_bench import Bench, prepare

pytestmark = pytest.mark.slow

LEASE, MARGIN = 1.5, 0.5
ROOT = Path(__file__).parents[2]


def engine_for(dsn: str, bench: Bench, *, lease: float = LEASE, margin: float = MARGIN) -> Engine:
    return Engine(
        dsn=dsn,
        queues=None,
        concurrency=4,
        lease_seconds=lease,
        margin_seconds=margin,
        settle_seconds=0,
        handler=bench.handle,
    )


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 40) -> float:
    """Wait until `condition` holds; returns the seconds it took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 # other processes make it true
            await asyncio.sleep(0.01)
    return loop.time() - began


def has(bench: Bench, run_id: UUID, *expected: tuple[int, str]) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return set(expected) <= set(await bench.trace(run_id))

    return look


@pytest.fixture
def database() -> Iterator[TestDatabase]:
    with TestDatabases.shared().new(prepare) as database:
        yield database


@pytest.fixture
async def bench(database: TestDatabase) -> AsyncIterator[Bench]:
    async with asyncpg.create_pool(database.dsn, min_size=1, max_size=5) as pool:
        yield Bench(pool)


@pytest.fixture
def worker(database: TestDatabase) -> Iterator[Callable[..., int]]:
    """Starts worker processes; returns their pids."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> int:
        command = [sys.executable, engine_bench.__file__, database.dsn, str(LEASE), str(MARGIN), *arguments]
        processes.append(subprocess.Popen(command, cwd=ROOT))
        return processes[-1].pid

    yield start
    for process in processes:
        process.kill()
        process.wait()


async def idle(bench: Bench) -> bool:
    """Whether no job is left; a handler notes its end a moment before its job's is written."""
    return await bench.jobs() == []


async def test_the_work_of_a_killed_worker_is_taken_over(
    database: TestDatabase, bench: Bench, worker: Callable[..., int]
) -> None:
    pid = await asyncio.to_thread(worker)
    run_id = await bench.put(lock="conversation:1")
    await until(has(bench, run_id, (1, "start")))
    engine = engine_for(database.dsn, bench)
    serving = asyncio.create_task(engine.run())
    await asyncio.sleep(0.3)
    os.kill(pid, signal.SIGKILL)
    took = await until(has(bench, run_id, (2, "end")))
    assert LEASE / 2 < took < LEASE + 15
    assert await bench.trace(run_id) == [(1, "start"), (2, "start"), (2, "end")]
    await until(lambda: idle(bench))
    await engine.stop(0)
    await serving


async def test_a_worker_that_slept_past_its_lease_finds_itself_fenced(
    database: TestDatabase, bench: Bench, worker: Callable[..., int]
) -> None:
    """It is a stubborn one: when it is cancelled it says that it is done."""
    pid = await asyncio.to_thread(worker, "stubborn")
    run_id = await bench.put(lock="conversation:1")
    await until(has(bench, run_id, (1, "start")))
    os.kill(pid, signal.SIGSTOP)
    bench.seconds = 60
    engine = engine_for(database.dsn, bench)
    serving = asyncio.create_task(engine.run())
    await until(has(bench, run_id, (2, "start")))
    owner = await bench.jobs()
    os.kill(pid, signal.SIGCONT)
    ended = (1, f"cancelled: {Ending.UNCONFIRMED}")
    await until(has(bench, run_id, ended))
    await asyncio.sleep(0.5)
    # What it wrote of its job's end changed nothing for the one who has the job now.
    assert await bench.jobs() == owner
    assert owner[0][0] == "doing"
    assert await bench.trace(run_id) == [(1, "start"), (2, "start"), ended]
    bench.seconds = 0
    await engine.stop(0)
    await serving


@pytest.fixture
async def postgres(tmp_path: Path) -> AsyncIterator[EmbeddedPostgres]:
    """A server of its own, to be ill-treated: what it has confirmed outlives it, though not the machine."""
    settings = {"synchronous_commit": "on"}
    async with EmbeddedPostgres(tmp_path / "data", fsync=False, settings=settings) as server:
        await prepare(server.url)
        yield server


async def is_now(postgres: EmbeddedPostgres, state: str) -> bool:
    return postgres.state == state


async def test_a_restart_of_the_database_leaves_a_running_job_unharmed(postgres: EmbeddedPostgres) -> None:
    async with asyncpg.create_pool(postgres.dsn, min_size=1, max_size=5) as pool:
        bench = Bench(pool)
        endings: list[object] = []

        async def handler(run_id: UUID, claim: Claim) -> None:
            await bench.note(run_id, claim, "start")
            await asyncio.sleep(2)
            endings.append(claim.ending)
            claim.confirm()
            await bench.note(run_id, claim, "end")

        engine = Engine(
            dsn=postgres.dsn,
            queues=None,
            concurrency=4,
            lease_seconds=10,
            settle_seconds=0,
            handler=handler,
        )
        serving = asyncio.create_task(engine.run())
        run_id = await bench.put(lock="conversation:1")
        await until(has(bench, run_id, (1, "start")))
        assert postgres.pid is not None
        os.kill(postgres.pid, signal.SIGKILL)
        await until(lambda: is_now(postgres, "restarting"))
        await until(lambda: is_now(postgres, "running"))
        later = await bench.put()
        await until(has(bench, run_id, (1, "end")))
        await until(has(bench, later, (1, "end")))
        assert endings == [None, None]
        assert await bench.trace(run_id) == [(1, "start"), (1, "end")]
        await until(lambda: idle(bench))
        await engine.stop(0)
        await serving


async def test_runs_stop_when_the_database_stays_away_and_go_on_when_it_is_back(
    postgres: EmbeddedPostgres,
) -> None:
    trace: list[str] = []

    async def handler(run_id: UUID, claim: Claim) -> None:
        trace.append(f"{claim.attempt} start")
        try:
            if claim.attempt == 1:
                await asyncio.sleep(60)
        except asyncio.CancelledError:
            trace.append(f"{claim.attempt} {claim.ending}")
            assert claim.lost.is_set()
            raise
        trace.append(f"{claim.attempt} end")

    engine = Engine(
        dsn=postgres.dsn,
        queues=None,
        concurrency=4,
        lease_seconds=LEASE,
        margin_seconds=MARGIN,
        settle_seconds=0,
        handler=handler,
    )
    serving = asyncio.create_task(engine.run())
    async with asyncpg.create_pool(postgres.dsn, min_size=1, max_size=1) as pool:
        await Bench(pool).put(lock="conversation:1")
        await until(lambda: said(trace, "1 start"))
    await postgres.stop()
    took = await until(lambda: said(trace, f"1 {Ending.UNCONFIRMED}"))
    assert took < LEASE - MARGIN + 0.4
    assert engine.lease_valid_until < boot_time()
    await postgres.start()
    await until(lambda: said(trace, "2 end"))
    await until(lambda: connected(engine))
    assert trace == ["1 start", f"1 {Ending.UNCONFIRMED}", "2 start", "2 end"]
    await engine.stop(0)
    await serving


async def connected(engine: Engine) -> bool:
    return engine.connected


async def said(trace: list[str], what: str) -> bool:
    return what in trace


async def test_an_engine_waits_for_a_database_that_is_not_there_yet_and_can_be_stopped(
    postgres: EmbeddedPostgres,
) -> None:
    await postgres.stop()
    ran = asyncio.Event()

    async def handler(_run_id: UUID, _claim: Claim) -> None:
        ran.set()

    first = Engine(dsn=postgres.dsn, queues=None, concurrency=1, handler=handler)
    second = Engine(dsn=postgres.dsn, queues=None, concurrency=1, handler=handler)
    serving = [asyncio.create_task(engine.run()) for engine in (first, second)]
    await asyncio.sleep(0.3)
    async with asyncio.timeout(30):
        await first.stop(0)
    await postgres.start()
    async with asyncpg.create_pool(postgres.dsn, min_size=1, max_size=1) as pool:
        await Bench(pool).put()
    async with asyncio.timeout(30):
        await ran.wait()
    await second.stop(0)
    await asyncio.gather(*serving)
