"""What one process did within a few seconds, and how it was at their end: a sample.

Samples add up: counts over processes and over time, latencies by bucket. They name no conversation, key,
workspace or person, and are bounded: labels are the closed sets of the metrics.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from flynn.domain.readiness import Part

STEP_SECONDS = 15
"""How often each process takes a sample. Slots are whole multiples of it since 1970, so processes agree."""

KEPT_SECONDS = 2 * 3600
"""For how long samples are kept."""

Took = dict[str, int]
"""Latencies: how many lay in a bucket, by its bounds in seconds (`0.1:0.25`, at last `30:inf`)."""

ProcessKind = Literal["serve", "worker"]
Number = TypeVar("Number", int, float)


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True)


class RouteCounts(_Kept):
    """Requests by how they ended. `errors` are 5xx, `refused` 4xx. `took` leaves out what is long by nature:
    long polls, streams and sockets.
    """

    requests: int = 0
    errors: int = 0
    refused: int = 0
    took: Took = Field(default_factory=dict)

    def plus(self, other: "RouteCounts") -> "RouteCounts":
        """Both together."""
        return RouteCounts(
            requests=self.requests + other.requests,
            errors=self.errors + other.errors,
            refused=self.refused + other.refused,
            took=added((self.took, other.took)),
        )


class Totals(_Kept):
    """What the charts need of a sample: all routes together, and the work of the whole service at that
    moment (None when the database did not say).
    """

    seconds: float
    all_routes: RouteCounts = Field(default_factory=RouteCounts)
    dollars: float = 0.0
    steps: int = 0
    queued: int | None = None
    running: int | None = None
    waiting: int | None = None
    queue_age: float | None = None


class Gauges(_Kept):
    """How a process was at a sample's end. None: not known, or there is no such thing."""

    memory_bytes: int | None = None
    cpu: float | None = Field(default=None, description="Cores that it used, on average")
    pool_in_use: int | None = None
    pool_size: int | None = None
    loop_lag: float | None = None
    runs_held: int = 0
    sockets: int = 0
    watched: int = 0
    disks: dict[str, float] = Field(default_factory=dict)
    breakers: dict[str, str] = Field(default_factory=dict)
    runs_stuck: int | None = None
    backup_age: float | None = None
    backup_lag: float | None = None
    backup_bytes: int | None = None


class Detail(_Kept):
    """The rest of a sample. `counts` are by metric, then by its labels joined with a space."""

    kind: ProcessKind
    version: str = ""
    started_at: datetime
    ended: bool = False
    routes: dict[str, RouteCounts] = Field(default_factory=dict)
    counts: dict[str, dict[str, float]] = Field(default_factory=dict)
    gauges: Gauges = Gauges()
    parts: tuple[Part, ...] = ()


class Sample(_Kept):
    """What the process `process_id` did in the `totals.seconds` up to about `slot`."""

    process_id: UUID
    slot: datetime
    totals: Totals
    detail: Detail


def added(counts: Iterable[Mapping[str, Number]]) -> dict[str, Number]:
    """Counts by name, summed."""
    found: dict[str, Number] = {}
    for each in counts:
        for name, count in each.items():
            found[name] = found[name] + count if name in found else count
    return found


def quantile(took: Took, share: float) -> float | None:
    """The latency in seconds below which `share` of them lie; None without any.

    Within its bucket it is as far as a straight line has it; of the last bucket, which has no end, the
    beginning is given.
    """
    buckets = sorted((float(low), float(high), count) for (low, high), count in _bounds(took))
    wanted = share * sum(count for _, _, count in buckets)
    below = 0
    for low, high, count in buckets:
        if count and below + count >= wanted:
            return low if high == float("inf") else low + (high - low) * max(wanted - below, 0) / count
        below += count
    return None


def _bounds(took: Took) -> Iterable[tuple[tuple[str, str], int]]:
    for name, count in took.items():
        low, _, high = name.partition(":")
        yield (low, high), count
