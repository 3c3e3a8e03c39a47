"""The database of a process: a server of the operator's, or our own child."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from flynn.domain import addresses
from flynn.domain.errors import ConfigurationError
from flynn.ops.backup.exchange import complete
from flynn.ops.backup.recovery import POSTGRES
from flynn.settings import Settings
from flynn.store.database import Database
from flynn.store.embedded import EmbeddedPostgres
from flynn.store.migrate import migrate
from flynn.telemetry.logging import get_logger
from flynn.worker.engine import schema_sql


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the database is, for asyncpg under SQLAlchemy (`url`) and for psycopg and asyncpg (`dsn`)."""

    url: str
    dsn: str


@asynccontextmanager
async def open_database(
    settings: Settings,
) -> AsyncIterator[tuple[Database, Address, EmbeddedPostgres | None]]:
    """The database, migrated: the server of DATABASE_URL, or our own child.

    Raises ConfigurationError when neither can be had.
    """
    async with AsyncExitStack() as stack:
        embedded: EmbeddedPostgres | None = None
        if settings.database_url is None:
            if await asyncio.to_thread(complete, settings.data_dir):
                get_logger("flynn.backup").warning("a restoring that was cut off was finished")
            embedded = EmbeddedPostgres(settings.data_dir / POSTGRES, log=get_logger("flynn.postgres"))
            await stack.enter_async_context(embedded)
            address = Address(url=embedded.url, dsn=embedded.dsn)
        else:
            address = Address(url=settings.database_url, dsn=addresses.libpq_url(settings.database_url))
        database = Database(address.url, pool_size=settings.pool_size, max_overflow=settings.pool_overflow)
        stack.push_async_callback(database.close)
        try:
            await migrate(database, queue_schema=schema_sql())
        except OSError as error:
            raise ConfigurationError(
                f"DATABASE_URL cannot be reached ({error.strerror or error}): start the server or correct it."
            ) from error
        yield database, address, embedded
