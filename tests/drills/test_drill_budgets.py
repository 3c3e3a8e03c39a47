"""A worker is killed in a model call, which is charged at its worst; who takes over keeps to what is left.

The budget is the task's, not a process's: what a dead worker had reserved is gone from it and from the
principal's day, and the run waits and asks for more.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from flynn.simulator import SimulatorServer, parse_scenarios
from tests.drills.fleet import Fleet
from tests.eventually import eventually
from tests.house import prepare
from tests.postgres import TestDatabases

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SCRIPT = """
name: hangs
turns: [{faults: [{kind: hang, on_attempt: 1}], blocks: [{text: Done.}]}]
"""


@pytest.fixture
async def simulator() -> AsyncIterator[SimulatorServer]:
    async with SimulatorServer(parse_scenarios(SCRIPT)) as server:
        yield server


@pytest.fixture
async def fleet(tmp_path: Path, simulator: SimulatorServer) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        postgres = stack.enter_context(TestDatabases.shared().new(prepare))
        day = {"FLYNN_DOLLARS_PER_DAY": "5"}
        yield await stack.enter_async_context(Fleet(tmp_path, postgres.url, simulator.url, settings=day))


async def test_a_killed_workers_call_is_paid_for_and_the_budget_holds_for_the_next(
    fleet: Fleet, simulator: SimulatorServer
) -> None:
    server = await fleet.serve("server")
    first = await fleet.work("first")
    async with server.http() as http:

        async def get(path: str, **params: float) -> dict[str, Any]:
            answer = await http.get(f"/api/v1/{path}", params=params)
            assert answer.status_code == 200, answer.text
            found: dict[str, Any] = answer.json()
            return found

        place = fleet.shared / "work"
        place.mkdir()
        made = await http.post("/api/v1/workspaces", json={"name": "work", "path": str(place)})
        assert made.status_code == 201, made.text
        budget = {"turns": 1, "dollars": 0.5, "minutes": 30}
        order = {"instructions": "look", "workspace": "work", "budget": budget}
        task: dict[str, Any] = (await http.post("/api/v1/tasks", json=order)).json()
        await eventually(lambda: len(simulator.stage.records.after(0)) == 1, what="the call", seconds=90)
        (reserved,) = (await get("usage"))["principals"]
        assert reserved["reserved_dollars"] > 0 == reserved["spent_dollars"]
        first.kill()
        await fleet.work("second")

        async def waits() -> bool:
            return bool((await get(f"tasks/{task['id']}", wait=5))["state"] == "waiting")

        await eventually(waits, what="the take-over", seconds=120)
        waiting = await get(f"tasks/{task['id']}")
        assert waiting["reason"] == "task_turns"
        assert waiting["spent"]["turns"] == 1
        # The call cost what it may have: all of its reservation, of the task and of the day.
        assert waiting["spent"]["dollars"] == pytest.approx(reserved["reserved_dollars"])
        (spent,) = (await get("usage"))["principals"]
        assert (spent["spent_dollars"], spent["reserved_dollars"]) == (reserved["reserved_dollars"], 0)
        assert len(simulator.stage.records.after(0)) == 1

        sent = await http.post(f"/api/v1/tasks/{task['id']}/budget", json={"task": {"turns": 2}})
        assert sent.status_code == 200, sent.text

        async def over() -> bool:
            return bool((await get(f"tasks/{task['id']}", wait=5))["state"] == "completed")

        await eventually(over, what="the end of the task", seconds=60)
        done = await get(f"tasks/{task['id']}")
        assert done["spent"]["turns"] == 2
        assert reserved["reserved_dollars"] < done["spent"]["dollars"] <= 0.5
        assert 0 < done["spent"]["minutes"] < 30
        events = (await get(f"conversations/{task['conversation_id']}/events"))["items"]
        (lost,) = [event["data"] for event in events if event["type"] == "step.failed"]
        assert (lost["reason"], lost["settlement"]) == ("worker_lost", "worst_case")
        types = [event["type"] for event in events]
        assert types.count("budget.reached") == 1
        assert types[-1] == "task.reported"
