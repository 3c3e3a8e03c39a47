"""Levels of the log that hold for all processes of the service, for a while or until they are taken back."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.domain.errors import Conflict

MOST = 50
"""Loggers that may have a level of their own at a time."""

_READ = text("""
SELECT logger, level, until, set_at, set_by,
  CAST(extract(epoch FROM until - clock_timestamp()) AS double precision) AS seconds
FROM log_levels WHERE until IS NULL OR until > clock_timestamp() ORDER BY logger""")
_FORGET = text("DELETE FROM log_levels WHERE until <= clock_timestamp()")
_COUNT = text("SELECT count(*) FROM log_levels WHERE logger <> :logger")
_SET = text("""
INSERT INTO log_levels (logger, level, until, set_by)
VALUES (:logger, :level,
  clock_timestamp() + make_interval(secs => CAST(:seconds AS double precision)), :by)
ON CONFLICT (logger) DO UPDATE SET level = excluded.level, until = excluded.until,
  set_at = clock_timestamp(), set_by = excluded.set_by""")
_REMOVE = text("DELETE FROM log_levels WHERE CAST(:logger AS text) IS NULL OR logger = :logger")


@dataclass(frozen=True, slots=True)
class Level:
    """One level. `logger` is empty for all; `seconds` are those until it ends, by the database's clock."""

    logger: str
    level: str
    until: datetime | None
    set_at: datetime
    set_by: str
    seconds: float | None


async def read_levels(connection: AsyncConnection) -> list[Level]:
    """Those that hold now, by logger."""
    return [Level(**row) for row in (await connection.execute(_READ)).mappings()]


async def set_level(
    connection: AsyncConnection, logger: str, level: str, *, seconds: float | None, by: str
) -> None:
    """Let `level` hold for `logger` (empty: for all). Raises Conflict when too many loggers have one."""
    await connection.execute(_FORGET)
    if int((await connection.execute(_COUNT, {"logger": logger})).scalar_one()) >= MOST:
        raise Conflict(f"{MOST} loggers have levels of their own already: take one back first.")
    values = {"logger": logger, "level": level, "seconds": seconds, "by": by}
    await connection.execute(_SET, values)


async def remove_level(connection: AsyncConnection, logger: str | None) -> int:
    """Take back the level of `logger` (empty: that for all; None: every level); how many there were."""
    return (await connection.execute(_REMOVE, {"logger": logger})).rowcount
