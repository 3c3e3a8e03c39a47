"""The loop of the service: at each tick look, receive, take a base when one is due, thin out, tell.

Between two ticks, which start processes, it only asks the database how far the received log is.

the database away        said once, tried again at the next tick
another database         nothing is taken, and the check fails, until the operator decides
a line that broke        the slot and the receiver begin anew, and a base is due at once
anything else wrong      said, and tried again: `barman check` keeps failing meanwhile
"""

import asyncio
import contextlib
import math
import shutil
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from prometheus_client import start_http_server

from deploy.backup.keeping import files, state
from deploy.backup.keeping.barman import Barman, BarmanFailed, Base
from deploy.backup.keeping.database import AWAY, Look, look, make_role
from deploy.backup.keeping.figures import Figures
from deploy.backup.keeping.place import SERVER, Place
from flynn.domain.errors import FlynnError
from flynn.telemetry.logging import get_logger

WATCH_SECONDS = 5.0
"""Between two looks at how far the received log is."""

RETRY = timedelta(minutes=5)
"""How long after a base that could not be taken the next is tried."""

ROOM_BYTES = 256_000_000
LOG_BYTES = 10_000_000
"""Barman's own log is moved aside at that size; one of before is kept."""

_log = get_logger("flynn.backup")


class Service:
    """Keeps one database backed up, until it is stopped."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.barman = Barman(place)
        self.figures = Figures()
        self._state = state.read(place)
        self._bases: list[Base] | None = None
        """As they were last listed; None before the first time."""
        self._since = datetime.now(UTC)
        self.figures.age.set_function(self._age)
        self._not_before = datetime.min.replace(tzinfo=UTC)
        self._told = ""
        self._role = False

    async def run(self, stopped: asyncio.Event) -> None:
        """Tick until `stopped`; then the receiver ends in order."""
        if self.place.metrics_port:
            start_http_server(self.place.metrics_port, registry=self.figures.registry)
        loop = asyncio.get_running_loop()
        while not stopped.is_set():
            await self._attempt(self.tick)
            until = loop.time() + self.place.tick_seconds
            while (left := until - loop.time()) > 0 and not stopped.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stopped.wait(), min(left, WATCH_SECONDS))
                    break
                await self._attempt(self.watch)
        try:
            await self._barman("receive-wal", "--stop", SERVER)
        except BarmanFailed as error:
            _log.warning("the receiver was not running at the end", said=str(error))

    async def tick(self) -> None:
        """Look at everything once. Raises what AWAY names, BarmanFailed, FlynnError."""
        if self._bases is None:
            self._bases = await asyncio.to_thread(self.barman.bases)
        if not self._role:
            await make_role(self.place)
            self._role = True
            _log.info("the database knows the role that receives its log")
        await self._receive(await look(self.place))
        await self._barman("cron")
        self._bases = await asyncio.to_thread(self.barman.bases)
        now = await look(self.place)
        self._keep(self._state.cover(now).without(self._bases))
        if self.barman.unfinished:
            for name in await asyncio.to_thread(self.barman.clear):
                _log.warning("a base that was cut off is removed", base=name)
        due = self._due(now.at)
        if due and now.at >= self._not_before:
            await self.take(now)
            due = False
        elif self._bases and not files.has_archive(self.place, self._bases[-1].id):
            await self._archive(self._bases[-1])  # it was cut off, or the disk was full
        await asyncio.to_thread(self._thin_out)
        self._measure(now.at)
        await asyncio.to_thread(self.figures.weigh, self.place.home)
        if not due:  # else the next attempt says how it is
            self._tell("")

    async def watch(self) -> None:
        """See how far the received log is. Raises what AWAY names."""
        if self._role and (line := self._state.line) is not None:
            now = await look(self.place)
            known = (self._state.system_identifier, line.timeline)
            if known == (now.system_identifier, now.timeline) and now.slot and not now.lost:
                self._keep(self._state.cover(now))
            self._measure(now.at)

    async def take(self, now: Look) -> None:
        """Take a base, compare it with its checksums and archive the files. Raises BarmanFailed and more."""
        # Counts until the end says otherwise.
        self._not_before = now.at + RETRY
        free = shutil.disk_usage(self.place.home).free
        try:
            if free < (needed := round(now.bytes * 1.2) + ROOM_BYTES):
                raise BarmanFailed(f"a base takes up to {needed:,} bytes, and {free:,} are free")  # noqa: TRY301
            _log.info("a base is being taken")
            await self._barman("backup", "--wait", "--wait-timeout", "120", SERVER, seconds=None)
            self._bases = await asyncio.to_thread(self.barman.bases)
            newest = self._bases[-1]
            await self._barman("verify-backup", SERVER, newest.id, seconds=None)
            entries = await self._archive(newest)
        except (BarmanFailed, FlynnError, IndexError):
            self.figures.taken.labels("failed").inc()
            raise
        self.figures.taken.labels("taken").inc()
        self._not_before = datetime.min.replace(tzinfo=UTC)
        _log.info("a base was taken and verified", base=newest.id, bytes=newest.bytes, files=entries)

    async def _archive(self, base: Base) -> int:
        """Pack the files beside `base`; how many there are. Raises BarmanFailed, FlynnError."""
        try:
            bundled = await asyncio.to_thread(files.archive, self.place, base.id)
        except OSError as error:
            raise BarmanFailed(f"workspaces cannot be archived: {error.strerror or error}") from error
        for name in bundled.skipped:
            _log.warning("a file of a workspace was left out of the backup", name=name)
        return bundled.entries

    async def _receive(self, found: Look) -> None:
        """See that the log is received, on a line that has no gap."""
        known, line = self._state, self._state.line
        if known.system_identifier and known.system_identifier != found.system_identifier:
            raise BarmanFailed(
                "this is another database than the one whose backups are here, so it is not backed up: "
                "restore that one, or give the service a new volume (docs/backup.md)"
            )
        if line is None:
            if not found.slot:
                await self._barman("receive-wal", "--create-slot", SERVER)
            self._keep(known.begin(found))
            _log.info("the database's log is received from here on", timeline=found.timeline)
            # The segment that is being written ends, so that there is one to be archived for the check.
            await self._barman("cron")
            await self._barman("switch-wal", "--force", "--archive", "--archive-timeout", "60", SERVER)
            return
        if found.timeline == line.timeline and found.slot and not found.lost:
            return
        reason = (
            "the database was restored"
            if found.timeline != line.timeline
            else "the server no longer holds the log that was to be received next"
        )
        _log.error("the received log breaks here; a new base follows at once", reason=reason)
        await self._quietly("receive-wal", "--stop", SERVER)
        await self._quietly("archive-wal", SERVER)
        await asyncio.to_thread(self._keep_tail, line)
        if found.slot:
            await self._barman("receive-wal", "--drop-slot", SERVER)
        await self._barman("receive-wal", "--create-slot", SERVER)
        await self._barman("receive-wal", "--reset", SERVER)
        self._keep(known.begin(found))
        self._not_before = datetime.min.replace(tzinfo=UTC)

    def _keep_tail(self, line: state.Line) -> None:
        """Put the segment that was being received aside: `--reset` removes it, and its seconds with it."""
        kept = self.place.tails / line.name
        try:
            for partial in (self.place.server / "streaming").glob("*.partial"):
                kept.mkdir(mode=0o700, exist_ok=True)
                partial.rename(kept / partial.name)
        except OSError as error:
            raise BarmanFailed(f"the end of a line cannot be kept: {error.strerror or error}") from error

    def _due(self, now: datetime) -> bool:
        standing = self._state.standing(-1, self._bases or []) if self._state.line else ()
        return not standing or now >= standing[-1].ended_at + timedelta(hours=self.place.hours)

    def _thin_out(self) -> None:
        # One that a command beside us is taking is none of Barman's whole ones yet.
        names = {path.name for path in (self.place.server / "base").glob("*")}
        lines = {line.name for line in self._state.lines}
        try:
            gone = files.thin_out(self.place, names) if self._bases else []
            for tail in self.place.tails.iterdir():
                if tail.name not in lines:
                    shutil.rmtree(tail)
            barman_log = self.place.home / "barman.log"
            if barman_log.exists() and barman_log.stat().st_size > LOG_BYTES:
                barman_log.replace(self.place.home / "barman.log.1")
        except OSError as error:
            raise BarmanFailed(f"old archives cannot be removed: {error.strerror}") from error
        for name in gone:
            _log.info("an archive of files went with its base", base=name)

    def _age(self) -> float:
        """Of the newest base, in seconds; where there is none, for how long there should have been one."""
        if self._bases is None:
            return math.nan
        lines = self._state.lines
        began = lines[0].began_at if lines else self._since
        newest = self._bases[-1].ended_at if self._bases else began
        return (datetime.now(UTC) - newest).total_seconds()

    def _measure(self, now: datetime) -> None:
        self.figures.lag.set(self._state.lag_seconds(now))

    def _keep(self, new: state.State) -> None:
        if new != self._state:
            self._state = new
            try:
                state.write(self.place, new)
            except OSError as error:
                raise BarmanFailed(f"the state cannot be kept: {error.strerror or error}") from error

    async def _attempt(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except AWAY as error:
            self._role = False  # it may come back as one that does not know us
            self._tell(f"the database cannot be asked: {error or type(error).__name__}")
        except (BarmanFailed, FlynnError) as error:
            self._tell(str(error))

    def _tell(self, trouble: str) -> None:
        """Say what is wrong, once, and when it is over."""
        if trouble and trouble != self._told:
            _log.error("backups are not as they should be", reason=trouble)
        elif not trouble and self._told:
            _log.info("backups are as they should be again")
        self._told = trouble

    async def _barman(self, *words: str, seconds: float | None = 120.0) -> str:
        return await asyncio.to_thread(self.barman.run, *words, seconds=seconds)

    async def _quietly(self, *words: str) -> None:
        try:
            await self._barman(*words)
        except BarmanFailed as error:
            _log.info("Barman had nothing to end", said=str(error))
