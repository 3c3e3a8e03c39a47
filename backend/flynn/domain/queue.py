"""The queue as it is shown: what waits, for what, what runs, and who works."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from flynn.domain.run import RunState


class _View(BaseModel):
    model_config = ConfigDict(frozen=True)


class QueueTotals(_View):
    """Open runs of everybody, and worker processes that gave a sign of life a moment ago."""

    queued: int
    running: int
    waiting: int
    workers: int


class QueueLine(_View):
    """Runs in one state, of one queue, for one reason."""

    queue: str = Field(description="`default`, or `vol:` and the id of the volume where the workspace lies")
    state: RunState
    reason: str | None = Field(
        description="Queued, what it waits for: delayed (its time), worker (a free one), volume-away, "
        "workspace (another run has it), branch (another task is at work on it), principal-limit, "
        "total-limit, next (admission). Waiting: as in the run. Running: null, or worker when its worker is "
        "gone and no other has it yet"
    )
    runs: int


class QueueServed(_View):
    """A queue, and how many workers serve it."""

    queue: str
    queued: int
    running: int
    waiting: int
    workers: int


class QueueLimits(_View):
    """The settings that bound the queue: FLYNN_TOTAL_RUNS, FLYNN_PRINCIPAL_RUNS, …"""

    total_runs: int
    principal_runs: int
    queue_depth: int
    principal_queue_depth: int


class WorkerView(_View):
    """A worker process; `holds` are the runs that it is at."""

    id: UUID
    started_at: datetime
    silent_seconds: float
    concurrency: int
    volumes: list[UUID]
    holds: list[UUID]


class QueueView(_View):
    """The queue. With an admin's key `lines`, `queues` and the age are of all runs, else of one's own."""

    at: datetime
    everything: bool
    totals: QueueTotals
    oldest_queued_seconds: float | None = Field(description="Of runs whose time has come; null without any")
    lines: list[QueueLine]
    queues: list[QueueServed]
    limits: QueueLimits
    workers: list[WorkerView] = Field(description="Empty without an admin's key")
