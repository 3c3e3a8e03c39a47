"""The clock: queues waiting runs whose time has come, and runs whose job was lost.

Every process has one; the conversation's lock and a second look keep them from doing anything twice.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.domain import events as ev
from flynn.store import runs
from flynn.store.admission import AdmissionLimits, admit
from flynn.store.database import Database
from flynn.store.outage import OUTAGES
from flynn.telemetry.crash_point import reach
from flynn.telemetry.logging import get_logger
from flynn.worker.endings import queue_waiting

DUE_SECONDS = 0.5
"""How often due runs are looked for."""
RECONCILE_EVERY = 10
"""Every how many looks stranded runs are looked for too, and admission is run again."""


class Clock:
    """Wakes runs. `publish` is handed what was committed."""

    def __init__(
        self,
        database: Database,
        *,
        admission: AdmissionLimits,
        publish: Callable[[Sequence[ev.Recorded]], None],
    ) -> None:
        self._database = database
        self._admission = admission
        self._publish = publish
        self._log = get_logger("flynn.worker.clock")

    async def run(self) -> None:
        """Look until cancelled; a database that is away is looked at again later."""
        look = 0
        while True:
            await asyncio.sleep(DUE_SECONDS)
            look += 1
            try:
                await self.wake()
                if look % RECONCILE_EVERY == 0:
                    await self.reconcile()
            except OUTAGES as error:
                self._log.warning("the clock cannot reach the database", error=str(error))

    async def wake(self) -> int:
        """Queue every waiting run whose time has come; returns how many."""
        return await self._queue(runs.due_runs)

    async def reconcile(self) -> int:
        """Queue every admitted run that the queue engine does not know, and admit what may run."""
        stranded = await self._queue(runs.stranded_runs)
        async with self._database.begin() as connection:
            await admit(connection, self._admission)
        return stranded

    async def _queue(self, find: Callable[[AsyncConnection], Awaitable[list[UUID]]]) -> int:
        async with self._database.statement() as connection:
            found = await find(connection)
        for run_id in found:
            async with self._database.begin() as connection:
                recorded = await queue_waiting(connection, run_id, self._admission)
                reach("wake.before-commit")
            reach("wake.after-commit")
            self._publish(recorded)
        return len(found)
