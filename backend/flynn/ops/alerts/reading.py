"""A reading: what a process's own metrics say at a moment, and of its requests over the last minutes."""

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

UNASKED = frozenset({"/health", "/ready", "/metrics"})
"""Routes of machines that ask again and again: they are no measure of what clients get."""

REQUESTS = "flynn_http_requests_total"
BUCKETS = "flynn_http_request_seconds_bucket"
CENSUS = "flynn_census_up"
OF_THE_DATABASE = frozenset({"flynn_queue_age_seconds", "flynn_runs_stuck"})

Samples = Mapping[str, Sequence[tuple[Mapping[str, str], float]]]
"""Samples by metric: labels and value."""


def read_samples(registry: CollectorRegistry, names: Iterable[str]) -> Samples:
    """The samples of these metrics as they are now."""
    found: dict[str, list[tuple[Mapping[str, str], float]]] = {}
    for family in registry.restricted_registry(list(names)).collect():
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests of a while: how many, how many failed, and by upper bound how many were as quick as that."""

    requests: float = 0.0
    errors: float = 0.0
    buckets: Mapping[float, float] | None = None

    @classmethod
    def of(cls, samples: Samples) -> "Traffic":
        """All requests since the process began."""
        requests = errors = 0.0
        for labels, value in samples.get(REQUESTS, ()):
            if labels["route"] not in UNASKED:
                requests += value
                errors += value if labels["status"].startswith("5") else 0.0
        buckets: dict[float, float] = {}
        for labels, value in samples.get(BUCKETS, ()):
            if labels["route"] not in UNASKED:
                bound = float(labels["le"])
                buckets[bound] = buckets.get(bound, 0.0) + value
        return cls(requests, errors, buckets)

    def since(self, earlier: "Traffic") -> "Traffic":
        """What came after `earlier`."""
        before = earlier.buckets or {}
        return Traffic(
            self.requests - earlier.requests,
            self.errors - earlier.errors,
            {bound: count - before.get(bound, 0.0) for bound, count in (self.buckets or {}).items()},
        )

    def quantile(self, share: float) -> float | None:
        """The seconds within which `share` of them were answered, None when there were none.

        Between two bounds it is interpolated, and never above the last finite one, as Prometheus does.
        """
        bounds = sorted((self.buckets or {}).items())
        if not bounds or bounds[-1][1] <= 0:
            return None
        rank = share * bounds[-1][1]
        below_bound = below = 0.0
        for bound, count in bounds:
            if count >= rank:
                if math.isinf(bound):
                    return below_bound
                return below_bound + (bound - below_bound) * (rank - below) / max(count - below, 1e-9)
            below_bound, below = bound, count
        return below_bound


class Window:
    """Keeps what was counted over the last `seconds`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._kept: deque[tuple[float, Traffic]] = deque()
        self._before = Traffic()  # counters begin at zero with the process

    def add(self, at: float, traffic: Traffic) -> Traffic:
        """Take what was counted until `at` (in seconds of any clock); gives what came within the window."""
        self._kept.append((at, traffic))
        while self._kept[0][0] <= at - self._seconds:
            self._before = self._kept.popleft()[1]
        return traffic.since(self._before)


@dataclass(frozen=True, slots=True)
class Reading:
    """The samples of now, and the requests of the window."""

    samples: Samples
    traffic: Traffic = Traffic()

    def figures(self, name: str, label: str | None = None, **wanted: frozenset[str]) -> dict[str, float]:
        """The largest value of a gauge by the value of `label`; what is NaN is not known, and left out.

        `wanted` are the values that other labels may have.
        """
        found: dict[str, float] = {}
        for labels, value in self.samples.get(name, ()):
            if math.isnan(value) or any(labels[key] not in allowed for key, allowed in wanted.items()):
                continue
            subject = labels[label] if label else ""
            found[subject] = max(value, found.get(subject, value))
        return found

    def without_database(self) -> "Reading":
        """The same when whoever asks the database has not come back."""
        kept = {name: found for name, found in self.samples.items() if name not in OF_THE_DATABASE}
        return Reading({**kept, CENSUS: [({}, 0.0)]}, self.traffic)
