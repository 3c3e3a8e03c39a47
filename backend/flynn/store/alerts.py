"""Alerts that fire, shared by the processes of a service: who sees each, and whether it was told.

A row is an alert by its key. Every process that sees it holds it, and says so again and again; who fell
silent loses its hold after a while. The row ends with its last hold. Clocks are the database's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_SEEN = "jsonb_build_object(CAST(:process AS text), extract(epoch FROM clock_timestamp()))"

_HOLD = text(f"""
INSERT INTO alerts AS a (key, id, since, value, view, holders, told)
VALUES (:key, :id, :since, :value, :view, {_SEEN}, :told)
ON CONFLICT (key) DO UPDATE SET
  holders = a.holders || excluded.holders, value = excluded.value, told = a.told OR excluded.told
RETURNING id, since""")  # noqa: S608  # constants only
_LET_GO = text("UPDATE alerts SET holders = holders - CAST(:process AS text) WHERE key = :key")
_LOSE = text("""
UPDATE alerts SET holders = (
  SELECT coalesce(jsonb_object_agg(h.key, h.value), '{}') FROM jsonb_each(holders) h
  WHERE CAST(h.value #>> '{}' AS float8) > extract(epoch FROM clock_timestamp()) - :silent)
WHERE EXISTS (
  SELECT 1 FROM jsonb_each(holders) h
  WHERE CAST(h.value #>> '{}' AS float8) <= extract(epoch FROM clock_timestamp()) - :silent)""")
_END = text("DELETE FROM alerts WHERE holders = '{}' RETURNING key, id, since, value, view")
_ANY = text("SELECT EXISTS (SELECT 1 FROM alerts)")
_OF_OTHERS = text("""
SELECT key, id, since, value, view FROM alerts WHERE holders - CAST(:process AS text) <> '{}'""")
_TAKE = text("""
UPDATE alerts SET telling_until = clock_timestamp() + :seconds * interval '1 second'
WHERE key IN (
  SELECT key FROM alerts WHERE NOT told AND (telling_until IS NULL OR telling_until < clock_timestamp())
  FOR UPDATE SKIP LOCKED)
RETURNING key, id, since, value, view""")
_TOLD = text("UPDATE alerts SET told = true WHERE id = ANY(:ids)")


@dataclass(frozen=True, slots=True)
class Kept:
    """An alert as it is kept. `view` is its JSON as the first who saw it wrote it."""

    key: str
    id: UUID
    since: datetime
    value: float | None
    view: str


async def anything(connection: AsyncConnection) -> bool:
    """Whether there is any row, so that at rest this is all that is asked."""
    return bool(await connection.scalar(_ANY))


async def hold(
    connection: AsyncConnection,
    *,
    process: str,
    key: str,
    id: UUID,  # the alert's own word
    since: datetime,
    value: float | None,
    view: str,
    told: bool,
) -> tuple[UUID, datetime]:
    """Say that `process` sees an alert; gives its id and beginning, which are those of who saw it first."""
    given = {
        "process": process,
        "key": key,
        "id": id,
        "since": since,
        "value": value,
        "view": view,
        "told": told,
    }
    row = (await connection.execute(_HOLD, given)).one()
    return row.id, row.since


async def let_go(connection: AsyncConnection, *, process: str, key: str) -> None:
    """Say that `process` does not see it any more."""
    await connection.execute(_LET_GO, {"process": process, "key": key})


async def end(connection: AsyncConnection, *, silent: float) -> list[Kept]:
    """End what nobody holds, or only who was silent for `silent` seconds. Each is given to one caller."""
    await connection.execute(_LOSE, {"silent": silent})
    return [Kept(*row) for row in await connection.execute(_END)]


async def of_others(connection: AsyncConnection, *, process: str) -> list[Kept]:
    """What processes besides `process` see."""
    return [Kept(*row) for row in await connection.execute(_OF_OTHERS, {"process": process})]


async def take(connection: AsyncConnection, *, seconds: float) -> list[Kept]:
    """What nobody was told of yet; for `seconds` only this caller gets it."""
    return [Kept(*row) for row in await connection.execute(_TAKE, {"seconds": seconds})]


async def told(connection: AsyncConnection, ids: Sequence[UUID]) -> None:
    """Somebody was told of these."""
    await connection.execute(_TOLD, {"ids": list(ids)})
