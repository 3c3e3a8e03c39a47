"""SIGTERM: within 15 seconds the process is gone, its trees are dead, and its runs are another's at once.

The time is a promise to whoever orchestrates the processes, so it is measured here; the rest is not.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from sqlalchemy import text

from flynn.simulator import SimulatorServer, parse_scenarios
from flynn.store.database import Database
from flynn.store.embedded import EmbeddedPostgres
from tests.drills.fleet import Fleet, Member
from tests.eventually import eventually
from tests.house import prepare
from tests.postgres import TestDatabase, TestDatabases
from tests.sandbox.census import Census

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.needs("bubblewrap")]

PROMISED_SECONDS = 15
SCRIPT = """
name: command
match: play-command
loop: true
turns:
  - blocks:
      - tool: Bash
        input:
          command: "trap '' TERM INT HUP; echo x >> began.txt; sleep MARK; sleep MARK"
  - blocks: [{text: Done.}]
---
name: words
match: play-words
loop: true
turns:
  - {blocks: [{text: Said.}], faults: [{kind: hang, on_attempt: 1}]}
"""

RUNS = 20


@pytest.fixture
def sleepers() -> Census:
    """Processes of this test's commands, in whatever sandbox: other drills have theirs at the same time."""
    return Census()


@pytest.fixture
async def simulator(sleepers: Census) -> AsyncIterator[SimulatorServer]:
    async with SimulatorServer(parse_scenarios(SCRIPT.replace("MARK", sleepers.mark))) as found:
        yield found


async def workspaces(client: httpx2.AsyncClient, fleet: Fleet, count: int) -> None:
    for number in range(count):
        place = fleet.shared / f"w{number}"
        await asyncio.to_thread(place.mkdir)
        made = await client.post("/api/v1/workspaces", json={"name": f"w{number}", "path": str(place)})
        assert made.status_code == 201, made.text


async def delegate(client: httpx2.AsyncClient, words: str, workspace: str) -> dict[str, Any]:
    order = {"instructions": words, "workspace": workspace}
    sent = await client.post("/api/v1/tasks", json=order)
    assert sent.status_code == 202, sent.text
    task: dict[str, Any] = sent.json()
    return task


async def end(member: Member) -> float:
    """Ask a member to end; the seconds that it took, and its status must be 0."""
    began = time.monotonic()
    member.send(signal.SIGTERM)
    assert await member.ended(60) == 0, member.said()[-3000:]
    return time.monotonic() - began


async def test_twenty_runs_are_handed_back_and_go_on_elsewhere_at_once(
    tmp_path: Path, simulator: SimulatorServer, sleepers: Census
) -> None:
    settings = {"FLYNN_CONCURRENCY": "25", "FLYNN_PRINCIPAL_RUNS": "50", "FLYNN_LEASE_SECONDS": "120"}
    async with AsyncExitStack() as stack:
        postgres = stack.enter_context(TestDatabases.shared().new(prepare))
        fleet = await stack.enter_async_context(
            Fleet(tmp_path, postgres.url, simulator.url, settings=settings)
        )
        first = await fleet.serve("first", worker=True)
        async with first.http() as client:
            await workspaces(client, fleet, RUNS)
            tasks = [
                await delegate(client, ("play-command", "play-words")[n % 2] + f" {n}", f"w{n}")
                for n in range(RUNS)
            ]

            async def busy() -> bool:
                listed = (await client.get(f"{simulator.url}/_simulator/requests")).json()["requests"]
                asked = sum(r["path"].startswith("/v1/messages") for r in listed)
                return len(sleepers.pids()) == RUNS // 2 and asked >= RUNS

            await eventually(busy, what="ten commands and ten streams", seconds=90)
        second = await fleet.serve("second", worker=True)
        took = await end(first)
        assert sleepers.pids() == []
        assert took < PROMISED_SECONDS, first.said()[-3000:]
        async with second.http() as client:
            for task in tasks:
                # The lease is 120 s: whoever waited for it would come too late.
                found = await client.get(f"/api/v1/tasks/{task['id']}", params={"wait": 60})
                assert found.json()["state"] == "completed", found.json()
        for number in range(0, RUNS, 2):
            began = fleet.shared / f"w{number}" / "began.txt"
            assert await asyncio.to_thread(began.read_text) == "x\n"
        assert await lost(postgres) == 0


async def lost(postgres: TestDatabase) -> int:
    database = Database(postgres.url, pool_size=1)
    try:
        async with database.statement() as connection:
            return int(await connection.scalar(text("SELECT sum(lost) FROM runs")) or 0)
    finally:
        await database.close()


@contextmanager
def frozen(postgres: EmbeddedPostgres) -> Iterator[None]:
    """The server and all its backends stand still."""
    assert postgres.pid is not None
    server = psutil.Process(postgres.pid)
    processes = [server, *server.children(recursive=True)]
    for process in processes:
        with suppress(psutil.NoSuchProcess):  # a backend that has just ended
            process.suspend()
    try:
        yield
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.resume()


@pytest.mark.parametrize("how", ["gone", "frozen"])
async def test_a_worker_ends_in_time_though_its_database_is_away(
    tmp_path: Path, simulator: SimulatorServer, sleepers: Census, how: str
) -> None:
    async with AsyncExitStack() as stack:
        postgres = await stack.enter_async_context(EmbeddedPostgres(tmp_path / "postgres", fsync=False))
        await prepare(postgres.url)
        # The database is away for less than a lease, so that commands are still at it when the end comes.
        settings = {"FLYNN_LEASE_SECONDS": "60"}
        fleet = await stack.enter_async_context(
            Fleet(tmp_path, postgres.url, simulator.url, settings=settings)
        )
        server = await fleet.serve("server")
        worker = await fleet.work("worker")
        async with server.http() as client:
            await workspaces(client, fleet, 1)
            await delegate(client, "play-command", "w0")
            await eventually(lambda: bool(sleepers.pids()), what="the command", seconds=60)
        if how == "gone":
            await postgres.stop()
            ends = await asyncio.gather(end(worker), end(server))
        else:
            with frozen(postgres):
                ends = await asyncio.gather(end(worker), end(server))
        assert sleepers.pids() == []
        assert max(ends) < PROMISED_SECONDS, worker.said()[-3000:]


async def test_who_asks_twice_waits_for_no_grace_and_runs_are_handed_back_all_the_same(
    tmp_path: Path, simulator: SimulatorServer, sleepers: Census
) -> None:
    async with AsyncExitStack() as stack:
        postgres = stack.enter_context(TestDatabases.shared().new(prepare))
        fleet = await stack.enter_async_context(Fleet(tmp_path, postgres.url, simulator.url))
        both = await fleet.serve("both", worker=True)
        async with both.http() as client:
            await workspaces(client, fleet, 1)
            task = await delegate(client, "play-command", "w0")
            await eventually(lambda: bool(sleepers.pids()), what="the command", seconds=60)
        both.send(signal.SIGTERM)
        both.send(signal.SIGINT)
        os.sched_yield()
        both.send(signal.SIGINT)
        assert await both.ended(60) == 0, both.said()[-3000:]
        assert sleepers.pids() == []
        assert "Traceback" not in both.said()
        database = Database(postgres.url, pool_size=1)
        async with database.statement() as connection:
            found = (await connection.execute(text("SELECT state, lost, job_id FROM runs"))).one()
            job = await connection.scalar(
                text("SELECT status FROM procrastinate_jobs WHERE id = :job"), {"job": found.job_id}
            )
        await database.close()
        assert (found.state, found.lost, job) == ("queued", 0, "todo")
        assert task["state"] == "queued"
