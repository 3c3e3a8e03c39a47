"""Overtaking: a worker whose database a newer version has migrated hands its runs to that version.

What the newer version writes into the log, this one may not know, and what it bounds, this one does not: so
the worker takes no more runs and hands back those in hand. It refuses to judge by anything but the schema.
"""

import asyncio
from collections.abc import Callable

from flynn.store.database import Database
from flynn.store.migrate import newer_schema, revision
from flynn.store.outage import OUTAGES
from flynn.telemetry.logging import get_logger

LOOK_SECONDS = 2.0


class Overtaking:
    """Looks at the schema; calls `stand_down` once, when it is a newer version's, and ends."""

    def __init__(
        self, database: Database, *, stand_down: Callable[[], None], look_seconds: float = LOOK_SECONDS
    ) -> None:
        self._database = database
        self._stand_down = stand_down
        self._look_seconds = look_seconds
        self._log = get_logger("flynn.worker")

    async def run(self) -> None:
        """Look until cancelled or overtaken; a database that is away is looked at later."""
        while True:
            await asyncio.sleep(self._look_seconds)
            try:
                async with self._database.statement() as connection:
                    found = await revision(connection)
            except OUTAGES as error:
                self._log.warning("the schema cannot be looked at", error=str(error))
                continue
            if (said := newer_schema(found)) is not None:
                self._log.error("this worker is overtaken and takes no more runs", reason=said)
                self._stand_down()
                return
