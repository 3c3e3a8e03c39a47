"""Chores: each slot once over several processes, none missed, also when one is killed in the middle."""

import asyncio
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.store.database import Database
from flynn.worker.chores import CATCH_UP, Chore, Chores
from tests.eventually import eventually
from tests.house import prepare
from tests.postgres import TestDatabase, TestDatabases
from tests.worker.chore_worker import PERIOD

ROOT = Path(__file__).parents[2]


@pytest.fixture
def postgres() -> Iterator[TestDatabase]:
    with TestDatabases.shared().new(prepare) as found:
        yield found


@pytest.fixture
async def database(postgres: TestDatabase) -> AsyncIterator[Database]:
    found = Database(postgres.url, pool_size=4)
    yield found
    await found.close()


async def nothing(_connection: AsyncConnection, _slot: datetime) -> None:
    """Do it."""


def test_slots_are_whole_multiples_of_the_period() -> None:
    chore = Chore(name="x", period=timedelta(hours=1), act=nothing)
    assert chore.slot(datetime(2026, 11, 26, 13, 59, 59, tzinfo=UTC)) == datetime(
        2026, 11, 26, 13, tzinfo=UTC
    )


async def test_of_several_at_once_one_does_it(database: Database) -> None:
    began, go = asyncio.Event(), asyncio.Event()

    async def act(_connection: AsyncConnection, _slot: datetime) -> None:
        began.set()
        await go.wait()

    chore = Chore(name="x", period=timedelta(hours=1), act=act)
    chores = Chores(database, [chore])
    first = asyncio.create_task(chores.look(chore))
    await began.wait()
    second = asyncio.create_task(chores.look(chore))
    go.set()
    assert await first is True
    assert await second is False
    assert await chores.look(chore) is False


async def test_one_that_fails_is_done_again(database: Database) -> None:
    tries: list[datetime] = []

    async def act(_connection: AsyncConnection, slot: datetime) -> None:
        tries.append(slot)
        if len(tries) == 1:
            raise ConnectionError("the first time")

    chore = Chore(name="x", period=timedelta(hours=1), act=act)
    chores = Chores(database, [chore])
    with pytest.raises(ConnectionError):
        await chores.look(chore)
    assert await chores.look(chore) is True
    assert tries[0] == tries[1]


async def test_overdue_slots_are_caught_up_with_but_not_for_ever(database: Database) -> None:
    slots: list[datetime] = []

    async def act(_connection: AsyncConnection, slot: datetime) -> None:
        slots.append(slot)

    chore = Chore(name="x", period=timedelta(minutes=1), act=act)
    chores = Chores(database, [chore])

    async def behind(periods: int) -> int:
        slots.clear()
        due = chore.slot(datetime.now(UTC)) - periods * chore.period
        async with database.begin() as connection:
            await connection.execute(text("UPDATE chores SET next_at = :at"), {"at": due})
        while await chores.look(chore):
            pass
        return len(slots)

    assert await chores.look(chore) is True
    assert await behind(3) in (4, 5)  # a minute may turn meanwhile
    assert [b - a for a, b in itertools.pairwise(slots)] == [chore.period] * (len(slots) - 1)
    assert await behind(CATCH_UP * 5) in (1, 2)


@pytest.mark.slow
async def test_each_slot_is_done_once_by_three_processes_also_after_a_kill(
    postgres: TestDatabase, database: Database
) -> None:
    async with database.begin() as connection:
        await connection.execute(text("CREATE TABLE slots (slot timestamptz, pid int)"))
    command = [sys.executable, "-m", "tests.worker.chore_worker", postgres.url]
    processes = [await asyncio.to_thread(subprocess.Popen, command, cwd=ROOT) for _ in range(3)]
    try:

        async def done(times: int, *, by: int = 0) -> bool:
            async with database.statement() as connection:
                query = text("SELECT count(*) FROM slots WHERE :by = 0 OR pid = :by")
                return int(await connection.scalar(query, {"by": by}) or 0) >= times

        await eventually(lambda: done(6), what="six slots", seconds=60)
        async with database.statement() as connection:
            pid = int(await connection.scalar(text("SELECT pid FROM slots ORDER BY slot DESC LIMIT 1")) or 0)
        os.kill(pid, signal.SIGKILL)
        await eventually(lambda: done(20), what="twenty slots", seconds=60)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    async with database.statement() as connection:
        rows = (await connection.execute(text("SELECT slot, pid FROM slots ORDER BY slot"))).all()
    slots = [row.slot for row in rows]
    assert [b - a for a, b in itertools.pairwise(slots)] == [PERIOD] * (len(slots) - 1)
    assert len({row.pid for row in rows}) > 1
