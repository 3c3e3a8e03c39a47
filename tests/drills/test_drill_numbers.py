"""The numbers of several processes: the same wherever one asks, and what a killed one did stays in them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from flynn.simulator import SimulatorServer, parse_scenarios
from tests.drills.fleet import Fleet, Member
from tests.eventually import eventually
from tests.house import prepare
from tests.postgres import TestDatabases

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SCRIPT = """
name: well
loop: true
turns: [{ blocks: [{ text: Here I am. }] }]
"""
ASKED = 20


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        postgres = stack.enter_context(TestDatabases.shared().new(prepare))
        simulator = await stack.enter_async_context(SimulatorServer(parse_scenarios(SCRIPT)))
        yield await stack.enter_async_context(Fleet(tmp_path, postgres.url, simulator.url))


async def numbers(member: Member) -> dict[str, Any]:
    async with member.http() as http:
        answer = await http.get("/api/v1/operations")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def asked(found: dict[str, Any], route: str) -> int:
    """How often a route was asked, in all processes."""
    return sum(each["requests"] for each in found["routes"] if each["route"] == route)


async def of_both(one: Member, two: Member) -> tuple[dict[str, Any], dict[str, Any]]:
    """What both say of one and the same slot."""
    while True:
        here, there = await asyncio.gather(numbers(one), numbers(two))
        if here["at"] == there["at"]:
            return here, there


async def test_the_numbers_do_not_depend_on_who_is_asked(fleet: Fleet) -> None:
    one = await fleet.serve("one", worker=True)  # the first one makes the default workspace, on its volume
    two = await fleet.serve("two")
    async with one.http() as here, two.http() as there:
        for client in (here, there):
            for _ in range(ASKED):
                assert (await client.get("/api/v1/agents")).status_code == 200
        # Said to one, and done by the other: the only worker.
        order = {"instructions": "say something"}
        made = await there.post("/api/v1/tasks", json=order)
        assert made.status_code == 202, made.text
        task = await there.get(f"/api/v1/tasks/{made.json()['id']}", params={"wait": 60})
        assert task.json()["state"] == "completed", task.text

    async def told() -> bool:
        found = await numbers(two)
        return asked(found, "/api/v1/agents") == 2 * ASKED and found["work"]["steps"] >= 1

    await eventually(told, what="all samples", seconds=120, every=1)
    first, second = await of_both(one, two)
    for found in (first, second):
        assert [each.pop("answers") for each in found["processes"]].count(True) == 1
    assert first == second
    assert {each["kind"] for each in first["processes"]} == {"serve"}
    assert len(first["processes"]) == 2
    assert first["model"]["dollars"] > 0

    await asyncio.to_thread(two.kill)

    async def alone() -> bool:
        return len((await numbers(one))["processes"]) == 1

    await eventually(alone, what="the end of the killed one's time", seconds=180, every=1)
    left = await numbers(one)
    assert left["whole"] is True
    assert asked(left, "/api/v1/agents") == 2 * ASKED, "what it did is not undone"
