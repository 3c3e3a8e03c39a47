"""Samples and what is made of them: summed over processes, never lost to an outage, never counted twice."""

import asyncio
import inspect
import os
import re
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import procrastinate.schema
import pytest
from sqlalchemy import text

from flynn.domain.readiness import Part, PartState, Readiness
from flynn.domain.sample import KEPT_SECONDS, STEP_SECONDS, RouteCounts, quantile
from flynn.ops import sampling as sampling_room
from flynn.ops.numbers import Numbers
from flynn.ops.sampler import Sampler, sampling, slot_of
from flynn.ops.sampling import routes_of
from flynn.ops.scrape import Scrape
from flynn.store import samples as table
from flynn.store.database import Database
from flynn.store.embedded import EmbeddedPostgres
from flynn.store.migrate import migrate
from flynn.store.outage import OUTAGES
from flynn.store.retention import Retention, sweep
from flynn.telemetry.metrics import Metrics
from flynn.telemetry.reading import Reading
from tests.api.served import Clock
from tests.eventually import eventually
from tests.house import prepare
from tests.postgres import TestDatabases


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    with TestDatabases.shared().new(prepare) as postgres:
        database = Database(postgres.url, pool_size=4)
        yield database
        await database.close()


class Process:
    """What counts and samples in one process."""

    def __init__(self, database: Database, clock: Clock, *, part: PartState = "ok") -> None:
        self.metrics = Metrics()
        self.part = part
        self.scrape = Scrape(self.metrics, database=database, ready=self._ready)
        self.sampler = Sampler(self.scrape, database, kind="serve", version="1", now=clock)
        self.numbers = Numbers(self.sampler, database, now=clock)

    async def _ready(self) -> Readiness:
        detail = None if self.part == "ok" else f"it is {self.part}"
        return Readiness(ok=True, parts=[Part(name="live", state=self.part, detail=detail)])

    def answer(self, status: int, seconds: float, *, times: int = 1, route: str = "/api/v1/tasks") -> None:
        """Count requests that were answered."""
        self.metrics.http_requests.labels("GET", route, str(status)).inc(times)
        for _ in range(times):
            self.metrics.http_seconds.labels("GET", route).observe(seconds)


async def count(database: Database) -> int:
    async with database.statement() as connection:
        return int(await connection.scalar(text("SELECT count(*) FROM samples")) or 0)


async def test_processes_are_summed_and_each_gives_the_same_answer(database: Database) -> None:
    clock = Clock()
    one, two = Process(database, clock), Process(database, clock, part="degraded")
    one.answer(200, 0.03, times=90)
    two.answer(200, 0.03, times=5)
    two.answer(503, 4.0, times=5)
    two.answer(404, 0.03, times=100, route="other")
    one.metrics.tokens.labels("claude-haiku-5-5", "cache_read").inc(900)
    two.metrics.tokens.labels("claude-haiku-5-5", "input").inc(100)
    two.metrics.tokens.labels("claude-haiku-5-5", "output").inc(50)
    for process in (one, two):
        process.metrics.dollars.labels("claude-haiku-5-5", "usage").inc(0.25)
        process.metrics.tool_calls.labels("Bash", "ok").inc(3)
        process.metrics.sockets.set(7)
    clock.forward()
    for process in (one, two):
        await process.sampler.sample()
    clock.forward(6)
    found = await one.numbers.view(60)
    other = await two.numbers.view(60)
    assert [p.answers for p in found.processes] != [p.answers for p in other.processes]
    assert found.model_dump(exclude={"processes"}) == other.model_dump(exclude={"processes"})
    assert (found.requests.requests, found.requests.errors, found.requests.refused) == (200, 5, 100)
    assert found.requests.error_ratio == 0.025
    assert found.requests.per_second > 0
    tasks = next(route for route in found.routes if route.route == "/api/v1/tasks")
    assert (tasks.method, tasks.requests, tasks.errors, tasks.error_ratio) == ("GET", 100, 5, 0.05)
    assert tasks.p50_seconds is not None
    assert 0.02 < tasks.p50_seconds < 0.06, "of both processes together"
    assert found.model.dollars == 0.5
    assert found.model.tokens == {"cache_read": 900, "input": 100, "output": 50}
    assert found.model.cache_ratio == 0.9
    assert [(c.tool, c.outcome, c.calls) for c in found.work.tool_calls] == [("Bash", "ok", 6)]
    assert found.clients.sockets == 14
    assert [(part.state, part.detail) for part in found.parts] == [("degraded", "it is degraded")]
    assert found.runs is not None
    assert found.runs.queued == 0, "the whole service's, not twice one's own"
    (point,) = found.history
    assert point.at == found.at
    assert point.requests_per_second == pytest.approx(200 / STEP_SECONDS, abs=0.01)
    assert point.errors_per_second == pytest.approx(5 / STEP_SECONDS, abs=0.01)


