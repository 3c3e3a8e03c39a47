"""Migrations: once, whoever comes at the same time; never backwards; and equal to the tables in code."""

import asyncio
from collections.abc import AsyncIterator

import procrastinate.schema
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from flynn.domain.errors import ConfigurationError
from flynn.store.database import Database
from flynn.store.migrate import VERSION_TABLE, head, migrate
from flynn.store.tables import metadata
from tests.postgres import TestDatabases

QUEUE = procrastinate.schema.SchemaManager.get_schema()


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    with TestDatabases.shared().new() as postgres:
        database = Database(postgres.url, pool_size=4)
        yield database
        await database.close()


async def test_the_second_migration_has_nothing_to_do(database: Database) -> None:
    assert await migrate(database, queue_schema=QUEUE) is True
    assert await migrate(database, queue_schema=QUEUE) is False


async def test_of_several_at_once_one_migrates(database: Database) -> None:
    done = await asyncio.gather(*(migrate(database, queue_schema=QUEUE) for _ in range(4)))
    assert sorted(done) == [False, False, False, True]


async def test_a_newer_schema_is_refused_in_one_line(database: Database) -> None:
    await migrate(database, queue_schema=QUEUE)
    async with database.begin() as connection:
        await connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = 'v9999'"))
    with pytest.raises(ConfigurationError) as caught:
        await migrate(database, queue_schema=QUEUE)
    said = caught.value.detail
    assert said.startswith("The database has schema v9999, made by a newer version: this one (")
    assert f"knows schemas up to {head()}. Start the newer version again" in said
    assert "docs/upgrade.md" in said
    assert "\n" not in said


async def test_the_tables_in_code_are_those_of_the_migrations(database: Database) -> None:
    await migrate(database, queue_schema=QUEUE)

    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "version_table": VERSION_TABLE,
                "include_name": lambda name, kind, _: (
                    not (kind == "table" and (name or "").startswith("procrastinate_"))
                ),
            },
        )
        return list(compare_metadata(context, metadata))

    async with database.begin() as connection:
        assert await connection.run_sync(differences) == []
