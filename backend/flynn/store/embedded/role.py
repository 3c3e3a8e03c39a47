"""The role and the database that the service works with: no superuser, and owner of what is its own."""

from pathlib import Path

import asyncpg
from sqlalchemy import URL

from flynn.domain.errors import ConfigurationError
from flynn.store.embedded.cluster import SUPERUSER

ROLE = "flynn"


def address(driver: str, socket_directory: Path, password: str, *, user: str = ROLE, database: str) -> str:
    """A URL, password included: `DRIVER://user:password@/database?host=DIRECTORY`."""
    place = {"host": str(socket_directory)}
    url = URL.create(driver, username=user, password=password, database=database, query=place)
    return url.render_as_string(hide_password=False)


async def ensure_role(socket_directory: Path, password: str, database: str, *, new: bool) -> None:
    """See that the role can enter its database; makes what is missing, as a crash can fall between them.

    `new` says that neither can be there yet. Raises ConfigurationError when the password does not fit.
    """
    if not new:
        try:
            connection = await asyncpg.connect(
                address("postgresql", socket_directory, password, database=database)
            )
        except (asyncpg.InvalidPasswordError, asyncpg.InvalidCatalogNameError):
            pass  # made below
        else:
            await connection.close()
            return
    try:
        superuser = await asyncpg.connect(
            address("postgresql", socket_directory, password, user=SUPERUSER, database=SUPERUSER)
        )
    except asyncpg.InvalidPasswordError as error:
        raise ConfigurationError(
            f"The password kept for the embedded database does not open {socket_directory}: restore the "
            "file password that belongs to it."
        ) from error
    try:
        # No parameters in utility statements; the password is URL-safe base64, the names are plain.
        known = await superuser.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", ROLE)
        verb = "ALTER" if known else "CREATE"
        await superuser.execute(f"{verb} ROLE {ROLE} LOGIN CREATEDB REPLICATION PASSWORD '{password}'")
        if not await superuser.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", database):
            await superuser.execute(f"CREATE DATABASE {database} OWNER {ROLE}")
    finally:
        await superuser.close()
