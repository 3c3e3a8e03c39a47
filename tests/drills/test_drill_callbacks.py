"""A worker is killed between a delivery and its note: another sends the same again, and goes on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from flynn.simulator import SimulatorServer
from tests.drills.fleet import Fleet, Member
from tests.eventually import eventually
from tests.house import prepare
from tests.postgres import TestDatabases
from tests.worker.receiver import receiving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        postgres = stack.enter_context(TestDatabases.shared().new(prepare))
        simulator = await stack.enter_async_context(SimulatorServer([]))
        named = {"FLYNN_WEBHOOK_HOSTS": "127.0.0.1"}
        yield await stack.enter_async_context(Fleet(tmp_path, postgres.url, simulator.url, settings=named))


async def test_a_killed_workers_delivery_is_repeated_with_its_id(fleet: Fleet) -> None:
    workers: list[Member] = []

    def kill_the_first() -> None:
        """It has sent a message, and dies before it hears that it was taken."""
        if workers[0].alive:
            workers[0].kill()

    async with receiving() as receiver:
        receiver.on_request = kill_the_first
        server = await fleet.serve("server")
        async with server.http() as http:
            order = {"instructions": "look", "callback_url": receiver.url}
            task: dict[str, Any] = (await http.post("/api/v1/tasks", json=order)).json()
            assert (await http.post(f"/api/v1/tasks/{task['id']}/cancel")).status_code == 200
            workers.append(await fleet.work("first"))
            await eventually(lambda: not workers[0].alive, what="the first worker's death", seconds=60)
            assert (await http.get(f"/api/v1/tasks/{task['id']}")).json()["callback"]["delivered_seq"] == 0
            workers.append(await fleet.work("second"))
            await eventually(lambda: len(receiver.got) == 3, what="the deliveries", seconds=90)

            async def noted() -> bool:
                found = (await http.get(f"/api/v1/tasks/{task['id']}")).json()
                return bool(found["callback"]["delivered_seq"] == receiver.got[-1].json["seq"])

            await eventually(noted, what="the note of the last delivery")
        await asyncio.sleep(2)
    first, again, last = receiver.got
    assert first.id == again.id != last.id
    assert first.body == again.body
    assert [again.json["type"], last.json["type"]] == ["run.cancelled", "task.reported"]
    for got in receiver.got:
        Webhook(task["callback_secret"]).verify(got.body, got.headers)
