"""FLYNN_TEST_DATABASE_URL: the tests' databases are made on a server that is there, and nothing stays."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from flynn.store.embedded import EmbeddedPostgres
from flynn.store.migrate import VERSION_TABLE, head
from tests.house import prepare
from tests.postgres import TestDatabases

pytestmark = pytest.mark.slow


@contextmanager
def databases() -> Iterator[TestDatabases]:
    found = TestDatabases()
    try:
        yield found
    finally:
        found.stop()


async def asked(dsn: str, query: str) -> list[str]:
    connection = await asyncpg.connect(dsn)
    try:
        return [str(row[0]) for row in await connection.fetch(query)]
    finally:
        await connection.close()


IDENTIFIER = "SELECT system_identifier FROM pg_control_system()"
NAMES = "SELECT datname FROM pg_database ORDER BY 1"


async def test_the_tests_databases_are_on_the_server_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with EmbeddedPostgres(tmp_path / "postgres", fsync=False) as service:
        monkeypatch.setenv("FLYNN_TEST_DATABASE_URL", service.superuser_dsn)
        before = await asked(service.superuser_dsn, NAMES)
        await asyncio.to_thread(two_at_once, await asked(service.superuser_dsn, IDENTIFIER))
        assert await asked(service.superuser_dsn, NAMES) == before


def two_at_once(identifier: list[str]) -> None:
    """As two processes of pytest-xdist have them."""
    with databases() as one, databases() as other, one.new(prepare) as first, other.new(prepare) as second:
        assert one.server is None
        assert first.name != second.name
        for database in (first, second):
            assert asyncio.run(asked(database.dsn, IDENTIFIER)) == identifier
            assert asyncio.run(asked(database.dsn, f"SELECT version_num FROM {VERSION_TABLE}")) == [head()]


async def test_without_it_they_are_on_one_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLYNN_TEST_DATABASE_URL", raising=False)

    def server() -> tuple[bool, list[str]]:
        with databases() as found, found.new() as database:
            return found.server is not None, asyncio.run(asked(database.dsn, "SELECT current_database()"))

    own, names = await asyncio.to_thread(server)
    assert own
    assert names == ["test_1"]
