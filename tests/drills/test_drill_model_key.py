"""A service that starts without a key: what it says and takes, and how a key comes to all its processes."""

import asyncio
import stat
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from flynn.simulator import Options, SimulatorServer, parse_scenarios
from tests.drills.fleet import Fleet
from tests.house import prepare
from tests.postgres import TestDatabases

pytestmark = pytest.mark.slow

KEY = "sk-plain-5b1d0c44-of-the-drill"
SCRIPT = "name: well\nturns: [{blocks: [{text: Here I am.}]}]\n"
AT = "/api/v1/model-key"


@asynccontextmanager
async def keyless_fleet(place: Path) -> AsyncIterator[Fleet]:
    """A fleet whose members have no key, before a model's API that takes KEY alone."""
    async with AsyncExitStack() as stack:
        postgres = stack.enter_context(TestDatabases.shared().new(prepare))
        options = Options(keys=frozenset({KEY}))
        simulator = await stack.enter_async_context(SimulatorServer(parse_scenarios(SCRIPT), options))
        fleet = Fleet(
            place, postgres.url, simulator.url, settings={"ANTHROPIC_API_KEY": "", "LOG_LEVEL": "debug"}
        )
        yield await stack.enter_async_context(fleet)


async def delegated(http: httpx2.AsyncClient, instructions: str, **more: str) -> dict[str, Any]:
    answer = await http.post("/api/v1/tasks", json={"instructions": instructions, **more})
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def until(http: httpx2.AsyncClient, task: dict[str, Any], *states: str) -> dict[str, Any]:
    async with asyncio.timeout(90):
        while True:
            found: dict[str, Any] = (await http.get(f"/api/v1/tasks/{task['id']}")).json()
            if found["state"] in states:
                return found
            await asyncio.sleep(0.2)


async def model_of(http: httpx2.AsyncClient) -> dict[str, Any]:
    parts = (await http.get("/ready")).json()["parts"]
    return next(part for part in parts if part["name"] == "model")


async def test_a_service_that_works_itself_says_so_until_it_has_a_key(tmp_path: Path) -> None:
    async with keyless_fleet(tmp_path) as fleet:
        server = await fleet.serve("one", worker=True)
        async with server.http() as http:
            part = await model_of(http)
            assert part["state"] == "degraded"
            assert "There is no key of the model's API" in part["detail"]
            refused = await http.post("/api/v1/tasks", json={"instructions": "Hello?"})
            assert refused.json()["code"] == "model-key-missing"
            # The database is one of its own, which others may share: the scripted example is not for it.
            offer = await http.post("/api/v1/example")
            assert offer.status_code == 409
            assert "FLYNN_EXAMPLE=on" in offer.json()["detail"]
            assert (await http.get("/api/v1/example")).json()["state"] == "not-offered"

            wrong = await http.put(AT, json={"key": "sk-plain-nobodys"})
            assert wrong.status_code == 422, wrong.text
            assert (await http.put(AT, json={"key": KEY})).status_code == 200
            part = await model_of(http)
            assert part["state"] == "ok"
            assert part["detail"].endswith("key stored in the data directory")
            done = await until(http, await delegated(http, "Hello?"), "completed", "failed")
            assert done["state"] == "completed"

            # Taken away again, the next task is refused; a run that is queued by then waits.
            assert (await http.delete(AT)).json()["source"] == "none"
            assert (await http.post("/api/v1/tasks", json={"instructions": "Hi"})).status_code == 409

            # A key of somebody else's making, which its own API does not take: said in /ready.
            await http.put(AT, json={"key": "sk-plain-revoked", "unchecked": True})
            failed = await until(http, await delegated(http, "Hello again?"), "completed", "failed")
            assert failed["state"] == "failed"
            assert "401" in failed["detail"]
            part = await model_of(http)
            assert part["state"] == "degraded"
            assert "refuses the key stored in the data directory" in part["detail"]
            assert (await http.get(AT)).json()["accepted"] is False
        words = " ".join(psutil.Process(server.pid).cmdline()) + server.said()
        for key in (KEY, "sk-plain-nobodys", "sk-plain-revoked"):
            assert key not in words
        assert stat.S_IMODE((tmp_path / "one" / "anthropic.key").stat().st_mode) == 0o600


async def test_a_key_given_at_one_process_is_that_of_all_on_its_data_directory(tmp_path: Path) -> None:
    async with keyless_fleet(tmp_path) as fleet:
        server = await fleet.serve("one")
        worker = await fleet.work("two", FLYNN_DATA_DIR=str(tmp_path / "one"))
        async with server.http() as http:
            part = await model_of(http)
            assert part["state"] == "ok", "whether others have a key is not this process's to say"
            task = await delegated(http, "Hello?")
            waiting = await until(http, task, "waiting")
            assert waiting["reason"] == "model"
            assert "There is no key of the model's API" in waiting["detail"]
            assert (await http.put(AT, json={"key": KEY})).status_code == 200
            done = await until(http, task, "completed", "failed")
            assert done["state"] == "completed", done
        assert KEY not in server.said() + worker.said()


async def test_runs_that_waited_for_a_key_go_on_when_a_worker_starts_with_one(tmp_path: Path) -> None:
    async with keyless_fleet(tmp_path) as fleet:
        server = await fleet.serve("one")
        worker = await fleet.work("two")
        place = fleet.shared / "both"
        place.mkdir()
        async with server.http() as http:
            made = await http.post("/api/v1/workspaces", json={"name": "both", "path": str(place)})
            assert made.status_code == 201, made.text
            task = await delegated(http, "Hello?", workspace="both")
            await until(http, task, "waiting")
            worker.kill()
            await fleet.work("three", ANTHROPIC_API_KEY=KEY)
            assert (await until(http, task, "completed", "failed"))["state"] == "completed"
