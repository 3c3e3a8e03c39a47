"""What is asked of, and told to, the database that is backed up: one short connection each time.

As its superuser only once, when the service starts: to make the role that Barman comes as. Everything else
is asked as that role, which may read the log and every figure, and write nothing.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg

from deploy.backup.keeping.place import ROLE, SLOT, Place

RECEIVER = "barman_receive_wal"
"""How Barman's receiver names itself to the server."""

_GRANTS = (
    "GRANT pg_read_all_settings, pg_read_all_stats, pg_monitor, pg_checkpoint TO {role}",
    "GRANT EXECUTE ON FUNCTION pg_catalog.pg_switch_wal() TO {role}",
    "GRANT EXECUTE ON FUNCTION pg_catalog.pg_create_restore_point(text) TO {role}",
    "GRANT EXECUTE ON FUNCTION pg_catalog.pg_backup_start(text, boolean) TO {role}",
    "GRANT EXECUTE ON FUNCTION pg_catalog.pg_backup_stop(boolean) TO {role}",
)
"""What Barman's manual asks for in the place of a superuser."""

_LOOK = """
SELECT clock_timestamp() AS at, pg_current_wal_lsn()::text AS written,
  (SELECT system_identifier::text FROM pg_control_system()) AS system_identifier,
  ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int AS timeline,
  s.slot_name IS NOT NULL AS slot, coalesce(s.wal_status = 'lost', false) AS lost,
  (SELECT write_lsn::text FROM pg_stat_replication WHERE application_name = $2 LIMIT 1) AS received,
  (SELECT sum(pg_database_size(oid))::bigint FROM pg_database) AS bytes
FROM (SELECT) AS one LEFT JOIN pg_replication_slots s ON s.slot_name = $1"""

AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
"""What a database that cannot be asked now raises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The database at one moment of its own clock."""

    at: datetime
    written: int
    """How far its log is written, in bytes."""
    received: int | None
    """How far the receiver has it; None while nobody receives."""
    system_identifier: str
    timeline: int
    slot: bool
    lost: bool
    """Whether the slot could not hold the log back any more."""
    bytes: int
    """What all databases take on the disk."""


async def make_role(place: Place) -> None:
    """See that ROLE is there with our password and may do what Barman needs; as the superuser.

    Raises what AWAY names.
    """
    async with _connected(place, place.superuser, place.superuser_password) as connection:
        there = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", ROLE)
        verb = "ALTER" if there else "CREATE"
        # A password cannot be a parameter; ours is made of hexadecimal digits.
        await connection.execute(f"{verb} ROLE {ROLE} LOGIN REPLICATION PASSWORD '{place.password()}'")
        for grant in _GRANTS:
            await connection.execute(grant.format(role=ROLE))


async def look(place: Place) -> Look:
    """The database now. Raises what AWAY names."""
    async with _connected(place, ROLE, place.password()) as connection:
        row = await connection.fetchrow(_LOOK, SLOT, RECEIVER)
    if row is None:
        raise OSError("the database said nothing")
    return Look(
        at=row["at"].astimezone(UTC),
        written=position(row["written"]),
        received=position(row["received"]) if row["received"] else None,
        system_identifier=row["system_identifier"],
        timeline=row["timeline"],
        slot=row["slot"],
        lost=row["lost"],
        bytes=row["bytes"],
    )


def position(text: str) -> int:
    """A position in the log, which PostgreSQL writes as two hexadecimal numbers, in bytes."""
    high, _, low = text.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


@asynccontextmanager
async def _connected(
    place: Place, user: str, password: str
) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(
        host=place.host,
        port=place.port,
        user=user,
        password=password,
        database=place.database,
        timeout=10,
        command_timeout=30,
    )
    try:
        yield connection
    finally:
        await connection.close(timeout=5)
