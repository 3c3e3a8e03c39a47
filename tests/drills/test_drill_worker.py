"""`flynn worker`: a process more; what it was doing goes to another when it ends, whatever way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from flynn.simulator import SimulatorServer, parse_scenarios
from tests.drills.fleet import Fleet
from tests.eventually import eventually
from tests.house import prepare
from tests.postgres import TestDatabases

pytestmark = [pytest.mark.slow, pytest.mark.needs("bubblewrap")]

SCRIPT = """
name: slow
loop: true
turns:
  - blocks: [{tool: Bash, input: {command: "echo begun >> began.txt; sleep 60; echo ended >> ended.txt"}}]
  - blocks: [{text: Done.}]
"""


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        postgres = stack.enter_context(TestDatabases.shared().new(prepare))
        simulator = await stack.enter_async_context(SimulatorServer(parse_scenarios(SCRIPT)))
        yield await stack.enter_async_context(Fleet(tmp_path, postgres.url, simulator.url))


async def delegate(client: httpx2.AsyncClient, fleet: Fleet) -> dict[str, Any]:
    place = fleet.shared / "w"
    await asyncio.to_thread(place.mkdir)
    made = await client.post("/api/v1/workspaces", json={"name": "w", "path": str(place)})
    assert made.status_code == 201, made.text
    sent = await client.post("/api/v1/tasks", json={"instructions": "begin", "workspace": "w"})
    assert sent.status_code == 202, sent.text
    task: dict[str, Any] = sent.json()
    return task


async def until_ended(client: httpx2.AsyncClient, task: dict[str, Any]) -> dict[str, Any]:
    found = await client.get(f"/api/v1/tasks/{task['id']}", params={"wait": 60})
    assert found.status_code == 200, found.text
    ended: dict[str, Any] = found.json()
    return ended


async def until_exists(path: Path) -> None:
    await eventually(lambda: asyncio.to_thread(path.exists), what=f"{path.name}", seconds=30)


async def test_a_run_waits_for_a_worker_and_outlives_it(fleet: Fleet) -> None:
    server = await fleet.serve("server")
    async with server.http() as client:
        task = await delegate(client, fleet)
        first = await fleet.work("first")
        await until_exists(fleet.shared / "w" / "began.txt")
        second = await fleet.work("second")
        first.kill()
        ended = await until_ended(client, task)
        assert ended["state"] == "completed", ended
        began = await asyncio.to_thread((fleet.shared / "w" / "began.txt").read_text)
        assert began == "begun\n"
        events = (await client.get(f"/api/v1/conversations/{task['conversation_id']}/events")).json()["items"]
        outcomes = [e["data"]["outcome"] for e in events if e["type"] == "tool.finished"]
        assert outcomes == ["unknown"]
        assert not await asyncio.to_thread((fleet.shared / "w" / "ended.txt").exists)
        assert second.alive
