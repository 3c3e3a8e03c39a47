"""What a worker of its own says of itself: its port has /health, /ready and /metrics, and no more."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from flynn.simulator import SimulatorServer, parse_scenarios
from tests.drills.fleet import Fleet
from tests.eventually import eventually
from tests.house import prepare
from tests.loopback import free_port
from tests.postgres import TestDatabases

pytestmark = [pytest.mark.slow, pytest.mark.needs("bubblewrap")]

SCRIPT = """
name: stopped
turns:
  - blocks: [{tool: Bash, input: {command: "echo begun > begun.txt; sleep 60"}}]
"""


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        postgres = stack.enter_context(TestDatabases.shared().new(prepare))
        simulator = await stack.enter_async_context(SimulatorServer(parse_scenarios(SCRIPT)))
        yield await stack.enter_async_context(Fleet(tmp_path, postgres.url, simulator.url))


def refusal(fleet: Fleet, *arguments: str) -> str:
    """What a worker says that does not start."""
    command = [*fleet.program, "worker", *arguments]
    environment = fleet.environment("refused", {})
    done = subprocess.run(
        command, env=environment, cwd=fleet.place, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    return done.stderr


def values(page: str) -> dict[str, float]:
    found = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


async def test_a_worker_shows_what_it_did_at_a_port_of_its_own(fleet: Fleet) -> None:
    port = free_port()
    server, _ = await asyncio.gather(fleet.serve("server"), fleet.work("worker", "--port", str(port)))
    async with (
        server.http() as client,
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as worker,
    ):
        taken = await asyncio.to_thread(refusal, fleet, "--port", str(port))
        assert f"--port {port} is in use on 127.0.0.1" in taken
        assert (await worker.get("/health")).json()["status"] == "ok"
        ready = (await worker.get("/ready")).json()
        assert ready["ok"], ready
        for elsewhere in ("/api/v1/conversations", "/docs", "/openapi.json", "/socket.io/"):
            assert (await worker.get(elsewhere)).status_code in (400, 401, 404), elsewhere

        place = fleet.shared / "w"
        await asyncio.to_thread(place.mkdir)
        await client.post("/api/v1/workspaces", json={"name": "w", "path": str(place)})
        task = (await client.post("/api/v1/tasks", json={"instructions": "go", "workspace": "w"})).json()
        begun = place / "begun.txt"
        await eventually(lambda: asyncio.to_thread(begun.exists), what="the command", seconds=60)
        held = values((await worker.get("/metrics")).text)
        assert held["flynn_runs_held{}"] == 1
        asked = await client.post(f"/api/v1/conversations/{task['conversation_id']}/interrupt", json={})
        assert asked.status_code == 200, asked.text
        ended = (await client.get(f"/api/v1/tasks/{task['id']}", params={"wait": 60})).json()
        assert ended["state"] == "cancelled", ended

        async def counted() -> bool:
            return values((await worker.get("/metrics")).text)["flynn_runs_held{}"] == 0

        await eventually(counted, what="the end of the run at the worker")
        found = values((await worker.get("/metrics")).text)
        assert found["flynn_claims_total{}"] == 1
        assert found["flynn_takeovers_total{}"] == 0
        assert found["flynn_interrupt_seconds_count{}"] == 1
        assert 0 < found["flynn_interrupt_seconds_sum{}"] < 60
        assert found["flynn_runs_ended_total{state=cancelled}"] == 1
        assert found["flynn_model_calls_total{model=claude-haiku-5-5,outcome=ok}"] == 1
        assert found["flynn_tool_calls_total{outcome=cancelled,tool=Bash}"] == 1
        assert found["flynn_dollars_total{model=claude-haiku-5-5,settlement=usage}"] > 0
        assert found["flynn_part_state{part=queue,state=ok}"] == 1
        # The server accepted the task and did none of it.
        served = values((await client.get("/metrics")).text)
        assert served["flynn_messages_total{}"] == 1
        assert served["flynn_claims_total{}"] == 0
        assert served["flynn_interrupt_seconds_count{}"] == 0
