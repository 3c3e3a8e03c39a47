"""A process that a newer version overtook: still ready for a moment, then not, and its worker stands down."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from flynn.ops.overtaken import Overtaken
from flynn.store.database import Database
from flynn.store.migrate import head
from flynn.worker.overtaking import Overtaking
from tests.house import prepare
from tests.postgres import TestDatabases


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    with TestDatabases.shared().new(prepare) as postgres:
        database = Database(postgres.url, pool_size=2)
        yield database
        await database.close()


def test_a_schema_that_is_known_says_nothing() -> None:
    assert Overtaken().part(head()) is None
    assert Overtaken().part("0001") is None


def test_it_is_ready_for_a_moment_and_then_it_is_not() -> None:
    part = Overtaken(aside_seconds=3600).part("9999")
    assert part is not None
    assert (part.name, part.state) == ("database", "degraded")
    part = Overtaken(aside_seconds=0).part("9999")
    assert part is not None
    assert part.state == "down"
    assert part.detail is not None
    assert part.detail.startswith("The database has schema 9999, made by a newer version")
    assert part.detail.endswith("takes no runs, and clients belong at one of the newer version.")


def test_a_schema_that_is_known_again_starts_the_moment_anew() -> None:
    overtaken = Overtaken(aside_seconds=3600)
    overtaken.part("9999")
    assert overtaken.part(head()) is None
    part = overtaken.part("9999")
    assert part is not None
    assert part.state == "degraded"


async def test_a_worker_stands_down_once(database: Database) -> None:
    stood_down: list[bool] = []
    watch = Overtaking(database, stand_down=lambda: stood_down.append(True), look_seconds=0.01)
    looking = asyncio.create_task(watch.run())
    await asyncio.sleep(0.2)
    assert not looking.done()
    assert stood_down == []
    async with database.begin() as connection:
        await connection.execute(text("UPDATE flynn_schema SET version_num = '9999'"))
    await asyncio.wait_for(looking, 30)
    assert stood_down == [True]
