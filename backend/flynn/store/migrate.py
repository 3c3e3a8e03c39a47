"""Brings a database's schema to this version: alembic, one process at a time."""

from importlib import resources

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.domain.errors import ConfigurationError
from flynn.store.database import Database

MIGRATION_LOCK = 0x464C594E4E02
VERSION_TABLE = "flynn_schema"


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


async def migrate(database: Database, *, queue_schema: str) -> bool:
    """Migrate forward when it is needed; returns whether anything was done.

    `queue_schema` is the queue engine's own SQL, run once on a database that lacks it. Raises
    ConfigurationError when the database was migrated by a newer version of the service.
    """
    async with database.begin() as connection:
        if await connection.run_sync(_revision) == head():
            return False
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        found = await connection.run_sync(_revision)
        if found == head():
            return False
        _refuse_newer(found)
        if not await _has_queue(connection):
            raw = await connection.get_raw_connection()
            driver = raw.driver_connection
            if driver is None:
                raise ConfigurationError("The database connection was lost before the migration.")
            # Several statements in one text: only the driver's simple protocol takes them.
            await driver.execute(queue_schema)
        await connection.run_sync(_upgrade)
    return True


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(
        connection, opts={"version_table": VERSION_TABLE}
    ).get_current_revision()


def _refuse_newer(found: str | None) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if found is not None and found not in known:
        raise ConfigurationError(
            f"The database has schema {found}, newer than this version's {head()}: run the newer version."
        )


async def _has_queue(connection: AsyncConnection) -> bool:
    found = await connection.scalar(text("SELECT to_regclass('procrastinate_jobs')"))
    return found is not None


def _upgrade(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