async def test_only_what_is_new_is_counted_and_once_a_slot(database: Database) -> None:
    clock = Clock()
    process = Process(database, clock)
    for _ in range(3):
        process.answer(200, 0.2, times=2)
        clock.forward()
        await process.sampler.sample()
        process.answer(200, 0.2)
        await process.sampler.sample()  # the same slot: it waits for the next
    clock.forward()
    await process.sampler.sample()
    assert [s.totals.all_routes.requests for s in process.sampler.ring] == [2, 3, 3, 1]
    clock.forward(6)
    assert (await process.numbers.view(60)).requests.requests == 9


async def test_the_database_is_asked_once_a_slot_however_many_ask(database: Database) -> None:
    clock = Clock()
    process = Process(database, clock)
    clock.forward()
    await process.sampler.sample()
    clock.forward(6)
    first = await process.numbers.view(60)
    assert await process.numbers.view(60) is first
    assert (await process.numbers.view(30)).at == first.at
    clock.forward()
    assert await process.numbers.view(60) is not first


async def test_what_is_older_than_the_window_is_history_alone(database: Database) -> None:
    clock = Clock()
    process = Process(database, clock)
    process.answer(500, 0.2)
    clock.forward()
    await process.sampler.sample()
    for _ in range(20):
        clock.forward()
        await process.sampler.sample()
    clock.forward(6)
    found = await process.numbers.view(60)
    assert (found.requests.requests, found.window_seconds) == (0, 300)
    assert [point.errors_per_second > 0 for point in found.history] == [True] + [False] * 20
    assert len((await process.numbers.view(5)).history) == 20


async def test_a_process_that_is_gone_is_shown_no_more_and_what_it_did_stays(database: Database) -> None:
    clock = Clock()
    one, two = Process(database, clock), Process(database, clock, part="down")
    async with sampling(two.sampler):
        two.answer(200, 0.2, times=4)
    clock.forward(20)
    await one.sampler.sample()
    clock.forward(6)
    found = await one.numbers.view(60)
    assert found.requests.requests == 4
    assert [p.id for p in found.processes] == [one.sampler.process_id]
    assert [part.state for part in found.parts] == ["ok"]


async def test_samples_wait_for_a_database_that_hangs_and_none_is_lost(database: Database) -> None:
    clock = Clock()
    one, two = Process(database, clock), Process(database, clock)
    async with database.begin() as connection:
        await connection.execute(text("LOCK TABLE samples IN ACCESS EXCLUSIVE MODE"))
        for process in (one, two):
            process.answer(200, 0.2)
        clock.forward()
        await asyncio.gather(*(process.sampler.sample() for process in (one, two)))
        clock.forward(6)
        found = await one.numbers.view(60)
        assert found.whole is False
        assert found.detail is not None
        assert found.requests.requests == 1, "its own, alone"
        assert [p.id for p in found.processes] == [one.sampler.process_id]
    assert await count(database) == 0
    clock.forward()
    for process in (one, two):
        await process.sampler.sample()
    clock.forward(6)
    found = await one.numbers.view(60)
    assert (found.whole, found.requests.requests, len(found.history)) == (True, 2, 2)


