"""Fifty posts at once with one Idempotency-Key, at two servers on one database, make one task."""

import asyncio
from pathlib import Path

import httpx2
import pytest

from flynn.simulator import SimulatorServer, parse_scenarios
from tests.drills.fleet import Fleet
from tests.house import prepare
from tests.postgres import TestDatabases

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SCRIPT = "name: done\nloop: true\nturns: [{blocks: [{text: Done.}]}]\n"
ORDER = {"instructions": "Once, whoever hears it", "title": "Once"}


async def test_fifty_posts_with_one_key_at_two_servers_are_one_task(tmp_path: Path) -> None:
    with TestDatabases.shared().new(prepare) as postgres:
        async with (
            SimulatorServer(parse_scenarios(SCRIPT)) as model,
            Fleet(tmp_path, postgres.url, model.url) as fleet,
        ):
            first = await fleet.serve("first")
            second = await fleet.serve("second")
            async with first.http() as owner:
                made = await owner.post("/api/v1/keys", json={"name": "quorra", "scopes": ["delegate"]})
            headers = {"Authorization": f"Bearer {made.json()['key']}", "Idempotency-Key": "once"}
            async with first.http() as here, second.http() as there:

                async def post(client: httpx2.AsyncClient) -> str:
                    """The task's id; an answer that the order is just being taken is tried again."""
                    while True:
                        answer = await client.post("/api/v1/tasks", json=ORDER, headers=headers)
                        if answer.status_code != 409:
                            assert answer.status_code == 202, answer.text
                            return str(answer.json()["id"])
                        assert answer.headers["retry-after"] == "1"
                        await asyncio.sleep(0.2)

                answers = await asyncio.gather(*(post((here, there)[n % 2]) for n in range(50)))
                [task] = set(answers)
                for client in (here, there):
                    listed = (await client.get("/api/v1/tasks")).json()["items"]
                    assert [each["id"] for each in listed] == [task]
                other = await there.post("/api/v1/tasks", json={"instructions": "Else"}, headers=headers)
                assert (other.status_code, other.json()["code"]) == (422, "invalid-input")
