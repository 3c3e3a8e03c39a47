"""Metrics: what one process counts and measures, for Prometheus to read.

Each service has one `Metrics` with a registry of its own, handed down to whoever knows something. Labels
are bounded: models are those with a price, tools those that there are, the rest are closed sets. Nothing
here names a conversation, a key or a workspace. docs/metrics.md is made of `described`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

# They would double the number of series for a time that nobody asks for.
disable_created_metrics()  # type: ignore[no-untyped-call] # prometheus_client leaves it bare

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_QUICK = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_ANSWERS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_LONG = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)

OTHER = "other"
"""The label of a tool that there is not: the model may call anything."""


@dataclass(frozen=True, slots=True)
class Described:
    """A metric as the documentation shows it."""

    name: str
    kind: str
    labels: tuple[str, ...]
    sentence: str


class Metrics:
    """The metrics of one process. `tools` are the names that a tool's label may have."""

    def __init__(self, *, tools: Iterable[str] = (), version: str = "") -> None:
        self.registry = CollectorRegistry()
        self.described: list[Described] = []
        self._tools = frozenset(tools)
        ProcessCollector(registry=self.registry)
        self.build = self._gauge(
            "flynn_build_info", "Always 1; the label says which version runs.", "version"
        )
        self.build.labels(version).set(1)

        # The parts and the work, asked for at each scrape.
        self.parts = self._gauge(
            "flynn_part_state", "1 for the state that a part of /ready is in, else 0.", "part", "state"
        )
        self.runs = self._gauge("flynn_runs", "Runs that are not over, in the whole service.", "state")
        self.queue_depth = self._gauge(
            "flynn_queue_depth", "Runs that wait for a worker, in the whole service."
        )
        self.queue_age = self._gauge(
            "flynn_queue_age_seconds", "How long the run that has waited longest for a worker has waited."
        )
        self.runs_stuck = self._gauge(
            "flynn_runs_stuck",
            "Running runs of the whole service that nobody seems to drive: their worker is silent and none "
            "took them over, or their log has stood still for a quarter of an hour.",
        )
        self.census_up = self._gauge(
            "flynn_census_up", "1 when the database answered for the figures of the whole service, else 0."
        )
        self.pool_in_use = self._gauge("flynn_pool_in_use", "Database connections that are in use here.")
        self.pool_size = self._gauge(
            "flynn_pool_size", "Database connections that this process may have, those under load included."
        )
        self.disk_used = self._gauge(
            "flynn_disk_used_ratio",
            "How full the file system of a place is, from 0 to 1, as df counts it; of several volumes the "
            "fullest. A place that does not answer is left out.",
            "place",
        )
        self.loop_lag = self._gauge(
            "flynn_loop_lag_seconds",
            "How late the event loop was at its latest within the last 15 seconds.",
        )
        self.log_level = self._gauge(
            "flynn_log_level",
            "Least severity that is logged here: 10 debug, 20 info, 30 warning, 40 error.",
        )
        self.runs_held = self._gauge("flynn_runs_held", "Runs that this process's worker drives now.")
        self.watched = self._gauge("flynn_watched_conversations", "Conversations that clients follow here.")

        # Runs.
        self.messages = self._counter("flynn_messages", "Messages that were accepted here.")
        self.ended = self._counter("flynn_runs_ended", "Runs that came to their end here.", "state")
        self.waits = self._counter("flynn_run_waits", "Times that a run let go of its worker here.", "reason")
        self.claims = self._counter("flynn_claims", "Runs that this worker took.")
        self.takeovers = self._counter(
            "flynn_takeovers", "Runs that this worker took over because another one was lost under them."
        )
        self.interrupt_seconds = self._histogram(
            "flynn_interrupt_seconds",
            "From the commit of interrupt.requested to that of run.cancelled, of runs that a worker held.",
            _QUICK,
        )

        # The model.
        self.steps = self._counter("flynn_steps", "Model calls whose answer was adopted.", "model")
        self.calls = self._counter(
            "flynn_model_calls",
            "Model calls by how they ended; ok, or the reason of step.failed.",
            "model",
            "outcome",
        )
        self.retries = self._counter("flynn_model_retries", "Model calls that repeat a failed one.", "model")
        self.call_seconds = self._histogram(
            "flynn_model_call_seconds", "How long answers took that were adopted.", _LONG, "model"
        )
        self.first_token_seconds = self._histogram(
            "flynn_model_first_token_seconds", "How long their first tokens took.", _QUICK, "model"
        )
        self.breaker = self._gauge(
            "flynn_model_breaker",
            "1 for the state of the breaker of a model that was called here, else 0.",
            "model",
            "state",
        )
        self.breaker_opened = self._counter(
            "flynn_model_breaker_opened", "Times that a model was found not to answer.", "model"
        )
        self.tokens = self._counter(
            "flynn_tokens", "Tokens that were paid, by what they cost.", "model", "class"
        )
        self.dollars = self._counter(
            "flynn_dollars",
            "Dollars that were charged; by usage, or for failed calls also by prompt or worst_case.",
            "model",
            "settlement",
        )

        # Tools.
        self.tool_calls = self._counter(
            "flynn_tool_calls", "Calls of tools by how they ended.", "tool", "outcome"
        )
        self.tool_seconds = self._histogram(
            "flynn_tool_seconds", "How long calls of tools took.", _LONG, "tool"
        )

        # Clients.
        self.http_requests = self._counter(
            "flynn_http_requests",
            "HTTP requests that were answered here; 499 are those that got no answer since the client left, "
            "`other` is the route of those that none was found for, or that were refused before.",
            "method",
            "route",
            "status",
        )
        self.http_seconds = self._histogram(
            "flynn_http_request_seconds",
            "From a request's body to the beginning of its answer; without streams, sockets, and requests "
            "that ask to wait.",
            _ANSWERS,
            "method",
            "route",
        )
        self.socket_calls = self._counter(
            "flynn_socket_calls",
            "Calls over Socket.IO by how they ended: ok, refused (the caller's matter) or failed (ours).",
            "call",
            "outcome",
        )
        self.socket_call_seconds = self._histogram(
            "flynn_socket_call_seconds",
            "How long calls over Socket.IO took, the wait for earlier ones of their client included.",
            _ANSWERS,
            "call",
        )
        self.callbacks = self._counter(
            "flynn_callbacks",
            "Posts to callbacks of tasks by what became of them, and callbacks that were given up (dead).",
            "outcome",
        )
        self.alert_posts = self._counter(
            "flynn_alert_posts", "Posts to FLYNN_ALERT_URL by what became of them.", "outcome"
        )
        self.sockets = self._gauge("flynn_sockets", "Socket.IO connections that are open here.")
        self.slow_clients = self._counter(
            "flynn_slow_clients", "Clients that were disconnected because they read too slowly."
        )
        self.publishes_lost = self._counter(
            "flynn_publishes_lost",
            "Publications that did not reach Redis; other processes find the events in the log.",
        )

        # Backups of the embedded database.
        self.backups = self._counter(
            "flynn_backups", "Backups that were begun here, by how they ended.", "outcome"
        )
        self.backup_age = self._gauge(
            "flynn_backup_age_seconds", "How old the newest backup is; NaN while there is none."
        )
        self.backup_lag = self._gauge(
            "flynn_backup_lag_seconds",
            "How far the kept log is behind: what a lost disk would cost. NaN while none is kept.",
        )
        self.backup_bytes = self._gauge(
            "flynn_backup_bytes", "What all backups take on the disk, their log included."
        )

    def tool(self, name: str) -> str:
        """The label of a tool."""
        return name if name in self._tools else OTHER

    def text(self) -> bytes:
        """Everything in Prometheus's text format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, sentence: str, *labels: str) -> Counter:
        self.described.append(Described(f"{name}_total", "counter", labels, sentence))
        return Counter(name, sentence, labels, registry=self.registry)

    def _gauge(self, name: str, sentence: str, *labels: str) -> Gauge:
        self.described.append(Described(name, "gauge", labels, sentence))
        return Gauge(name, sentence, labels, registry=self.registry)

    def _histogram(self, name: str, sentence: str, buckets: Iterable[float], *labels: str) -> Histogram:
        self.described.append(Described(name, "histogram", labels, sentence))
        return Histogram(name, sentence, labels, registry=self.registry, buckets=tuple(buckets))
