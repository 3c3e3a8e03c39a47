"""The model away for all, with a real process: few calls, runs that wait and say so, and a quick return."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from flynn.model.breaker import FAILURES
from flynn.ops.scrape import FRESH_SECONDS
from flynn.simulator import SimulatorServer, parse_scenarios
from tests.drills.fleet import Fleet
from tests.eventually import eventually
from tests.house import prepare
from tests.postgres import TestDatabases

pytestmark = [pytest.mark.slow]

RUNS = 20
CONCURRENCY = 8
GONE = "name: gone\nturns: [{faults: [{kind: overloaded}], blocks: [{text: never}]}]\n"
BACK = "name: back\nturns: [{blocks: [{text: Here I am.}]}]\n"


@pytest.fixture
async def outage(tmp_path: Path) -> AsyncIterator[tuple[Fleet, SimulatorServer]]:
    async with AsyncExitStack() as stack:
        postgres = stack.enter_context(TestDatabases.shared().new(prepare))
        simulator = await stack.enter_async_context(SimulatorServer(parse_scenarios(GONE)))
        settings = {"FLYNN_CONCURRENCY": str(CONCURRENCY), "FLYNN_PRINCIPAL_RUNS": str(RUNS)}
        fleet = Fleet(tmp_path, postgres.url, simulator.url, settings=settings)
        yield await stack.enter_async_context(fleet), simulator


async def delegate(client: httpx2.AsyncClient, fleet: Fleet, number: int) -> dict[str, Any]:
    place = fleet.shared / f"w{number}"
    await asyncio.to_thread(place.mkdir)
    made = await client.post("/api/v1/workspaces", json={"name": place.name, "path": str(place)})
    assert made.status_code == 201, made.text
    order = {"instructions": f"go {number}", "workspace": place.name}
    sent = await client.post("/api/v1/tasks", json=order)
    assert sent.status_code == 202, sent.text
    task: dict[str, Any] = sent.json()
    return task


async def states(client: httpx2.AsyncClient, tasks: list[dict[str, Any]]) -> list[str]:
    found = await asyncio.gather(*(client.get(f"/api/v1/tasks/{t['id']}") for t in tasks))
    return [answer.json()["state"] for answer in found]


async def model_part(client: httpx2.AsyncClient) -> dict[str, Any]:
    parts: list[dict[str, Any]] = (await client.get("/ready")).json()["parts"]
    return next(part for part in parts if part["name"] == "model")


async def test_runs_wait_out_an_outage_and_go_on_when_it_is_over(
    outage: tuple[Fleet, SimulatorServer],
) -> None:
    fleet, simulator = outage
    server = await fleet.serve("server", worker=True)
    async with server.http() as client:
        assert (await model_part(client))["state"] == "ok"
        tasks = [await delegate(client, fleet, number) for number in range(RUNS)]

        async def all_wait() -> bool:
            return set(await states(client, tasks)) == {"waiting"}

        await eventually(all_wait, what="everybody waiting", seconds=60)
        # Those that were out when the breaker opened, and probes since; not three for each run.
        calls = len(simulator.stage.records.after(0))
        assert FAILURES <= calls < FAILURES + CONCURRENCY + 10 < 3 * RUNS
        part = await model_part(client)
        assert part["state"] == "degraded"
        assert "claude-haiku-5-5 has not answered since" in part["detail"]
        assert (await client.get("/ready")).status_code == 200, "degraded is not down"
        page = (await client.get("/metrics")).text
        assert 'flynn_model_breaker{model="claude-haiku-5-5",state="closed"} 0.0' in page

        async def parts_are_current() -> bool:
            degraded = 'flynn_part_state{part="model",state="degraded"} 1.0'
            return degraded in (await client.get("/metrics")).text

        await eventually(parts_are_current, what="the part's state", seconds=4 * FRESH_SECONDS)
        assert "the model does not answer" in server.said()

        before = calls
        await asyncio.sleep(8)
        assert len(simulator.stage.records.after(0)) - before <= 4, "probes alone go out"

        simulator.stage.load(parse_scenarios(BACK), replace=True)

        async def all_done() -> bool:
            return set(await states(client, tasks)) == {"completed"}

        # A probe is due within the present pause; then everybody is woken within seconds.
        await eventually(all_done, what="everybody's answer", seconds=90)
        assert (await model_part(client))["state"] == "ok"
        assert "the model answers again" in server.said()
