"""This worker's presence: that it lives, and which volumes it has mounted, said again while it does.

Admission leaves runs alone whose volume nobody has; so whenever this worker appears, for the first time
or after the database was away, admission is run again.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from uuid import uuid4

from flynn.store.admission import AdmissionLimits, admit
from flynn.store.database import Database
from flynn.store.mounts import know_volumes, renew_mounts, sign_off, sign_on
from flynn.store.outage import OUTAGES
from flynn.telemetry.logging import get_logger
from flynn.workspace.volume import Volume

BEAT_SECONDS = 5.0
"""How often the presence is renewed; see `flynn.store.mounts.LIVE_SECONDS`."""

LOOK_SECONDS = 0.5
"""How often it looks whether the queue gave it another number."""

LEAVE_SECONDS = 1.0
"""How long an ending worker tries to say that it goes."""


class Presence:
    """Says what this worker has. `begin` first, then `run` until cancelled, then `end`."""

    def __init__(
        self,
        database: Database,
        *,
        volumes: Sequence[Volume],
        admission: AdmissionLimits,
        concurrency: int,
        number: Callable[[], int | None],
    ) -> None:
        """`number` gives the worker's number in the queue's tables, None while it has none."""
        self._database = database
        self._concurrency = concurrency
        self._number = number
        self._said: int | None = None
        self._volumes = volumes
        self._admission = admission
        self._worker_id = uuid4()
        self._log = get_logger("flynn.worker.presence")

    async def begin(self) -> None:
        """Say it for the first time, and where each volume is here."""
        async with self._database.begin() as connection:
            await know_volumes(connection, [(v.id, v.root) for v in self._volumes], move=True)
        await self.renew()

    async def renew(self) -> None:
        """Say it again; admit what waited for this worker."""
        number = self._number()
        async with self._database.begin() as connection:
            await sign_on(connection, self._worker_id, number=number, concurrency=self._concurrency)
            if await renew_mounts(connection, self._worker_id, [v.id for v in self._volumes]):
                await admit(connection, self._admission)
        self._said = number

    async def run(self) -> None:
        """Renew until cancelled; a database that is away is told later."""
        loop = asyncio.get_running_loop()
        last = loop.time()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self._number() == self._said and loop.time() - last < BEAT_SECONDS:
                continue
            last = loop.time()
            try:
                await self.renew()
            except OUTAGES as error:
                self._log.warning("the worker's volumes cannot be announced", error=str(error))

    async def end(self) -> None:
        """Say that this worker goes; without an answer its rows age."""
        with suppress(*OUTAGES, TimeoutError):
            async with asyncio.timeout(LEAVE_SECONDS), self._database.begin() as connection:
                await sign_off(connection, self._worker_id)
