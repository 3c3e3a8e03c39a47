"""A database of an earlier release, empty: the schema that one of the migrations left."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import procrastinate.schema
from alembic import command
from sqlalchemy import Connection

from flynn.store import migrate as migration
from flynn.store.database import Database
from tests.postgres import TestDatabases

QUEUE_SCHEMA = procrastinate.schema.SchemaManager.get_schema()


@asynccontextmanager
async def earlier_database(revision: str) -> AsyncIterator[Database]:
    """A database whose newest migration is `revision`."""

    def bring_to(connection: Connection) -> None:
        config = migration._config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

    with TestDatabases.shared().new() as postgres:
        database = Database(postgres.url, pool_size=2)
        async with database.begin() as connection:
            raw = await connection.get_raw_connection()
            assert raw.driver_connection is not None
            await raw.driver_connection.execute(QUEUE_SCHEMA)
            await connection.run_sync(bring_to)
        yield database
        await database.close()
