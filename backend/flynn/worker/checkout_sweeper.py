"""The sweeper of checkouts: removes those of tasks that have been over for long, and what crashes left.

A checkout is moved aside under the lock of its conversation, and only while no run is open there: whoever
claims one later finds none, and makes it anew from the branch. Then it is removed, however long that takes.
What is committed is in the workspace's repository by then, unless it could not be handed over.
"""

import asyncio
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from sqlalchemy import text

from flynn.store.database import Database
from flynn.store.outage import OUTAGES
from flynn.telemetry.logging import get_logger
from flynn.worker.checkouts import DIRECTORY
from flynn.workspace.checkout import remove
from flynn.workspace.mounts import Mounts

EVERY_SECONDS = 3_600.0
MOST = 200
"""Checkouts that one sweep removes from a volume."""
_ASIDE = ".swept-"

_LOCK = text("""
SELECT c.id FROM tasks t JOIN conversations c ON c.id = t.conversation_id WHERE t.id = :t FOR UPDATE OF c""")
_RESTS = text("""
SELECT NOT EXISTS (
    SELECT 1 FROM runs WHERE conversation_id = :c AND state IN ('queued', 'running', 'waiting'))
  AND NOT EXISTS (SELECT 1 FROM runs WHERE conversation_id = :c AND ended_at > :since)""")


class CheckoutSweeper:
    """Sweeps the volumes of this process. Several processes may do so at once."""

    def __init__(self, database: Database, mounts: Mounts, *, keep: timedelta) -> None:
        self._database = database
        self._mounts = mounts
        self._keep = keep
        self._log = get_logger("flynn.worker.sweeper")

    async def run(self) -> None:
        """Sweep at once and then every hour, until cancelled."""
        while True:
            try:
                await self.sweep()
            except OUTAGES as error:
                self._log.warning("checkouts are not swept: the database is away", error=str(error))
            await asyncio.sleep(EVERY_SECONDS)

    async def sweep(self, now: datetime | None = None) -> int:
        """Remove what was not needed for so long at `now`; returns how many."""
        since = (now or datetime.now(UTC)) - self._keep
        gone = 0
        for volume in self._mounts.volumes:
            place = volume.private / DIRECTORY
            try:
                names = await asyncio.to_thread(_names, place)
                for name in names[:MOST]:
                    gone += await self._look(place, name, since)
            except OSError as error:
                self._log.warning("checkouts cannot be swept", error=error.strerror)
        if gone:
            self._log.info("checkouts removed that were not needed any more", count=gone)
        return gone

    async def _look(self, place: Path, name: str, since: datetime) -> bool:
        aside = place / name
        if not name.startswith(_ASIDE):
            try:
                task_id = UUID(name)
            except ValueError:
                return False
            aside = place / f"{_ASIDE}{secrets.token_hex(8)}"
            if not await self._put_aside(place / name, aside, task_id, since):
                return False
        await asyncio.to_thread(remove, aside)
        return True

    async def _put_aside(self, checkout: Path, aside: Path, task_id: UUID, since: datetime) -> bool:
        async with self._database.begin() as connection:
            conversation = await connection.scalar(_LOCK, {"t": task_id})
            if conversation is None:
                return False  # of another database that shares the volume
            if not await connection.scalar(_RESTS, {"c": conversation, "since": since}):
                return False
            try:
                await asyncio.to_thread(checkout.rename, aside)
            except FileNotFoundError:
                return False  # somebody else sweeps too
            return True


def _names(place: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in place.iterdir())
    except FileNotFoundError:
        return []
