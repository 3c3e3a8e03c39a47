"""Levels of the log while the service runs: every process looks every few seconds at what holds.

What holds is in the database, so it reaches every process of the service, one that starts later too. While
the database is away, what was read last holds, and ends when it is to end.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import cast

from flynn.domain.log_level import LogLevel, LogLevelOrder, LogLevelSet, LogLevelView
from flynn.store import log_levels as store
from flynn.store.database import Database
from flynn.store.log_levels import Level
from flynn.store.outage import OUTAGES
from flynn.telemetry.logging import get_logger, override_levels

LOOK_SECONDS = 3.0
PATIENCE = 2.0

_log = get_logger(__name__)


class LogLevels:
    """Reads and changes them. `configured` is LOG_LEVEL of this process."""

    def __init__(self, database: Database, *, configured: LogLevel) -> None:
        self._database = database
        self._configured = configured
        self._found: list[tuple[Level, float]] = []
        """What was read last, with the second of the monotonic clock at which each ends."""
        self._applied: dict[str, str] = {}

    async def run(self) -> None:
        """Follow what holds, for ever."""
        while True:
            try:
                async with asyncio.timeout(PATIENCE), self._database.statement() as connection:
                    self._take(await store.read_levels(connection))
            except OUTAGES as error:
                _log.debug("the levels of the log cannot be read", error=str(error))
            self._apply()
            await asyncio.sleep(LOOK_SECONDS)

    async def view(self) -> LogLevelView:
        """How it stands."""
        async with self._database.statement() as connection:
            self._take(await store.read_levels(connection))
        return self._show()

    async def set(self, order: LogLevelOrder, *, by: str) -> LogLevelView:
        """Change a level: here at once, elsewhere within seconds. Raises Conflict when there are too many."""
        seconds = order.minutes * 60 if order.minutes is not None else None
        async with self._database.begin() as connection:
            await store.set_level(connection, order.logger or "", order.level, seconds=seconds, by=by)
            self._take(await store.read_levels(connection))
        said = {"to": order.level, "logger_name": order.logger or "all", "minutes": order.minutes, "by": by}
        _log.warning("the level of the log is changed", **said)
        return self._show()

    async def reset(self, logger: str | None, *, by: str) -> LogLevelView:
        """Take back the level of one logger, or of all of them."""
        async with self._database.begin() as connection:
            gone = await store.remove_level(connection, logger)
            self._take(await store.read_levels(connection))
        if gone:
            _log.warning("the level of the log is as configured again", logger_name=logger or "all", by=by)
        return self._show()

    def _take(self, found: Sequence[Level]) -> None:
        now = time.monotonic()
        self._found = [(one, now + one.seconds if one.seconds is not None else float("inf")) for one in found]

    def _apply(self) -> None:
        now = time.monotonic()
        levels = {one.logger: one.level for one, ends in self._found if ends > now}
        if levels != self._applied:
            override_levels(levels)
            self._applied = levels
            _log.info("other levels of the log hold now", levels=levels or "as configured")

    def _show(self) -> LogLevelView:
        self._apply()
        return LogLevelView(
            level=cast(LogLevel, self._applied.get("", self._configured)),
            configured=self._configured,
            items=[
                LogLevelSet(
                    logger=one.logger or None,
                    level=cast(LogLevel, one.level),
                    until=one.until,
                    set_at=one.set_at,
                    set_by=one.set_by,
                )
                for one, _ in self._found
            ],
        )


@asynccontextmanager
async def followed_levels(database: Database, *, configured: LogLevel) -> AsyncIterator[LogLevels]:
    """Follow the levels while the block lasts; then what is configured holds again."""
    levels = LogLevels(database, configured=configured)
    following = asyncio.create_task(levels.run(), name="log levels")
    try:
        yield levels
    finally:
        following.cancel()
        await asyncio.wait([following])
        override_levels({})
