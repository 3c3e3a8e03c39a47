"""The log of a service of several processes: one file, one level for all, ids that lead through it."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from flynn.simulator import SimulatorServer, parse_scenarios
from tests.drills.fleet import Fleet
from tests.drills.test_drill_metrics import values
from tests.eventually import eventually
from tests.house import prepare
from tests.loopback import free_port
from tests.postgres import TestDatabases

pytestmark = [pytest.mark.slow, pytest.mark.needs("bubblewrap")]

SCRIPT = "name: words\nturns: [{blocks: [{text: Done.}]}]\nloop: true\n"
DEBUG, INFO, ERROR = 10, 20, 40


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        postgres = stack.enter_context(TestDatabases.shared().new(prepare))
        simulator = await stack.enter_async_context(SimulatorServer(parse_scenarios(SCRIPT)))
        settings = {
            "FLYNN_LOG_FILE": str(tmp_path / "logs" / "app.log"),
            "FLYNN_LOG_FILE_BYTES": "65536",
            "FLYNN_LOG_FILES": "100",
        }
        yield await stack.enter_async_context(Fleet(tmp_path, postgres.url, simulator.url, settings=settings))


def records(place: Path) -> list[dict[str, Any]]:
    """All records in all log files; each line has to be one."""
    files = [path for path in (place / "logs").iterdir() if path.suffix != ".lock"]
    return [json.loads(line) for path in files for line in path.read_text().splitlines()]


def flynn(fleet: Fleet, *arguments: str) -> str:
    """What the command line prints, with the settings of the fleet."""
    done = subprocess.run(
        [*fleet.program, *arguments],
        env=fleet.environment("shell", {}),
        cwd=fleet.place,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def level(http: httpx2.AsyncClient) -> float:
    return values((await http.get("/metrics")).text)["flynn_log_level{}"]


async def holds(expected: int, *processes: httpx2.AsyncClient) -> None:
    async def followed() -> bool:
        return [await level(http) for http in processes] == [expected] * len(processes)

    await eventually(followed, what=f"the level {expected} in every process", seconds=60)


async def test_several_processes_share_a_file_and_a_level(fleet: Fleet) -> None:
    ports = free_port(), free_port()
    server, _ = await asyncio.gather(
        fleet.serve("server"), fleet.work("worker", "--port", str(ports[0]), LOG_LEVEL="error")
    )
    async with (
        server.http() as client,
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{ports[0]}", timeout=60) as worker,
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{ports[1]}", timeout=60) as late,
    ):
        assert (await level(client), await level(worker)) == (INFO, ERROR)
        put = await client.put("/api/v1/log-level", json={"level": "debug"})
        assert put.status_code == 200, put.text
        assert await level(client) == DEBUG, "at once in the process that answers"
        await holds(DEBUG, client, worker)
        await fleet.work("late", "--port", str(ports[1]), LOG_LEVEL="error")
        await holds(DEBUG, late)

        place = fleet.shared / "w"
        await asyncio.to_thread(place.mkdir)
        await client.post("/api/v1/workspaces", json={"name": "w", "path": str(place)})
        asked = await client.post(
            "/api/v1/tasks",
            json={"instructions": "go", "workspace": "w"},
            headers={"X-Request-ID": "from-quorra"},
        )
        task = asked.json()
        ended = (await client.get(f"/api/v1/tasks/{task['id']}", params={"wait": 60})).json()
        assert ended["state"] == "completed", ended
        for number in range(400):
            await client.get("/api/v1/tasks", headers={"X-Request-ID": f"request-{number}"})

        # From the command line, in the database itself: no process is asked.
        told = await asyncio.to_thread(flynn, fleet, "log-level", "error", "--minutes", "0.05")
        assert told.startswith("error (LOG_LEVEL is info)\nerror  all loggers  until ")
        await holds(ERROR, client, worker, late)
        await holds(INFO, client)
        assert await asyncio.to_thread(flynn, fleet, "log-level") == "info (LOG_LEVEL is info)\n"

    found = records(fleet.place)
    assert len(list((fleet.place / "logs").iterdir())) > 2, "it was rotated"
    answered = [r["context"] for r in found if r["message"] == "answered"]
    assert {f"request-{n}" for n in range(400)} <= {context["request_id"] for context in answered}
    (delegated,) = [context for context in answered if context["request_id"] == "from-quorra"]
    assert (delegated["path"], delegated["status"]) == ("/api/v1/tasks", 202)
    (started,) = [r["context"] for r in found if r["message"] == "run started"]
    assert started["task_id"] == task["id"]
    assert started["conversation_id"] == task["conversation_id"]
    of_the_run = [r for r in found if r.get("context", {}).get("run_id") == started["run_id"]]
    assert {"run started", "run left"} <= {r["message"] for r in of_the_run}
    assert any("uvicorn" in record["logger"] for record in found), "libraries are in it"
    assert server.key not in json.dumps(found)
