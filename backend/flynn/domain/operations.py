"""The numbers of the service as people and programs see them: now, and over the last hour or two."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from flynn.domain.readiness import Part
from flynn.domain.sample import ProcessKind

WINDOW_SECONDS = 300
"""Over how long what is counted "now" is counted."""


class _View(BaseModel):
    model_config = ConfigDict(frozen=True)


class RequestFigures(_View):
    """Requests over the window. Latencies are read off the histogram's buckets, within one by a straight
    line; null without a request. They leave out long polls, streams and sockets.
    """

    requests: int
    per_second: float
    errors: int = Field(description="Answered with 5xx")
    refused: int = Field(description="Answered with 4xx")
    error_ratio: float | None = Field(description="Errors of all requests; null without a request")
    p50_seconds: float | None
    p95_seconds: float | None


class RouteFigures(RequestFigures):
    """Requests of one route."""

    method: str
    route: str = Field(description="The template; `other` where there is none")


class RunFigures(_View):
    """Open runs of the whole service as they are now."""

    queued: int
    running: int
    waiting: int
    stuck: int | None = Field(description="Running, and nobody seems to drive them")
    queue_age_seconds: float = Field(description="How long the one queued first has waited")


class ToolFigures(_View):
    """Calls of one tool that ended one way."""

    tool: str
    outcome: str
    calls: int


class WorkFigures(_View):
    """What was done in the window."""

    messages: int
    runs_ended: dict[str, int] = Field(description="By state")
    takeovers: int
    steps: int
    tool_calls: list[ToolFigures]


class ModelFigures(_View):
    """What the model was asked in the window, and how it is now."""

    calls: dict[str, int] = Field(description="By how they ended: ok, or why they failed")
    retries: int
    tokens: dict[str, int] = Field(description="By what they cost")
    dollars: float
    cache_ratio: float | None = Field(
        description="Tokens of prompts that came from the cache; null without any"
    )
    breakers: dict[str, str] = Field(
        description="By model: closed, half_open or open; the worst of all processes"
    )


class ClientFigures(_View):
    """Clients: those that are connected now, and what happened to some in the window."""

    sockets: int
    watched: int = Field(description="Conversations that they follow")
    slow_disconnects: int
    publishes_lost: int


class ProcessFigures(_View):
    """One process as it was at its last sample."""

    id: UUID
    kind: ProcessKind
    version: str
    started_at: datetime
    sampled_at: datetime
    answers: bool = Field(description="Whether this very answer came from it")
    memory_bytes: int | None
    cpu: float | None = Field(description="Cores that it used, on average")
    pool_in_use: int | None
    pool_size: int | None = Field(description="Database connections that it may have")
    loop_lag_seconds: float | None
    runs_held: int
    sockets: int


class BackupFigures(_View):
    """Backups that the service keeps itself."""

    age_seconds: float | None = Field(description="Of the newest; null while there is none")
    lag_seconds: float | None = Field(description="How far the kept log is behind; null while none is kept")
    bytes: int


class Point(_View):
    """One slot of the history: what happened in the seconds before `at`."""

    at: datetime
    requests_per_second: float
    errors_per_second: float
    refused_per_second: float
    p50_seconds: float | None
    p95_seconds: float | None
    dollars: float
    steps: int
    queued: int | None = Field(description="At that moment; null when the database did not say")
    running: int | None
    waiting: int | None
    queue_age_seconds: float | None


class OperationsView(_View):
    """The numbers. They are the same whichever process is asked: each writes what it counted into the
    database, and the answer adds all of them up.
    """

    at: datetime = Field(description="Up to when things were counted")
    whole: bool = Field(description="False: these are the numbers of the answering process alone")
    detail: str | None = Field(description="Why they are not of the whole service")
    window_seconds: float = Field(description="Over how long; less, when all processes are younger")
    step_seconds: int
    requests: RequestFigures
    routes: list[RouteFigures] = Field(description="The busiest first")
    runs: RunFigures | None = Field(description="null when the database does not say")
    work: WorkFigures
    model: ModelFigures
    clients: ClientFigures
    processes: list[ProcessFigures]
    disks: dict[str, float] = Field(
        description="How full the place is, from 0 to 1; the fullest of all processes"
    )
    backups: BackupFigures | None = Field(description="null while the service keeps none itself")
    parts: list[Part] = Field(description="As in /ready; of several processes the worst")
    history: list[Point] = Field(
        description="One point a step, the oldest first; none where nobody was there"
    )
