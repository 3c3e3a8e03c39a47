"""The history: samples of several processes by slot, for charts."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from flynn.domain.operations import Point
from flynn.domain.sample import STEP_SECONDS, Number, RouteCounts, Totals, quantile
from flynn.ops.figures import together


def history_of(totals: Sequence[tuple[datetime, Totals]]) -> list[Point]:
    """A point for each slot of which anybody has a sample, the oldest first."""
    slots: dict[datetime, list[Totals]] = defaultdict(list)
    for slot, each in totals:
        slots[slot].append(each)
    return [_point(slot, each) for slot, each in sorted(slots.items())]


def _point(slot: datetime, each: Sequence[Totals]) -> Point:
    routes = together(t.all_routes for t in each)

    def rate(count: Callable[[RouteCounts], int]) -> float:
        return round(sum(count(t.all_routes) / max(t.seconds, STEP_SECONDS) for t in each), 3)

    return Point(
        at=slot,
        requests_per_second=rate(lambda c: c.requests),
        errors_per_second=rate(lambda c: c.errors),
        refused_per_second=rate(lambda c: c.refused),
        p50_seconds=quantile(routes.took, 0.5),
        p95_seconds=quantile(routes.took, 0.95),
        dollars=sum(t.dollars for t in each),
        steps=sum(t.steps for t in each),
        queued=_most(t.queued for t in each),
        running=_most(t.running for t in each),
        waiting=_most(t.waiting for t in each),
        queue_age_seconds=_most(t.queue_age for t in each),
    )


def _most(values: Iterable[Number | None]) -> Number | None:
    return max((value for value in values if value is not None), default=None)
