"""The door to the log's level: for admins, for all processes, for a while."""

import asyncio
import io
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from flynn.ops import log_levels
from flynn.ops.log_levels import LogLevels, followed_levels
from flynn.store.database import Database
from flynn.telemetry.logging import current_level
from tests.api.served import Served
from tests.eventually import eventually
from tests.log_stream import log_stream, said

PATH = "/api/v1/log-level"


@pytest.fixture(autouse=True)
def stream(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    monkeypatch.setattr(log_levels, "LOOK_SECONDS", 0.05)
    with log_stream("info") as stream:
        yield stream


async def test_a_level_holds_until_it_is_taken_back(served: Served, stream: io.StringIO) -> None:
    # On a busy machine an answer of before may have taken long, which is logged at any level.
    stream.truncate(0)
    stream.seek(0)
    async with served.http() as http:
        assert (await http.get(PATH)).json() == {"level": "info", "configured": "info", "items": []}
        changed = await http.put(PATH, json={"level": "debug"})
        assert changed.status_code == 200, changed.text
        (item,) = changed.json()["items"]
        assert (item["logger"], item["level"], item["until"], item["set_by"]) == (
            None,
            "debug",
            None,
            "owner",
        )
        assert changed.json()["level"] == "debug"
        assert current_level() == logging.DEBUG
        await http.put(PATH, json={"level": "error"})
        view = (await http.put(PATH, json={"level": "debug", "logger": "flynn.access"})).json()
        assert [(one["logger"], one["level"]) for one in view["items"]] == [
            (None, "error"),
            ("flynn.access", "debug"),
        ]
        await http.get("/api/v1/tasks")
        await http.get("/health")
        view = (await http.delete(PATH, params={"logger": "flynn.access"})).json()
        assert [one["logger"] for one in view["items"]] == [None]
        assert (await http.delete(PATH)).json()["items"] == []
        assert (await http.delete(PATH)).json()["level"] == "info"
    assert current_level() == logging.INFO
    answered = [line for line in said(stream) if line["logger"] == "flynn.access"]
    assert {"/api/v1/tasks", PATH} == {line["context"]["path"] for line in answered}, "no health checks"
    changes = [line for line in said(stream) if line["message"] == "the level of the log is changed"]
    assert changes[0]["context"]["by"] == "owner"


async def test_it_ends_by_itself_while_the_database_is_away_too(served: Served) -> None:
    async with served.http() as http:
        await http.put(PATH, json={"level": "debug", "minutes": 0.02})
    database = Database(served.postgres.url, pool_size=1)
    levels = LogLevels(database, configured="info")
    assert (await levels.view()).level == "debug"
    await database.close()
    levels._database = Database("postgresql+asyncpg://nobody@/none?host=/nonexistent")
    following = asyncio.create_task(levels.run())

    async def ended() -> bool:
        return current_level() == logging.INFO

    await eventually(ended, what="the end of the level")
    following.cancel()
    async with served.http() as http:
        assert (await http.get(PATH)).json()["items"] == []


async def test_other_processes_follow_and_those_that_start_later_too(served: Served) -> None:
    @asynccontextmanager
    async def process() -> AsyncIterator[LogLevels]:
        database = Database(served.postgres.url, pool_size=1)
        async with followed_levels(database, configured="info") as levels:
            yield levels
        await database.close()

    async with process() as one, served.http() as http:
        await http.put(PATH, json={"level": "warning", "logger": "flynn.x"})

        async def followed() -> bool:
            return one._applied == {"flynn.x": "warning"}

        await eventually(followed, what="the level")
        async with process() as late:

            async def followed_too() -> bool:
                return late._applied == {"flynn.x": "warning"}

            await eventually(followed_too, what="the level")
        await http.delete(PATH)

        async def back() -> bool:
            return one._applied == {}

        await eventually(back, what="the end of it")
    assert logging.getLogger("flynn.x").level == logging.NOTSET


@pytest.mark.parametrize(
    ("order", "field"),
    [
        ({"level": "loud"}, "level"),
        ({}, "level"),
        ({"level": "debug", "logger": "a b"}, "logger"),
        ({"level": "debug", "logger": "x" * 101}, "logger"),
        ({"level": "debug", "minutes": 0}, "minutes"),
        ({"level": "debug", "minutes": 10_081}, "minutes"),
        ({"level": "debug", "minute": 1}, "minute"),
    ],
)
async def test_what_makes_no_sense_is_refused(served: Served, order: dict[str, object], field: str) -> None:
    async with served.http() as http:
        refused = await http.put(PATH, json=order)
    assert refused.status_code == 422
    assert [error["field"] for error in refused.json()["errors"]] == [field]


async def test_there_is_a_bound_for_loggers(served: Served) -> None:
    async with served.http() as http:
        for number in range(50):
            await http.put(PATH, json={"level": "info", "logger": f"flynn.x{number}"})
        refused = await http.put(PATH, json={"level": "info", "logger": "flynn.one.more"})
        assert refused.status_code == 409
        assert "take one back" in refused.json()["detail"]
        again = await http.put(PATH, json={"level": "debug", "logger": "flynn.x7"})
        assert again.status_code == 200
        await http.delete(PATH)


async def test_it_is_for_admins(served: Served) -> None:
    await served.key("talker", "chat", "delegate", "read")
    async with served.http("talker") as http:
        for refused in (
            await http.get(PATH),
            await http.put(PATH, json={"level": "debug"}),
            await http.delete(PATH),
        ):
            assert refused.status_code == 403
    assert current_level() == logging.INFO
