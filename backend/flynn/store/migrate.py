"""Brings a database's schema to this version: alembic, one process at a time; never backwards.

A schema that this version does not know is a newer version's. It is refused at the start, and a process
that was overtaken by it while it ran can tell (`newer_schema`).
"""

from functools import cache
from importlib import resources

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from flynn import __version__
from flynn.domain.errors import ConfigurationError
from flynn.store.database import Database

MIGRATION_LOCK = 0x464C594E4E02
VERSION_TABLE = "flynn_schema"
_THERE = text("SELECT to_regclass(:name)")
_FOUND = text("SELECT version_num FROM flynn_schema")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(resources.files("flynn.store") / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def head() -> str:
    """The revision that this version of the service needs."""
    current = ScriptDirectory.from_config(_config()).get_current_head()
    if current is None:
        raise ConfigurationError("This installation carries no migrations; install it again.")
    return current


@cache
def known() -> frozenset[str]:
    """Every revision that this version can bring a database forward from, its own among them."""
    return frozenset(script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions())


async def revision(connection: AsyncConnection) -> str | None:
    """The revision that the database has; None for one that was never migrated."""
    if await connection.scalar(_THERE, {"name": VERSION_TABLE}) is None:
        return None
    found: str | None = await connection.scalar(_FOUND)
    return found


def newer_schema(found: str | None) -> str | None:
    """What is wrong, and what to do, when `found` is the schema of a newer version; None when it is not."""
    if found is None or found in known():
        return None
    return (
        f"The database has schema {found}, made by a newer version: this one ({__version__}) knows schemas "
        f"up to {head()}. Start the newer version again, or restore a backup from before the upgrade "
        "(docs/upgrade.md)."
    )


async def migrate(database: Database, *, queue_schema: str) -> bool:
    """Migrate forward when it is needed; returns whether anything was done.

    `queue_schema` is the queue engine's own SQL, run once on a database that lacks it. Raises
    ConfigurationError when the database was migrated by a newer version of the service.
    """
    async with database.begin() as connection:
        if await revision(connection) == head():
            return False
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        found = await revision(connection)
        if found == head():
            return False
        if (refusal := newer_schema(found)) is not None:
            raise ConfigurationError(refusal)
        if not await _has_queue(connection):
            raw = await connection.get_raw_connection()
            driver = raw.driver_connection
            if driver is None:
                raise ConfigurationError("The database connection was lost before the migration.")
            # Several statements in one text: only the driver's simple protocol takes them.
            await driver.execute(queue_schema)
        await connection.run_sync(_upgrade)
    return True


async def _has_queue(connection: AsyncConnection) -> bool:
    found = await connection.scalar(text("SELECT to_regclass('procrastinate_jobs')"))
    return found is not None


def _upgrade(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
