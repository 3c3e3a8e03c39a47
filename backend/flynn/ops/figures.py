"""Figures of a window: what samples of several processes say together."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from flynn.domain.operations import (
    BackupFigures,
    ModelFigures,
    RouteFigures,
    RunFigures,
    ToolFigures,
    WorkFigures,
)
from flynn.domain.readiness import Part
from flynn.domain.sample import RouteCounts, Sample, added, quantile

MOST_ROUTES = 50

_STATES = ("ok", "degraded", "down")
_BREAKERS = ("closed", "half_open", "open")


def routes_of(recent: Iterable[Sample]) -> dict[str, RouteCounts]:
    """Requests by method and route."""
    found: dict[str, RouteCounts] = {}
    for sample in recent:
        for name, counts in sample.detail.routes.items():
            found[name] = found[name].plus(counts) if name in found else counts
    return found


def together(counts: Iterable[RouteCounts]) -> RouteCounts:
    """All of them in one."""
    found = RouteCounts()
    for each in counts:
        found = found.plus(each)
    return found


def counts_of(recent: Iterable[Sample]) -> dict[str, dict[str, float]]:
    """Counts by metric and label."""
    by_name: dict[str, list[Mapping[str, float]]] = defaultdict(list)
    for sample in recent:
        for name, counts in sample.detail.counts.items():
            by_name[name].append(counts)
    return {name: added(each) for name, each in by_name.items()}


def count(counts: Mapping[str, Mapping[str, float]], name: str) -> int:
    """All that a metric counted, whatever its labels."""
    return round(sum(counts.get(name, {}).values()))


def _whole(counts: Mapping[str, Mapping[str, float]], name: str) -> dict[str, int]:
    return {label: round(amount) for label, amount in sorted(counts.get(name, {}).items())}


def figures_of(counts: RouteCounts, seconds: float) -> dict[str, float | int | None]:
    """The fields of RequestFigures, of what happened within so many seconds."""
    return {
        "requests": counts.requests,
        "per_second": round(counts.requests / seconds, 3) if seconds else 0.0,
        "errors": counts.errors,
        "refused": counts.refused,
        "error_ratio": counts.errors / counts.requests if counts.requests else None,
        "p50_seconds": quantile(counts.took, 0.5),
        "p95_seconds": quantile(counts.took, 0.95),
    }


def busiest(routes: Mapping[str, RouteCounts], seconds: float) -> list[RouteFigures]:
    """The MOST_ROUTES routes with the most requests."""
    ordered = sorted(routes.items(), key=lambda item: (-item[1].requests, item[0]))
    found = []
    for name, counts in ordered[:MOST_ROUTES]:
        method, _, route = name.partition(" ")
        found.append(RouteFigures(method=method, route=route, **figures_of(counts, seconds)))
    return found


def runs_of(living: Sequence[Sample]) -> RunFigures | None:
    """What the newest samples say of the whole service; several say nearly the same, and the most counts."""
    said = [s.totals for s in living if s.totals.queued is not None]
    stuck = [s.detail.gauges.runs_stuck for s in living if s.detail.gauges.runs_stuck is not None]
    if not said:
        return None
    return RunFigures(
        queued=max(t.queued or 0 for t in said),
        running=max(t.running or 0 for t in said),
        waiting=max(t.waiting or 0 for t in said),
        stuck=max(stuck, default=None),
        queue_age_seconds=max(t.queue_age or 0.0 for t in said),
    )


def work_of(counts: Mapping[str, Mapping[str, float]]) -> WorkFigures:
    """What was done."""
    calls = _whole(counts, "flynn_tool_calls_total")
    return WorkFigures(
        messages=count(counts, "flynn_messages_total"),
        runs_ended=_whole(counts, "flynn_runs_ended_total"),
        takeovers=count(counts, "flynn_takeovers_total"),
        steps=count(counts, "flynn_steps_total"),
        tool_calls=[
            ToolFigures(tool=tool, outcome=outcome, calls=amount)
            for (tool, _, outcome), amount in ((label.partition(" "), n) for label, n in calls.items())
        ],
    )


def model_of(counts: Mapping[str, Mapping[str, float]], living: Sequence[Sample]) -> ModelFigures:
    """What the model was asked; a breaker is as the process has it that is worst off."""
    tokens = _whole(counts, "flynn_tokens_total")
    prompts = sum(amount for name, amount in tokens.items() if name != "output")
    breakers: dict[str, str] = {}
    for sample in living:
        for model, state in sample.detail.gauges.breakers.items():
            breakers[model] = max(breakers.get(model, "closed"), state, key=_BREAKERS.index)
    return ModelFigures(
        calls=_whole(counts, "flynn_model_calls_total"),
        retries=count(counts, "flynn_model_retries_total"),
        tokens=tokens,
        dollars=sum(counts.get("flynn_dollars_total", {}).values()),
        cache_ratio=tokens.get("cache_read", 0) / prompts if prompts else None,
        breakers=breakers,
    )


def largest(each: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """By name, the largest."""
    found: dict[str, float] = {}
    for values in each:
        for name, value in values.items():
            found[name] = max(found.get(name, value), value)
    return found


def backups_of(living: Sequence[Sample]) -> BackupFigures | None:
    """How backups stand, as whoever keeps them says; None when nobody does."""
    kept = [s.detail.gauges for s in living if s.detail.gauges.backup_bytes]
    if not kept:
        return None
    return BackupFigures(
        age_seconds=max((g.backup_age for g in kept if g.backup_age is not None), default=None),
        lag_seconds=max((g.backup_lag for g in kept if g.backup_lag is not None), default=None),
        bytes=max(g.backup_bytes or 0 for g in kept),
    )


def parts_of(living: Sequence[Sample]) -> list[Part]:
    """Each part as the process has it that is worst off."""
    found: dict[str, Part] = {}
    for sample in living:
        for part in sample.detail.parts:
            known = found.get(part.name)
            if known is None or _STATES.index(part.state) > _STATES.index(known.state):
                found[part.name] = part
    return list(found.values())
