"""The numbers of the service: the samples of all processes, added up into one answer.

Counts are summed over processes, latencies merged by bucket, what every process says of the whole service
taken at its largest. So it does not matter which process is asked. Without the database the answer is made
of this process's own samples, and says so.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta

from flynn import __version__
from flynn.domain.operations import (
    WINDOW_SECONDS,
    ClientFigures,
    OperationsView,
    ProcessFigures,
    RequestFigures,
)
from flynn.domain.sample import (
    STEP_SECONDS,
    ProcessKind,
    Sample,
    Totals,
)
from flynn.ops.figures import (
    backups_of,
    busiest,
    count,
    counts_of,
    figures_of,
    largest,
    model_of,
    parts_of,
    routes_of,
    runs_of,
    together,
    work_of,
)
from flynn.ops.history import history_of
from flynn.ops.sampler import PATIENCE, Sampler, sampling, slot_of
from flynn.ops.scrape import Scrape
from flynn.store import samples as table
from flynn.store.database import Database
from flynn.store.outage import OUTAGES
from flynn.telemetry.logging import get_logger

SETTLE = timedelta(seconds=5)
"""How long after a slot's end all processes have written theirs: it is not shown before."""

ALIVE = timedelta(seconds=3 * STEP_SECONDS)
"""A process without a sample for so long is not shown among those that are there."""

AWAY = (
    "The database does not answer, so these are the numbers of the process that answered, alone; what the "
    "others counted is added when the database is back."
)

_WINDOW = timedelta(seconds=WINDOW_SECONDS)


class Numbers:
    """Answers what the numbers are, from the samples of `sampler` and those in the database."""

    def __init__(
        self,
        sampler: Sampler,
        database: Database,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._sampler = sampler
        self._database = database
        self._now = now
        self._log = get_logger("flynn.ops.numbers")
        self._told: dict[int, OperationsView] = {}
        self._asking = asyncio.Lock()

    async def view(self, minutes: int) -> OperationsView:
        """The numbers now, and the history of so many minutes. Takes PATIENCE and a moment at most.

        Nothing in them changes within a slot, so however many ask, the database is asked once.
        """
        async with self._asking:
            until = slot_of(self._now() - SETTLE)
            told = self._told.get(minutes)
            if told is not None and told.at == until:
                return told
            found = await self._ask(until, minutes)
            if found.whole:
                self._told = {m: view for m, view in self._told.items() if view.at == until}
                self._told[minutes] = found
            return found

    def forget(self) -> None:
        """Ask the database again."""
        self._told.clear()

    async def _ask(self, until: datetime, minutes: int) -> OperationsView:
        since, window = until - timedelta(minutes=minutes), until - _WINDOW
        try:
            async with asyncio.timeout(PATIENCE), self._database.statement() as connection:
                totals = await table.read_totals(connection, after=since, until=until)
                recent = await table.read_samples(connection, after=window, until=until)
        except OUTAGES as error:
            self._log.debug("the database does not answer for the numbers", error=str(error))
            ring = [s for s in self._sampler.ring if s.slot <= until]
            totals = [(s.slot, s.totals) for s in ring if s.slot > since]
            recent = [s for s in ring if s.slot > window]
            return self._put_together(until, totals, recent, whole=False)
        return await asyncio.to_thread(self._put_together, until, totals, recent, whole=True)

    def _put_together(
        self,
        until: datetime,
        totals: Sequence[tuple[datetime, Totals]],
        recent: Sequence[Sample],
        *,
        whole: bool,
    ) -> OperationsView:
        seconds = _covered(until, recent)
        routes = routes_of(recent)
        counts = counts_of(recent)
        newest = {s.process_id: s for s in recent}
        living = [s for s in newest.values() if not s.detail.ended and until - s.slot < ALIVE]
        return OperationsView(
            at=until,
            whole=whole,
            detail=None if whole else AWAY,
            window_seconds=seconds,
            step_seconds=STEP_SECONDS,
            requests=RequestFigures(**figures_of(together(routes.values()), seconds)),
            routes=busiest(routes, seconds),
            runs=runs_of(living),
            work=work_of(counts),
            model=model_of(counts, living),
            clients=ClientFigures(
                sockets=sum(s.detail.gauges.sockets for s in living),
                watched=sum(s.detail.gauges.watched for s in living),
                slow_disconnects=count(counts, "flynn_slow_clients_total"),
                publishes_lost=count(counts, "flynn_publishes_lost_total"),
            ),
            processes=[self._process(s) for s in sorted(living, key=lambda s: s.detail.started_at)],
            disks=largest(s.detail.gauges.disks for s in living),
            backups=backups_of(living),
            parts=parts_of(living),
            history=history_of(totals),
        )

    def _process(self, sample: Sample) -> ProcessFigures:
        gauges = sample.detail.gauges
        return ProcessFigures(
            id=sample.process_id,
            kind=sample.detail.kind,
            version=sample.detail.version,
            started_at=sample.detail.started_at,
            sampled_at=sample.slot,
            answers=sample.process_id == self._sampler.process_id,
            memory_bytes=gauges.memory_bytes,
            cpu=gauges.cpu,
            pool_in_use=gauges.pool_in_use,
            pool_size=gauges.pool_size,
            loop_lag_seconds=gauges.loop_lag,
            runs_held=gauges.runs_held,
            sockets=gauges.sockets,
        )


@asynccontextmanager
async def open_numbers(
    scrape: Scrape, database: Database, *, kind: ProcessKind, sampled: bool
) -> AsyncIterator[Numbers]:
    """The numbers of the service, among them those of this process where it is `sampled`."""
    sampler = Sampler(scrape, database, kind=kind, version=__version__)
    async with AsyncExitStack() as stack:
        if sampled:
            await stack.enter_async_context(sampling(sampler))
        yield Numbers(sampler, database)


def _covered(until: datetime, recent: Sequence[Sample]) -> float:
    """How much of the window somebody was there to count, in seconds."""
    if not recent:
        return 0.0
    first = min(s.slot - timedelta(seconds=s.totals.seconds) for s in recent)
    return min((until - first).total_seconds(), float(WINDOW_SECONDS))
