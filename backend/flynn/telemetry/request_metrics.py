"""Counts what clients ask: requests over HTTP and calls over Socket.IO, in labels that no client chooses."""

from prometheus_client import Counter, Histogram

from flynn.telemetry.metrics import OTHER, Metrics

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestMetrics:
    """Requests and calls of one process. Routes and names of calls are the caller's to bound."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        # Looking a series up by its labels costs more than counting, so those that were used are kept.
        self._counters: dict[tuple[str, str, int], Counter] = {}
        self._times: dict[tuple[str, str], Histogram] = {}

    def answered(self, method: str, route: str, status: int, seconds: float | None) -> None:
        """An HTTP request was answered: after `seconds`, None where the time says nothing."""
        if method not in METHODS:
            method = OTHER
        counter = self._counters.get((method, route, status))
        if counter is None:
            counter = self._metrics.http_requests.labels(method, route, status)
            self._counters[method, route, status] = counter
        counter.inc()
        if seconds is None:
            return
        times = self._times.get((method, route))
        if times is None:
            times = self._times[method, route] = self._metrics.http_seconds.labels(method, route)
        times.observe(seconds)

    def called(self, call: str, outcome: str, seconds: float) -> None:
        """A call over Socket.IO has ended: ok, refused or failed."""
        self._metrics.socket_calls.labels(call, outcome).inc()
        self._metrics.socket_call_seconds.labels(call).observe(seconds)
