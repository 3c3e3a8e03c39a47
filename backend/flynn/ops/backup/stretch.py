"""The line that is being kept now: the slot that holds the log back, the receiver, and how far it is."""

import asyncio
import secrets
from datetime import UTC, datetime
from pathlib import Path

from flynn.ops.backup.base import BackupFailed
from flynn.ops.backup.catalogue import Catalogue, Covered, Line, write
from flynn.ops.backup.receiver import SLOT, Receiver
from flynn.ops.backup.segments import SEGMENT_BYTES, end_of, lsn_of, segments
from flynn.store.database import Database
from flynn.store.embedded import Client
from flynn.store.outage import OUTAGES
from flynn.store.slots import LogPosition, create_slot, drop_slot, log_position
from flynn.telemetry.logging import Logger

CATCH_UP_SECONDS = 3.0
"""How long the end waits for what the receiver has still to receive."""

_RELEASE_SECONDS = 5.0


class Stretch:
    """The line of the running server. It breaks when a part of the log is lost; then another begins."""

    def __init__(
        self, catalogue: Catalogue, client: Client, database: Database, line_file: Path, log: Logger
    ) -> None:
        self.covered_at: datetime | None = None
        """Everything that was committed until then is kept."""
        self.receiver: Receiver | None = None
        self._catalogue = catalogue
        self._client = client
        self._database = database
        self._file = line_file
        self._log = log
        self._line: Line | None = None
        self._known = False
        self._waiting: LogPosition | None = None
        self._turn = asyncio.Lock()

    @property
    def line_id(self) -> str | None:
        """The line that is kept now; None when none is."""
        return self._line.id if self._line else None

    @property
    def lag_seconds(self) -> float | None:
        """How far the line is behind now; None when none is kept, or nothing of it is known yet."""
        if self._line is None or self.covered_at is None:
            return None
        return max(0.0, (datetime.now(UTC) - self.covered_at).total_seconds())

    async def look(self, standing: set[str]) -> None:
        """See how far the line is; end one that broke. `standing` are the lines on which bases stand.

        Raises what a database that is away raises.
        """
        async with self._turn:
            position = await self._position()
            if not self._known:
                await self._find(position, standing)
                self._known = True
            elif self._line is not None:
                if not position.slot or position.lost:
                    await self._break("the server no longer had the log that was to be received next")
                else:
                    await self._cover(position)

    async def ensure(self) -> str:
        """The id of the line that is kept, a new one if there is none. Raises BackupFailed."""
        async with self._turn:
            if self._line is None:
                await self._begin()
            if self._line is None:
                raise BackupFailed("The database's log cannot be received.")
            return self._line.id

    async def close(self) -> None:
        """Wait a moment until everything is received, note that, and end the receiver."""
        async with self._turn:
            if self.receiver is None:
                return
            try:
                async with asyncio.timeout(CATCH_UP_SECONDS):
                    last = await self._position()
                    while not _reached(await self._position(), last):  # noqa: ASYNC110 # the server tells nobody
                        await asyncio.sleep(0.05)
                    await self._note(last)
            except (*OUTAGES, TimeoutError):
                self._log.warning("the end of the database's log is received at the next start")
            finally:
                await self.receiver.stop()
                self.receiver = None

    async def _position(self) -> LogPosition:
        async with self._database.statement() as connection:
            return await log_position(connection, SLOT)

    async def _find(self, position: LogPosition, standing: set[str]) -> None:
        """Take up the line that the last keeper left, if it is whole; else there is none."""
        line, reason = await asyncio.to_thread(self._read, position, standing)
        if line is None:
            if reason:
                self._log.error("the kept log breaks here; a new backup follows at once", reason=reason)
            return
        if not position.slot:  # a kill came between the line and its slot: nothing stands on it yet
            async with self._database.statement() as connection:
                await create_slot(connection, SLOT)
        self._follow(line)

    def _read(self, position: LogPosition, standing: set[str]) -> tuple[Line | None, str | None]:
        try:
            noted = self._file.read_text(encoding="utf-8").strip().strip('"')
        except FileNotFoundError:
            return None, None
        line = self._catalogue.lines().get(noted)
        if line is None:
            return None, "what was kept of it is gone"
        if (line.system_identifier, line.timeline) != (position.system_identifier, position.timeline):
            return None, "the database is another one"
        if position.lost or (not position.slot and noted in standing):
            return None, "the server did not hold it back"
        wal = self._catalogue.wal(noted)
        found = segments(wal)
        if not wal.is_dir() or (noted in standing and not found):
            return None, "what was received of it is gone"
        if found and position.received and end_of(found) < lsn_of(position.received):
            behind = lsn_of(position.received) - end_of(found)
            return None, f"{behind // SEGMENT_BYTES + 1} segments of it are missing"
        return line, None

    async def _break(self, reason: str) -> None:
        self._log.error("the kept log breaks here; a new backup follows at once", reason=reason)
        if self.receiver is not None:
            await self.receiver.stop()
        self.receiver = self._line = self._waiting = self.covered_at = None

    async def _begin(self) -> None:
        if self.receiver is not None:
            await self.receiver.stop()
        position = await self._release()
        now = datetime.now(UTC)
        line = Line(
            id=f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}",
            began_at=now,
            system_identifier=position.system_identifier,
            timeline=position.timeline,
        )
        try:
            await asyncio.to_thread(self._catalogue.add_line, line)
            await asyncio.to_thread(write, self._file, line.id)
        except OSError as error:
            raise BackupFailed(
                f"The log cannot be kept in {self._catalogue.directory}: {error.strerror or error}."
            ) from error
        async with self._database.statement() as connection:
            await create_slot(connection, SLOT)
        self._follow(line)
        self._log.info("the database's log is kept from here on", line=line.id)

    async def _release(self) -> LogPosition:
        """Give up a slot of before; its receiver may need a moment to be gone."""
        deadline = asyncio.get_running_loop().time() + _RELEASE_SECONDS
        while (position := await self._position()).slot:
            async with self._database.statement() as connection:
                await drop_slot(connection, SLOT)
            if asyncio.get_running_loop().time() > deadline:
                raise BackupFailed("Somebody else receives the database's log under our name.")
            await asyncio.sleep(0.05)
        return position

    def _follow(self, line: Line) -> None:
        self._line = line
        covered = self._catalogue.covered(line.id)
        self.covered_at = covered.at if covered else None
        self.receiver = Receiver(self._client, self._catalogue.wal(line.id), self._log)
        self.receiver.start()

    async def _cover(self, position: LogPosition) -> None:
        waiting = self._waiting or position
        if _reached(position, waiting):
            self._waiting = position
            await self._note(waiting)
        else:
            self._waiting = waiting

    async def _note(self, position: LogPosition) -> None:
        if self._line is not None:
            covered = Covered(at=position.at, lsn=position.lsn)
            await asyncio.to_thread(self._catalogue.cover, self._line.id, covered)
            self.covered_at = position.at


def _reached(now: LogPosition, wanted: LogPosition) -> bool:
    """Whether the receiver has, on the disk, everything up to where the log was at `wanted`."""
    return now.received is not None and lsn_of(now.received) >= lsn_of(wanted.lsn)
