"""The right to act on runs: how long it surely holds, and how a run's handler learns that it is gone.

A worker keeps its row in the database warm with heartbeats. Others take its jobs when the last one is
older than the lease. What a heartbeat confirms counts from before it was sent, less a margin in which
whatever still acts is stopped: so a worker always stops before another starts. Seconds are those of
CLOCK_BOOTTIME, which goes on while the machine sleeps, as the lease does.
"""

import asyncio
import time
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from flynn.domain.errors import LeaseLost


def boot_time() -> float:
    """Seconds since the machine started, sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Ending(StrEnum):
    """Why a handler was cancelled."""

    SHUTDOWN = "the worker is shutting down"
    LOST = "another worker has the job"
    UNCONFIRMED = "the lease could not be confirmed in time"


@dataclass(slots=True, kw_only=True)
class WorkerLease:
    """The lease of one registration of a worker; `valid_until` is on CLOCK_BOOTTIME."""

    worker_id: int
    seconds: float
    margin: float
    valid_until: float = 0.0

    def confirm(self, sent: float) -> None:
        """The database knew us by a statement sent at `sent`."""
        self.valid_until = max(self.valid_until, sent + self.seconds - self.margin)

    def holds(self) -> bool:
        """Whether it is certain that nobody else has our jobs."""
        return boot_time() < self.valid_until


@dataclass(slots=True, kw_only=True, eq=False)
class Claim:
    """One delivery of a run to a handler. `confirm` and `deadline` may be called from any thread.

    `attempt` counts deliveries of the job from 1. `lost` is set when the lease is gone or may be;
    `ending` says why the handler is being cancelled, for a shutdown too.
    """

    run_id: UUID
    job_id: int
    attempt: int
    lease: WorkerLease
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    ending: Ending | None = None

    @property
    def worker(self) -> str:
        """Who holds the job: the worker's number in the queue's tables."""
        return str(self.lease.worker_id)

    @property
    def handed_back(self) -> bool:
        """Whether the job goes back to the queue because the worker ends, in order."""
        return self.ending is Ending.SHUTDOWN

    def deadline(self) -> float:
        """The CLOCK_BOOTTIME second after which nothing may act, unless a heartbeat moves it."""
        return self.lease.valid_until

    def confirm(self) -> None:
        """Raise LeaseLost unless it is certain now that the run is this handler's."""
        if self.ending is not None:
            raise LeaseLost(f"Nothing may act for this run here any more: {self.ending}.")
        if not self.lease.holds():
            raise LeaseLost(f"Nothing may act for this run here any more: {Ending.UNCONFIRMED}.")

    def end(self, ending: Ending) -> None:
        """Note why the handler is being cancelled; the first reason stays."""
        self.ending = self.ending or ending
        if ending is not Ending.SHUTDOWN:
            self.lost.set()
