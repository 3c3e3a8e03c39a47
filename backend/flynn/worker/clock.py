"""The clock: wakes waiting and delayed runs whose time has come, and queues runs again whose job was lost.

Every process has one; the conversation's lock and a second look keep them from doing anything twice.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.domain import events as ev
from flynn.store import standing
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
HASTE_SECONDS = 5.0
"""Seconds over which the runs that waited for a model are spread that answers again."""


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
        self._hasten = False
        self._log = get_logger("flynn.worker.clock")

    def model_answers(self) -> None:
        """The model is back: at the next look, runs that wait for it are given an earlier time."""
        self._hasten = True

    async def run(self) -> None:
        """Look until cancelled; a database that is away is looked at again later."""
        look = 0
        while True:
            await asyncio.sleep(DUE_SECONDS)
            look += 1
            try:
                if self._hasten:
                    await self.hasten()
                await self.wake()
                if look % RECONCILE_EVERY == 0:
                    await self.reconcile()
            except OUTAGES as error:
                self._log.warning("the clock cannot reach the database", error=str(error))

    async def hasten(self) -> int:
        """Let runs that wait for the model wake soon, one after the other; returns how many."""
        async with self._database.statement() as connection:
            found = await standing.hasten_runs(connection, within=HASTE_SECONDS)
        self._hasten = False
        if found:
            self._log.info("runs that waited for the model go on", runs=len(found))
        return len(found)

    async def wake(self) -> int:
        """Queue every waiting run whose time has come, and let delayed ones start; returns how many."""
        woken = await self._queue(standing.due_runs)
        async with self._database.statement() as connection:
            if not await standing.any_delayed(connection):
                return woken
        async with self._database.begin() as connection:
            due = await standing.come_due(connection)
            if due:
                await admit(connection, self._admission)
        return woken + len(due)

    async def reconcile(self) -> int:
        """Queue admitted runs again that the queue engine lost or nobody can serve; admit what may run.

        Returns how many were queued again.
        """
        stranded = await self._queue(standing.stranded_runs) + await self._queue(standing.unserved_runs)
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
