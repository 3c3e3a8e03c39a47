"""Chores: what has to be done regularly, once, however many processes there are.

A row for each chore says which slot is due next. Whoever comes first locks it, does the chore in that
very transaction and moves the row on: a process that dies meanwhile has done nothing, and another does it.
Others pass a locked row by. Slots are whole multiples of the period since 1970, and each is done once;
only what nobody did for long is given up, but for the latest.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.store.database import Database
from flynn.store.outage import OUTAGES
from flynn.telemetry.crash_point import reach
from flynn.telemetry.logging import get_logger

CATCH_UP = 10
"""Slots that are done one after the other when they are overdue; older ones are given up."""

LOOK_SECONDS = 30.0
"""Longest pause between two looks."""

_BEGIN = text("INSERT INTO chores (name, next_at) VALUES (:name, :at) ON CONFLICT DO NOTHING")
_TAKE = text("""
SELECT next_at FROM chores WHERE name = :name AND next_at <= clock_timestamp() FOR UPDATE SKIP LOCKED""")
_DONE = text("UPDATE chores SET next_at = :at, done_at = clock_timestamp() WHERE name = :name")

Act = Callable[[AsyncConnection, datetime], Awaitable[None]]
"""Does a chore for one slot, in the transaction that says that it was done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chore:
    """Something to be done every `period`, beginning with the slot of its first look."""

    name: str
    period: timedelta
    act: Act

    def slot(self, at: datetime) -> datetime:
        """The latest slot that is not after `at`."""
        since = at - _EPOCH
        return _EPOCH + (since // self.period) * self.period


_EPOCH = datetime.fromtimestamp(0, UTC)


class Chores:
    """Does the chores of all processes that are due. Run `run` beside the workers of a process."""

    def __init__(self, database: Database, chores: Sequence[Chore]) -> None:
        self._database = database
        self._chores = chores
        self._log = get_logger("flynn.worker.chores")

    async def run(self) -> None:
        """Look until cancelled; a database that is away is looked at again later."""
        shortest = min((c.period.total_seconds() for c in self._chores), default=LOOK_SECONDS)
        while True:
            for chore in self._chores:
                try:
                    while await self.look(chore):
                        pass
                except OUTAGES as error:
                    self._log.warning("a chore is left undone for now", chore=chore.name, error=str(error))
            await asyncio.sleep(min(LOOK_SECONDS, shortest / 4))

    async def look(self, chore: Chore) -> bool:
        """Do the chore for the slot that is due, unless somebody else is at it; whether it was done here."""
        async with self._database.begin() as connection:
            now = datetime.now(UTC)
            await connection.execute(_BEGIN, {"name": chore.name, "at": chore.slot(now)})
            slot = await connection.scalar(_TAKE, {"name": chore.name})
            if slot is None:
                return False
            if now - slot > CATCH_UP * chore.period:
                slot = chore.slot(now)
            await chore.act(connection, slot)
            await connection.execute(_DONE, {"name": chore.name, "at": slot + chore.period})
            reach("chore.before-commit")
        reach("chore.after-commit")
        self._log.info("a chore is done", chore=chore.name, slot=slot.isoformat())
        return True
