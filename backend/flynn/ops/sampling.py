"""What becomes a sample: two readings of a process's metrics, put into the words of flynn.domain.sample."""

from collections.abc import Iterable, Iterator, Mapping

from flynn.domain.sample import Gauges, RouteCounts, Took, Totals
from flynn.telemetry.reading import Reading

COUNTED: Mapping[str, tuple[str, ...]] = {
    "flynn_messages_total": (),
    "flynn_runs_ended_total": ("state",),
    "flynn_takeovers_total": (),
    "flynn_steps_total": (),
    "flynn_model_calls_total": ("outcome",),
    "flynn_model_retries_total": (),
    "flynn_model_breaker_opened_total": ("model",),
    "flynn_tokens_total": ("class",),
    "flynn_dollars_total": (),
    "flynn_tool_calls_total": ("tool", "outcome"),
    "flynn_slow_clients_total": (),
    "flynn_publishes_lost_total": (),
}
"""Counters that are kept, and the labels by which they are told apart; they are summed over the others."""

REQUESTS, TOOK = "flynn_http_requests_total", "flynn_http_request_seconds_bucket"
GONE = 499
"""The status of requests that got no answer since the client left: nobody refused them."""


def counts_of(grown: Reading) -> dict[str, dict[str, float]]:
    """The counters of COUNTED that grew, each by its labels joined with a space."""
    found: dict[str, dict[str, float]] = {}
    for (name, labels), value in grown.values.items():
        kept = COUNTED.get(name)
        if kept is not None and value > 0:
            given, by = dict(labels), found.setdefault(name, {})
            label = " ".join(given[one] for one in kept)
            by[label] = by.get(label, 0.0) + value
    return found


def routes_of(grown: Reading) -> dict[str, RouteCounts]:
    """Requests by method and route, such as `GET /api/v1/tasks`."""
    found: dict[str, dict[str, int]] = {}
    for labels, value in grown.labelled(REQUESTS):
        if value > 0:
            counts = found.setdefault(_route(labels), {"requests": 0, "errors": 0, "refused": 0})
            counts["requests"] += round(value)
            status = int(labels["status"])
            if status >= 500:
                counts["errors"] += round(value)
            elif status >= 400 and status != GONE:
                counts["refused"] += round(value)
    took = _took(grown)
    return {
        name: RouteCounts(**found.get(name, {}), took=took.get(name, {}))
        for name in sorted(found.keys() | took.keys())
    }


def _route(labels: Mapping[str, str]) -> str:
    return f"{labels['method']} {labels['route']}"


def _took(grown: Reading) -> dict[str, Took]:
    cumulative: dict[str, list[tuple[float, float]]] = {}
    for labels, value in grown.labelled(TOOK):
        cumulative.setdefault(_route(labels), []).append((float(labels["le"]), value))
    apart = {name: dict(_apart(sorted(buckets))) for name, buckets in cumulative.items()}
    return {name: took for name, took in apart.items() if took}


def _apart(buckets: Iterable[tuple[float, float]]) -> Iterator[tuple[str, int]]:
    """A bucket of Prometheus counts the shorter ones too; ours count their own."""
    low, below = 0.0, 0.0
    for high, value in buckets:
        if count := round(value - below):
            yield f"{low:g}:{high:g}", count
        low, below = high, value


def totals_of(
    routes: Mapping[str, RouteCounts], counts: Mapping[str, Mapping[str, float]], now: Reading, seconds: float
) -> Totals:
    """What the charts need."""
    together = RouteCounts()
    for route in routes.values():
        together = together.plus(route)
    up = now.value("flynn_census_up") == 1
    states = {labels["state"]: round(value) for labels, value in now.labelled("flynn_runs")} if up else {}
    return Totals(
        seconds=round(seconds, 3),
        all_routes=together,
        dollars=sum(counts.get("flynn_dollars_total", {}).values()),
        steps=round(sum(counts.get("flynn_steps_total", {}).values())),
        queued=states.get("queued"),
        running=states.get("running"),
        waiting=states.get("waiting"),
        queue_age=now.value("flynn_queue_age_seconds") if up else None,
    )


def gauges_of(now: Reading, grown: Reading, seconds: float) -> Gauges:
    """How the process is."""
    cpu = grown.value("process_cpu_seconds_total")
    return Gauges(
        memory_bytes=_whole(now.value("process_resident_memory_bytes")),
        cpu=None if cpu is None or seconds <= 0 else round(cpu / seconds, 3),
        pool_in_use=_whole(now.value("flynn_pool_in_use")),
        pool_size=_whole(now.value("flynn_pool_size")),
        loop_lag=now.value("flynn_loop_lag_seconds"),
        runs_held=_whole(now.value("flynn_runs_held")) or 0,
        sockets=_whole(now.value("flynn_sockets")) or 0,
        watched=_whole(now.value("flynn_watched_conversations")) or 0,
        disks={labels["place"]: value for labels, value in now.labelled("flynn_disk_used_ratio")},
        breakers={
            labels["model"]: labels["state"]
            for labels, value in now.labelled("flynn_model_breaker")
            if value == 1
        },
        runs_stuck=_whole(now.value("flynn_runs_stuck")),
        backup_age=now.value("flynn_backup_age_seconds"),
        backup_lag=now.value("flynn_backup_lag_seconds"),
        backup_bytes=_whole(now.value("flynn_backup_bytes")),
    )


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)