async def test_a_database_that_is_back_and_slow_gets_all_the_same_what_waited(database: Database) -> None:
    """Two hours of samples take longer than a write may; so they are written a few at a time."""
    clock = Clock()
    away = Database("postgresql+asyncpg://nobody@/none?host=/nonexistent")
    process = Process(away, clock)
    for _ in range(300):
        clock.forward()
        process.answer(200, 0.01)
        await process.sampler.sample()
    assert await count(database) == 0
    async with database.statement() as connection:
        await connection.execute(
            text(
                "CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS"
                " $$ BEGIN PERFORM pg_sleep(0.01); RETURN NEW; END $$"
            )
        )
        await connection.execute(
            text("CREATE TRIGGER slowly BEFORE INSERT ON samples FOR EACH ROW EXECUTE FUNCTION slowly()")
        )
    process.sampler._database = database
    for written in range(1, 40):
        clock.forward()
        await process.sampler.sample()
        if await count(database) == 300 + written:
            break
    else:
        pytest.fail(f"{await count(database)} of the samples are there")
    await away.close()


async def test_a_table_that_a_crash_has_emptied_is_filled_again(database: Database) -> None:
    clock = Clock()
    process = Process(database, clock)
    for _ in range(3):
        process.answer(200, 0.2)
        clock.forward()
        await process.sampler.sample()
    async with database.begin() as connection:
        await connection.execute(text("TRUNCATE samples"))
    clock.forward()
    await process.sampler.sample()
    assert await count(database) == 4
    clock.forward()
    await process.sampler.sample()
    assert await count(database) == 5


@pytest.mark.slow
async def test_a_killed_server_costs_no_history(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path / "postgres") as server:
        database = Database(server.url, pool_size=2)
        await migrate(database, queue_schema=procrastinate.schema.SchemaManager.get_schema())
        clock = Clock()
        process = Process(database, clock)
        for _ in range(2):
            process.answer(200, 0.2)
            clock.forward()
            await process.sampler.sample()
        assert await count(database) == 2
        killed = server.pid
        assert killed is not None
        os.kill(killed, signal.SIGKILL)

        async def back() -> bool:
            try:
                return server.pid not in (None, killed) and await count(database) == 0
            except OUTAGES:
                return False

        await eventually(back, what="a new server with an empty table", seconds=90)
        clock.forward()
        await process.sampler.sample()
        assert await count(database) == 3
        await database.close()


async def test_samples_go_after_their_time(database: Database) -> None:
    process = Process(database, clock := Clock(datetime.now(UTC) - timedelta(seconds=KEPT_SECONDS + 60)))
    await process.sampler.sample()
    clock.forward(KEPT_SECONDS + 60)
    await process.sampler.sample()
    kept = Retention(jobs=timedelta(days=7), keys=timedelta(days=30), originals=timedelta(days=30))
    async with database.begin() as connection:
        assert (await sweep(connection, kept))["samples"] == 1
        now = slot_of(clock())
        left = await table.read_samples(connection, after=now - timedelta(days=1), until=now)
    assert [sample.slot for sample in left] == [now]


def test_latencies_are_read_off_the_buckets() -> None:
    assert quantile({}, 0.5) is None
    assert quantile({"0:0.1": 100}, 0.5) == pytest.approx(0.05)
    assert quantile({"0.1:0.2": 50, "0:0.1": 50}, 0.95) == pytest.approx(0.19)
    assert quantile({"0:0.1": 1, "30:inf": 99}, 0.95) == 30, "the last bucket has no end"


def test_statuses_are_told_apart_and_who_left_is_neither() -> None:
    def seen(status: str, amount: float) -> tuple[tuple[str, tuple[tuple[str, str], ...]], float]:
        labels = (("method", "GET"), ("route", "/x"), ("status", status))
        return ("flynn_http_requests_total", labels), amount

    grown = Reading(dict([seen("200", 5), seen("404", 3), seen("503", 2), seen("499", 1), seen("304", 0)]))
    assert routes_of(grown) == {"GET /x": RouteCounts(requests=11, errors=2, refused=3)}


def test_every_metric_that_is_read_is_there() -> None:
    described = {each.name: set(each.labels) for each in Metrics().described}
    for name, labels in sampling_room.COUNTED.items():
        assert set(labels) <= described[name], name
    named = set(re.findall(r'"(flynn_\w+)"', inspect.getsource(sampling_room)))
    assert len(named) > 20
    assert {name.removesuffix("_bucket") for name in named} <= described.keys()
