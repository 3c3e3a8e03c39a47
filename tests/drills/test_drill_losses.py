"""Real kills: a run that kills its worker is given up after the third, its conversation is not."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest

from flynn.simulator import SimulatorServer, parse_scenarios
from flynn.workspace.volume import make_volume
from tests.drills.fleet import Fleet, Member
from tests.eventually import eventually
from tests.house import prepare
from tests.postgres import TestDatabase, TestDatabases

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SCRIPT = """
name: later
match: once more
turns: [{blocks: [{text: Said at last.}]}]
---
name: deadly
turns:
  - {blocks: [{text: Never said.}], faults: [{kind: hang, on_attempt: [1, 2, 3]}]}
"""


@pytest.fixture
async def postgres() -> AsyncIterator[TestDatabase]:
    with TestDatabases.shared().new(prepare) as found:
        yield found


@pytest.fixture
async def fleet(tmp_path: Path, postgres: TestDatabase) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(SimulatorServer(parse_scenarios(SCRIPT)))
        settings = {"FLYNN_LEASE_SECONDS": "3", "FLYNN_SANDBOX": "none"}
        yield await stack.enter_async_context(Fleet(tmp_path, postgres.url, simulator.url, settings=settings))


async def holder(client: httpx2.AsyncClient, workers: dict[str, Member]) -> Member | None:
    """The member that holds the run now, by what the queue says of its workers."""
    holding = [w["id"] for w in (await client.get("/api/v1/queue")).json()["workers"] if w["holds"]]
    return workers.get(holding[0]) if len(holding) == 1 else None


async def begin(client: httpx2.AsyncClient, fleet: Fleet, workers: dict[str, Member]) -> None:
    """Start one more worker, and find out which it is in the queue."""
    known = set(workers)
    member = await fleet.work(f"worker{len(workers)}")

    async def there() -> bool:
        seen = {w["id"] for w in (await client.get("/api/v1/queue")).json()["workers"]}
        for new in seen - known:
            workers[new] = member
        return bool(seen - known)

    await eventually(there, what="the new worker", seconds=30)


async def log_of(client: httpx2.AsyncClient, conversation: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get(f"/api/v1/conversations/{conversation}/events")).json()[
        "items"
    ]
    return found


async def test_a_run_that_kills_its_worker_three_times_fails_and_says_so(
    fleet: Fleet, postgres: TestDatabase
) -> None:
    """Twice it is noticed by the lease, once by the reconciler, whose job was lost with the worker."""
    server = await fleet.serve("server")
    workers: dict[str, Member] = {}
    async with server.http() as client:
        place = fleet.shared / "w"
        await asyncio.to_thread(place.mkdir)
        await client.post("/api/v1/workspaces", json={"name": "w", "path": str(place)})
        await begin(client, fleet, workers)
        task = (await client.post("/api/v1/tasks", json={"instructions": "x", "workspace": "w"})).json()
        conversation = task["conversation_id"]
        for times in range(1, 4):

            async def asked(n: int = times) -> bool:
                types = [e["type"] for e in await log_of(client, conversation)]
                return types.count("step.started") >= n and await holder(client, workers) is not None

            await eventually(asked, what=f"model call {times}", seconds=60)
            if times < 3:
                await begin(client, fleet, workers)
            held = await holder(client, workers)
            assert held is not None
            held.kill()
            if times == 2:
                connection = await asyncpg.connect(postgres.dsn)
                await connection.execute("DELETE FROM procrastinate_jobs")
                await connection.close()
        await begin(client, fleet, workers)
        ended = (await client.get(f"/api/v1/tasks/{task['id']}", params={"wait": 60})).json()
        assert (ended["state"], ended["reason"]) == ("failed", "worker-lost"), ended
        assert "3 times" in ended["detail"]
        log = await log_of(client, conversation)
        lost = [e["data"] for e in log if e["type"] == "step.failed"]
        reserved = [e["data"] for e in log if e["type"] == "step.started"]
        assert [e["reason"] for e in lost] == ["worker_lost"] * 3
        failed = next(e["data"] for e in log if e["type"] == "run.failed")
        assert failed["nanodollars"] == sum(e["reserved_nanodollars"] for e in reserved)
        assert ended["report"]["state"] == "failed"

        again = await client.post(f"/api/v1/tasks/{task['id']}/messages", json={"text": "once more"})
        assert again.status_code == 202
        done = (await client.get(f"/api/v1/tasks/{task['id']}", params={"wait": 60})).json()
        assert done["state"] == "completed", done


async def test_rolling_restarts_are_no_losses(fleet: Fleet) -> None:
    """A long run outlives more workers that end in order than it may lose."""
    server = await fleet.serve("server")
    async with server.http() as client:
        place = fleet.shared / "w"
        await asyncio.to_thread(place.mkdir)
        await client.post("/api/v1/workspaces", json={"name": "w", "path": str(place)})
        task = (await client.post("/api/v1/tasks", json={"instructions": "x", "workspace": "w"})).json()
        for times in range(1, 4):
            member = await fleet.work(f"worker{times}")

            async def asked(n: int = times) -> bool:
                types = [e["type"] for e in await log_of(client, task["conversation_id"])]
                return types.count("step.started") >= n

            await eventually(asked, what=f"model call {times}", seconds=60)
            member.send(signal.SIGTERM)
            assert await member.ended() == 0
            seen = (await client.get(f"/api/v1/tasks/{task['id']}")).json()
            assert seen["state"] == "queued"
        await fleet.work("last")
        done = (await client.get(f"/api/v1/tasks/{task['id']}", params={"wait": 60})).json()
        assert done["state"] == "completed", done


async def test_runs_of_a_volume_whose_worker_died_give_their_slots_back_until_it_is_there_again(
    fleet: Fleet,
) -> None:
    """One that it was at and one that was only admitted, while another worker without the volume lives."""
    other = fleet.place / "other"
    await asyncio.to_thread(other.mkdir)
    await asyncio.to_thread(make_volume, other)
    volumes = f"{fleet.shared}:{other}"
    server = await fleet.serve("server", FLYNN_VOLUMES=volumes)
    async with server.http() as client:
        tasks = []
        holder = await fleet.work("holder", "--concurrency", "1", FLYNN_VOLUMES=volumes)
        await fleet.work("bystander")
        for name in ("one", "two"):
            place = other / name
            await asyncio.to_thread(place.mkdir)
            made = await client.post("/api/v1/workspaces", json={"name": name, "path": str(place)})
            assert made.status_code == 201, made.text
            sent = await client.post("/api/v1/tasks", json={"instructions": "x", "workspace": name})
            tasks.append(sent.json())

        async def lines() -> set[tuple[str, str | None, int]]:
            found = (await client.get("/api/v1/queue")).json()["lines"]
            return {(line["state"], line["reason"], line["runs"]) for line in found}

        async def shows(*expected: tuple[str, str | None, int]) -> bool:
            return await lines() == set(expected)

        await eventually(
            lambda: shows(("running", None, 1), ("queued", "worker", 1)), what="one at work", seconds=30
        )
        holder.kill()
        await eventually(lambda: shows(("queued", "volume-away", 2)), what="slots given back", seconds=90)
        for task in tasks:
            seen = (await client.get(f"/api/v1/tasks/{task['id']}")).json()
            assert (seen["state"], seen["reason"]) == ("queued", "volume-away")
        await fleet.work("again", FLYNN_VOLUMES=volumes)
        await eventually(lambda: shows(("running", None, 2)), what="both at work", seconds=30)
