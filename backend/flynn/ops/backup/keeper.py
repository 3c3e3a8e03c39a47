"""The keeper: takes bases when they are due, keeps the line unbroken, removes what is not needed.

When a base is due follows from what the catalogue holds, never from a timer: a service that was off takes
the base that it missed when it is back. One keeper at a time owns a catalogue.
"""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from flynn.domain.backup import BackupFailure, BackupUnderWay
from flynn.domain.errors import Conflict, FlynnError
from flynn.ops.backup.base import BackupFailed, Phase, Subject, free_bytes, take_base
from flynn.ops.backup.catalogue import Base, Catalogue
from flynn.ops.backup.housekeeping import Housekeeping
from flynn.ops.backup.stretch import Stretch
from flynn.store.database import Database
from flynn.store.outage import OUTAGES
from flynn.store.slots import database_bytes, workspaces_elsewhere
from flynn.telemetry.logging import get_logger

LOOK_SECONDS = 2.0
"""How often the line is looked at."""

RETRY = timedelta(minutes=10)
"""How long after a failure the next attempt is made."""

Outcome = Literal["taken", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How backups are kept. `first_after` is how long a new service waits with its first base."""

    directory: Path
    every: timedelta
    keep: timedelta
    first_after: timedelta
    most_bytes: int


class Keeper:
    """Keeps backups of one data directory. Made by `open_keeper`; its public methods never block for long."""

    def __init__(
        self,
        policy: Policy,
        subject: Subject,
        database: Database,
        *,
        line_file: Path,
        scheduled: bool = True,
        counted: Callable[[Outcome], None] = lambda _outcome: None,
        free: Callable[[Path], int] = free_bytes,
    ) -> None:
        """`line_file` is where the cluster's line is noted, beside the cluster. Without `scheduled` bases
        are taken only when `begin` asks for one. `free` says how much room a disk has.
        """
        self.policy = policy
        self.catalogue = Catalogue(policy.directory)
        self.bases: list[Base] = []
        self.under_way: BackupUnderWay | None = None
        self.last_failure: BackupFailure | None = None
        self._log = get_logger("flynn.backup")
        self.stretch = Stretch(self.catalogue, subject.client, database, line_file, self._log)
        self.housekeeping = Housekeeping(self.catalogue, keep=policy.keep, most_bytes=policy.most_bytes)
        self.trouble: str | None = None
        """Why the line could not be looked at last."""
        self._subject = subject
        self._database = database
        self._scheduled = scheduled
        self._counted = counted
        self._free = free
        self._opened_at = datetime.now(UTC)
        self._retry_at: datetime | None = None
        self._taking: asyncio.Task[None] | None = None

    async def load(self) -> None:
        """Read the catalogue."""
        self.bases = await asyncio.to_thread(self.catalogue.bases)
        await asyncio.to_thread(self.housekeeping.weigh)

    async def run(self) -> None:
        """Keep backups until cancelled."""
        while True:
            try:
                await self.look()
            except Exception as error:
                # A defect: it is said, and backups go on as far as they can.
                self.trouble = f"a defect, {type(error).__name__}"
                self._log.error("looking after backups met a defect", exc_info=error)
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Look once: is the line whole, is a base due, is there something to pack or to remove?"""
        now = datetime.now(UTC)
        try:
            await self.stretch.look({base.line for base in self.bases})
            self.trouble = None
            due = self.due_at()
            if self.under_way is None and due is not None and due <= now:
                self.begin()
            if self.under_way is None and await asyncio.to_thread(self.housekeeping.due, now):
                await self._tidy(now)
        except (*OUTAGES, FlynnError) as error:
            said = error.detail if isinstance(error, FlynnError) else type(error).__name__
            if said != self.trouble:
                self._log.warning("the database's log cannot be looked after now", reason=said)
            self.trouble = said

    def due_at(self) -> datetime | None:
        """When the next base is due; None without a schedule."""
        if not self._scheduled:
            return None
        here = [base for base in self.bases if base.line == self.stretch.line_id]
        if here:
            due = here[-1].started_at + self.policy.every
        elif self.bases or self.stretch.line_id is not None:
            # A line on which no base stands gives nothing back: after a restoring, or a break.
            due = self._opened_at
        else:
            due = self._opened_at + self.policy.first_after
        return max(due, self._retry_at) if self._retry_at else due

    def begin(self) -> str:
        """Begin to take a base; gives its id. Raises Conflict while one is being taken."""
        if self.under_way is not None:
            raise Conflict(f"The backup {self.under_way.id} is being taken; wait until it is done.")
        now = datetime.now(UTC)
        backup = f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
        self.under_way = BackupUnderWay(id=backup, started_at=now, phase="beginning")
        self._taking = asyncio.create_task(self._take(backup), name="backup")
        return backup

    async def done(self) -> None:
        """Wait until no base is being taken."""
        if self._taking is not None:
            await asyncio.wait([self._taking])

    async def close(self) -> None:
        """End what is under way, wait a moment for the rest of the log, end the receiver."""
        if self._taking is not None:
            self._taking.cancel()
            await asyncio.wait([self._taking])
        await self.stretch.close()

    async def _take(self, backup: str) -> None:
        try:
            line = await self.stretch.ensure()
            async with self._database.statement() as connection:
                size = await database_bytes(connection)
                elsewhere = await workspaces_elsewhere(connection, self._subject.volume)
            base = await take_base(
                self._subject,
                self.catalogue,
                backup=backup,
                line=line,
                database_bytes=size,
                elsewhere=elsewhere,
                phase=self._phase,
                free=self._free,
            )
            if self.stretch.line_id != line:
                self._log.warning("the log broke while a backup was taken", backup=backup)
            self.bases.append(base)
            self.last_failure, self._retry_at = None, None
            self._counted("taken")
            self._log.info(
                "a backup was taken", backup=backup, bytes=base.bytes, skipped=len(base.workspaces.skipped)
            )
            await self._tidy(datetime.now(UTC))
        except (*OUTAGES, FlynnError) as error:
            said = error.detail if isinstance(error, FlynnError) else f"The database: {type(error).__name__}."
            self._failed(backup, said)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self._failed(backup, f"A defect: {type(error).__name__}.")
            self._log.error("a backup met a defect", exc_info=error)
        finally:
            self.under_way = None

    def _failed(self, backup: str, detail: str) -> None:
        now = datetime.now(UTC)
        self.last_failure = BackupFailure(id=backup, at=now, detail=detail)
        self._retry_at = now + min(RETRY, self.policy.every)
        self._counted("failed")
        self._log.error("a backup was not taken", backup=backup, reason=detail)

    def _phase(self, phase: Phase) -> None:
        if self.under_way is not None:
            self.under_way = self.under_way.model_copy(update={"phase": phase})

    async def _tidy(self, now: datetime) -> None:
        try:
            await asyncio.to_thread(self.housekeeping.tidy, self.bases, self.stretch.line_id, now)
        except OSError as error:
            raise BackupFailed(f"Old backups cannot be removed: {error.strerror or error}.") from error
        self.bases = await asyncio.to_thread(self.catalogue.bases)


@asynccontextmanager
async def open_keeper(keeper: Keeper) -> AsyncIterator[Keeper]:
    """Own the catalogue and keep backups while the block lasts. Raises ConfigurationError."""
    with keeper.catalogue.owned():
        await asyncio.to_thread(keeper.catalogue.clear)
        await keeper.load()
        task = asyncio.create_task(keeper.run(), name="backups")
        try:
            yield keeper
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await keeper.close()
