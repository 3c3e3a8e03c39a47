"""A scrape: the metrics as they are now, with what has to be asked for at that moment.

It never fails and never takes long: what the database does not say is left out, and `flynn_census_up` says
so. However many scrapes come, the database is asked every few seconds at most.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence

from prometheus_client import CollectorRegistry, Gauge

from flynn.domain.readiness import Readiness
from flynn.model.breaker import Standing
from flynn.ops.disk import Disks
from flynn.store.census import Census, take_census
from flynn.store.database import Database
from flynn.store.outage import OUTAGES
from flynn.telemetry.logging import current_level, get_logger
from flynn.telemetry.metrics import Metrics

FRESH_SECONDS = 3.0
"""For how long what was asked for counts as current."""
PATIENCE = 2.0

_STATES = ("ok", "degraded", "down")
_BREAKER = ("closed", "half_open", "open")


class Scrape:
    """Fills the gauges of `metrics` in.

    `held` counts the runs of this process, `standings` are those of the models, `disks` the places that it
    lives on, `lag` says how late its event loop was, `measure` fills in what backups say.
    """

    def __init__(
        self,
        metrics: Metrics,
        *,
        database: Database,
        ready: Callable[[], Awaitable[Readiness]],
        held: Callable[[], int] = lambda: 0,
        standings: Callable[[], Sequence[Standing]] = tuple,
        disks: Disks | None = None,
        lag: Callable[[], float] = lambda: 0.0,
        lease_seconds: float = 0.0,
        measure: Callable[[], None] | None = None,
    ) -> None:
        self._metrics = metrics
        self._database = database
        self._ready = ready
        self._held = held
        self._watched: Callable[[], int] = lambda: 0
        self._standings = standings
        self._disks = disks
        self._lag = lag
        self._lease_seconds = lease_seconds
        self._measure = measure
        self._asked_at = -FRESH_SECONDS
        self._asking = asyncio.Lock()
        self._log = get_logger("flynn.ops.scrape")

    def watch(self, watched: Callable[[], int]) -> None:
        """Take the number of conversations that clients follow from `watched`."""
        self._watched = watched

    @property
    def registry(self) -> CollectorRegistry:
        """Where the metrics are; `refresh` makes them current."""
        return self._metrics.registry

    async def text(self) -> bytes:
        """The metrics in Prometheus's text format."""
        await self.refresh()
        return self._metrics.text()

    async def refresh(self) -> None:
        """Make all metrics current."""
        metrics = self._metrics
        metrics.pool_in_use.set(self._database.in_use)
        metrics.pool_size.set(self._database.most)
        metrics.loop_lag.set(self._lag())
        metrics.log_level.set(current_level())
        metrics.runs_held.set(self._held())
        metrics.watched.set(self._watched())
        if self._measure is not None:
            self._measure()
        for standing in self._standings():
            _one_of(metrics.breaker, standing.model, standing.state, _BREAKER)
        async with self._asking:
            if time.monotonic() - self._asked_at >= FRESH_SECONDS:
                await asyncio.gather(self._ask_parts(), self._ask_census(), self._ask_disks())
                self._asked_at = time.monotonic()

    async def _ask_parts(self) -> None:
        for part in (await self._ready()).parts:
            _one_of(self._metrics.parts, part.name, part.state, _STATES)

    async def _ask_disks(self) -> None:
        if self._disks is None:
            return
        found = await asyncio.to_thread(self._disks.ratios, PATIENCE)
        self._metrics.disk_used.clear()
        for place, ratio in found.items():
            self._metrics.disk_used.labels(place).set(ratio)

    async def _ask_census(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE), self._database.statement() as connection:
                census = await take_census(connection, lease_seconds=self._lease_seconds)
        except OUTAGES as error:
            self._log.debug("the database does not answer the scrape", error=str(error))
            self._metrics.census_up.set(0)
            self._metrics.runs.clear()
            self._metrics.queue_depth.set(math.nan)
            self._metrics.queue_age.set(math.nan)
            self._metrics.runs_stuck.set(math.nan)
            return
        self._metrics.census_up.set(1)
        self._show(census)

    def _show(self, census: Census) -> None:
        metrics = self._metrics
        for state in ("queued", "running", "waiting"):
            metrics.runs.labels(state).set(getattr(census, state))
        metrics.queue_depth.set(census.queued)
        metrics.queue_age.set(census.queue_age)
        metrics.runs_stuck.set(census.stuck)


def _one_of(gauge: Gauge, name: str, state: str, states: Sequence[str]) -> None:
    for one in states:
        gauge.labels(name, one).set(one == state)
