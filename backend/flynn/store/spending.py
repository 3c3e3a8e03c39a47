"""What principals spend in a day: reserved before each model call, settled with what it was charged.

A principal's day (UTC, by the database's clock) is one row, whose lock makes the calls of all its runs, on
all processes, take from it one after the other. A conversation has at most one call open, so one reservation;
it is made in the transaction that commits `step.started` and settled in the one that commits the call's end,
whoever commits that: its worker, one that takes over, or whoever ends the run. It is settled on the day that
it was taken from. Locks: the conversation's row first (and the run's), then the day's.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.domain.usage import dollars
from flynn.domain.views import PrincipalDay, UsageView

_TODAY = "CAST(clock_timestamp() AT TIME ZONE 'UTC' AS date)"
_RESERVE = text("""
WITH taken AS (
  INSERT INTO spending AS s (principal_id, day, reserved, spent)
  SELECT CAST(:p AS uuid), CAST(:day AS date), CAST(:n AS bigint), 0
  WHERE CAST(:allowed AS bigint) IS NULL OR CAST(:n AS bigint) <= CAST(:allowed AS bigint)
  ON CONFLICT (principal_id, day) DO UPDATE SET reserved = s.reserved + CAST(:n AS bigint)
  WHERE CAST(:allowed AS bigint) IS NULL
    OR s.reserved + s.spent + CAST(:n AS bigint) <= CAST(:allowed AS bigint)
  RETURNING day, reserved, spent
), kept AS (
  INSERT INTO reservations (conversation_id, principal_id, day, nanodollars)
  SELECT CAST(:c AS uuid), CAST(:p AS uuid), day, CAST(:n AS bigint) FROM taken
)
SELECT day, reserved, spent FROM taken""")
_SETTLE = text("""
WITH gone AS (
  DELETE FROM reservations WHERE conversation_id = :c RETURNING principal_id, day, nanodollars
)
UPDATE spending s SET reserved = s.reserved - gone.nanodollars, spent = s.spent + CAST(:n AS bigint)
FROM gone WHERE s.principal_id = gone.principal_id AND s.day = gone.day
RETURNING s.day, s.reserved, s.spent""")
_DAY = text(f"""
SELECT d.day, coalesce(s.reserved, 0) AS reserved, coalesce(s.spent, 0) AS spent
FROM (SELECT {_TODAY} AS day) d
LEFT JOIN spending s ON s.principal_id = :p AND s.day = d.day""")  # noqa: S608  # constants only
_NAME = text("SELECT name FROM principals WHERE id = :p")
_USAGE = text(f"""
SELECT d.day, p.name, coalesce(s.reserved, 0) AS reserved, coalesce(s.spent, 0) AS spent
FROM (SELECT {_TODAY} AS day) d CROSS JOIN principals p
LEFT JOIN spending s ON s.principal_id = p.id AND s.day = d.day
WHERE p.id = :p OR (:everybody AND s.day IS NOT NULL) ORDER BY p.name""")  # noqa: S608  # constants only
_WAKE = text(f"""
UPDATE runs r SET not_before = clock_timestamp() WHERE r.state = 'waiting' AND r.reason = 'day'
  AND r.not_before > clock_timestamp() AND (CAST(:allowed AS bigint) IS NULL OR NOT EXISTS (
    SELECT 1 FROM spending s WHERE s.principal_id = r.principal_id AND s.day = {_TODAY}
      AND s.reserved + s.spent >= CAST(:allowed AS bigint)))
RETURNING id""")  # noqa: S608  # constants only


@dataclass(frozen=True, slots=True)
class Day:
    """A principal's day: nano-dollars that are reserved for open calls, and those that are spent."""

    day: date
    reserved: int = 0
    spent: int = 0

    @property
    def taken(self) -> int:
        """Both together."""
        return self.reserved + self.spent


async def read_day(connection: AsyncConnection, principal_id: UUID) -> Day:
    """The principal's present day."""
    return _day((await connection.execute(_DAY, {"p": principal_id})).one())


async def read_usage(
    connection: AsyncConnection, principal_id: UUID, *, everybody: bool, allowed: int | None
) -> UsageView:
    """The principal's present day, with `everybody` also those of all who spent anything."""
    rows = (await connection.execute(_USAGE, {"p": principal_id, "everybody": everybody})).all()
    day = rows[0].day
    return UsageView(
        day=day,
        ends_at=datetime.combine(day + timedelta(days=1), time(), UTC),
        allowed_dollars=None if allowed is None else dollars(allowed),
        principals=[
            PrincipalDay(
                name=row.name, spent_dollars=dollars(row.spent), reserved_dollars=dollars(row.reserved)
            )
            for row in rows
        ],
    )


async def payer_name(connection: AsyncConnection, principal_id: UUID) -> str:
    """What the principal is called."""
    return str(await connection.scalar(_NAME, {"p": principal_id}))


async def reserve(
    connection: AsyncConnection,
    principal_id: UUID,
    conversation_id: UUID,
    nanodollars: int,
    *,
    allowed: int | None,
) -> Day | None:
    """Reserve for the conversation's next call; the day with it in, or None when it has no room for it.

    The conversation's row is locked, and it has no reservation.
    """
    day = (await connection.execute(_DAY, {"p": principal_id})).one().day
    parameters = {"p": principal_id, "c": conversation_id, "n": nanodollars, "day": day, "allowed": allowed}
    row = (await connection.execute(_RESERVE, parameters)).one_or_none()
    return _day(row) if row is not None else None


async def settle(connection: AsyncConnection, conversation_id: UUID, nanodollars: int) -> Day | None:
    """Spend what the conversation's call was charged in place of what was reserved for it.

    None, and nothing is done, when nothing is reserved: the call is settled, or older than reservations.
    """
    row = (await connection.execute(_SETTLE, {"c": conversation_id, "n": nanodollars})).one_or_none()
    return _day(row) if row is not None else None


async def wake_for_the_day(connection: AsyncConnection, *, allowed: int | None) -> list[UUID]:
    """Let runs go on that wait for their principal's day, where it has room by this limit; returns them."""
    return list((await connection.execute(_WAKE, {"allowed": allowed})).scalars())


def _day(row: Row[Any]) -> Day:
    return Day(day=row.day, reserved=row.reserved, spent=row.spent)
