"""What the server says of its log and of who receives it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# The clock first: what was committed until then is before the position that is read after it, but for
# transactions that have their time and are on their way to the disk, hence the second.
_POSITION = text("""
SELECT clock_timestamp() - interval '1 second' AS at, pg_current_wal_flush_lsn()::text AS lsn,
  s.slot_name IS NOT NULL AS slot, s.restart_lsn::text AS received, s.wal_status AS status,
  (SELECT system_identifier::text FROM pg_control_system()) AS system_identifier,
  (SELECT timeline_id FROM pg_control_checkpoint()) AS timeline
FROM (SELECT 1) AS one LEFT JOIN pg_replication_slots s ON s.slot_name = :slot""")
_CREATE = text("SELECT pg_create_physical_replication_slot(:slot, true)")
_DROP = text("""
SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
WHERE slot_name = :slot AND NOT active""")
_SIZE = text("SELECT sum(pg_database_size(oid))::bigint FROM pg_database")
_ELSEWHERE = text("""
SELECT name FROM workspaces WHERE volume_id IS NULL OR volume_id IS DISTINCT FROM CAST(:volume AS uuid)
ORDER BY name""")


@dataclass(frozen=True, slots=True)
class LogPosition:
    """How far the log is at `at`, and how far a receiver has it. Positions as PostgreSQL writes them."""

    at: datetime
    lsn: str
    slot: bool
    """Whether there is the slot that holds the log back for the receiver."""
    received: str | None
    lost: bool
    """Whether the slot has lost what it was to hold back."""
    system_identifier: str
    timeline: int


async def log_position(connection: AsyncConnection, slot: str) -> LogPosition:
    """Where the log is, and where the receiver of `slot` is in it."""
    row = (await connection.execute(_POSITION, {"slot": slot})).one()
    return LogPosition(
        at=row.at,
        lsn=row.lsn,
        slot=row.slot,
        received=row.received,
        lost=row.status == "lost",
        system_identifier=row.system_identifier,
        timeline=row.timeline,
    )


async def create_slot(connection: AsyncConnection, slot: str) -> None:
    """Hold the log back from here on."""
    await connection.execute(_CREATE, {"slot": slot})


async def drop_slot(connection: AsyncConnection, slot: str) -> None:
    """Hold it back no longer. Does nothing when the slot is not there, or still in use."""
    await connection.execute(_DROP, {"slot": slot})


async def database_bytes(connection: AsyncConnection) -> int:
    """What all databases of the server take, in bytes."""
    return int((await connection.execute(_SIZE)).scalar_one())


async def workspaces_elsewhere(connection: AsyncConnection, volume: UUID | None) -> list[str]:
    """The names of workspaces that do not lie on `volume`."""
    return list((await connection.scalars(_ELSEWHERE, {"volume": volume})).all())
