"""The sampler: what this process does, every STEP_SECONDS, kept here and in the database for all to read.

It takes part in no request and is no part of /ready. While the database is away samples are kept here, for
KEPT_SECONDS, and written when it is back: a slow or lost write costs the view a moment, never a count.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from flynn.domain.readiness import Part
from flynn.domain.sample import KEPT_SECONDS, STEP_SECONDS, Detail, ProcessKind, Sample
from flynn.ops.sampling import counts_of, gauges_of, routes_of, totals_of
from flynn.ops.scrape import Scrape
from flynn.store import samples as table
from flynn.store.database import Database
from flynn.store.outage import OUTAGES
from flynn.telemetry.logging import get_logger
from flynn.telemetry.reading import Reading, read

PATIENCE = 2.0
"""Seconds that a write may take before it counts as not done."""

AT_ONCE = 40
"""Samples of one statement: after a long outage a slow database takes some in time, and later the others."""

FAREWELL = 0.5
"""The same at the process's end, which is not to wait for a database that is away."""

PART_LETTERS = 500
"""Letters of what a part says of itself that are kept."""


def slot_of(at: datetime) -> datetime:
    """The latest slot that is not after `at`."""
    seconds = int(at.timestamp())
    return datetime.fromtimestamp(seconds - seconds % STEP_SECONDS, UTC)


class Sampler:
    """Takes samples. Run `run` beside whatever the process does."""

    def __init__(
        self,
        scrape: Scrape,
        database: Database,
        *,
        kind: ProcessKind,
        version: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._scrape = scrape
        self._database = database
        self._kind = kind
        self._version = version
        self._now = now
        self._before = Reading()
        self._saved: datetime | None = None
        self._ring: deque[Sample] = deque(maxlen=KEPT_SECONDS // STEP_SECONDS)
        self._log = get_logger("flynn.ops.sampler")
        self.process_id: UUID = uuid4()
        self.started_at = self._since = now()

    @property
    def ring(self) -> tuple[Sample, ...]:
        """The samples of this process, the oldest first."""
        return tuple(self._ring)

    async def run(self) -> None:
        """Take samples until cancelled."""
        while True:
            now = self._now()
            until = slot_of(now) + timedelta(seconds=STEP_SECONDS) - now
            await asyncio.sleep(until.total_seconds())
            await self.sample()

    async def sample(self, *, last: bool = False) -> None:
        """Take a sample and try to keep it. Nothing is taken twice in a slot; the counts wait for the next.

        The last one goes to the slot that is to come.
        """
        at = self._now()
        slot = slot_of(at) + timedelta(seconds=STEP_SECONDS if last else 0)
        if self._ring and slot <= self._ring[-1].slot:
            return
        if not last:
            await self._scrape.refresh()
        reading = read(self._scrape.registry)
        # A clock that was set back has no seconds for us.
        grown, seconds = reading.grown(self._before), max((at - self._since).total_seconds(), 0.0)
        self._before, self._since = reading, at
        routes, counts = routes_of(grown), counts_of(grown)
        self._ring.append(
            Sample(
                process_id=self.process_id,
                slot=slot,
                totals=totals_of(routes, counts, reading, seconds),
                detail=Detail(
                    kind=self._kind,
                    version=self._version,
                    started_at=self.started_at,
                    ended=last,
                    routes=routes,
                    counts=counts,
                    gauges=gauges_of(reading, grown, seconds),
                    parts=tuple(map(_short, self._scrape.parts)),
                ),
            )
        )
        await self._keep(FAREWELL if last else PATIENCE)

    async def _keep(self, patience: float) -> None:
        """Write what is not written. A table that has lost the last one has lost all: it is filled again."""
        try:
            async with asyncio.timeout(patience), self._database.statement() as connection:
                if self._saved is not None and not await table.kept(connection, self.process_id, self._saved):
                    self._saved = None
                missing = [s for s in self._ring if self._saved is None or s.slot > self._saved]
                for start in range(0, len(missing), AT_ONCE):
                    written = missing[start : start + AT_ONCE]
                    await table.save(connection, written)
                    self._saved = written[-1].slot
        except OUTAGES as error:
            self._log.debug("samples wait for the database", error=str(error))


@asynccontextmanager
async def sampling(sampler: Sampler) -> AsyncIterator[None]:
    """Take samples while the block lasts, and a last one at its end, of what was done since."""
    task = asyncio.create_task(sampler.run())
    try:
        yield
    finally:
        task.cancel()
        (ended,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(ended, Exception):
            get_logger("flynn.ops.sampler").error("no more samples were taken", exc_info=ended)
        await sampler.sample(last=True)


def _short(part: Part) -> Part:
    if part.detail is None or len(part.detail) <= PART_LETTERS:
        return part
    return part.model_copy(update={"detail": part.detail[:PART_LETTERS] + "…"})
