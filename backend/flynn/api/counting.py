"""The count of answers: each by method, route and status, and how long it took to begin.

A route is counted by its template (`/api/v1/tasks/{task_id}`), never by the path that was asked for, so that
no client can make series: what has no route is `other`. Streams and requests that wait are marked in their
scope (`untimed`), and left out of the times. It refuses to know what is asked or who asks.
"""

import time

from starlette.types import Scope

from flynn.telemetry.logging import get_logger
from flynn.telemetry.metrics import OTHER
from flynn.telemetry.request_metrics import RequestMetrics

GONE = 499
"""The status of a request that was never answered: the client left, or the process ended (nginx's code)."""

SLOW_SECONDS = 5.0
"""An answer that took longer to begin is worth a line in the log."""

SOCKETS = "/socket.io/"
QUIET = frozenset({"/health", "/ready", "/metrics"})
"""What is asked every few seconds by machines; it stands in no log."""

_API = "/api/v1"
_UNTIMED = "flynn.untimed"
_log = get_logger("flynn.access")


def untimed(scope: Scope) -> None:
    """Say that this request is to take long: it waits for something, or streams."""
    scope[_UNTIMED] = True


class Counting:
    """Counts the requests of one process."""

    def __init__(self, metrics: RequestMetrics) -> None:
        self._metrics = metrics

    def begin(self, scope: Scope) -> "Counted":
        """A request has come."""
        return Counted(self._metrics, scope)

    def refused_socket(self, status: int) -> None:
        """A WebSocket was refused. One that is let in is a connection, and no request."""
        self._metrics.answered("GET", SOCKETS, status, None)


class Counted:
    """One request. `answered` or `gone` follows, once."""

    __slots__ = ("_metrics", "_scope", "_since")

    def __init__(self, metrics: RequestMetrics, scope: Scope) -> None:
        self._metrics = metrics
        self._scope = scope
        self._since = time.perf_counter()

    def whole(self) -> None:
        """Its body is there: what came before was the client's and the network's time."""
        self._since = time.perf_counter()

    def answered(self, status: int) -> None:
        """Its answer begins now."""
        scope = self._scope
        route = _route(scope)
        seconds = time.perf_counter() - self._since
        timed = route != SOCKETS and _UNTIMED not in scope
        self._metrics.answered(scope["method"], route, status, seconds if timed else None)
        if route in QUIET:
            return
        if timed and seconds >= SLOW_SECONDS:
            _log.info("an answer took long", **_facts(scope, status, seconds))
        elif _log.on_debug:
            _log.debug("answered", **_facts(scope, status, seconds))

    def gone(self) -> None:
        """It gets no answer."""
        self._metrics.answered(self._scope["method"], _route(self._scope), GONE, None)
        if _log.on_debug:
            _log.debug("not answered", **_facts(self._scope, GONE, time.perf_counter() - self._since))


def _route(scope: Scope) -> str:
    """The template of the route that was found for a request."""
    route = scope.get("route")
    if route is None:
        return SOCKETS if scope["path"].startswith("/socket.io") else OTHER
    template: str = route.path_format
    # A route knows its path from its own router on; this is the only prefix that there is.
    return _API + template if scope["path"].startswith(_API + "/") else template


def _facts(scope: Scope, status: int, seconds: float) -> dict[str, object]:
    # Without the query: it may hold a key.
    return {
        "method": scope["method"],
        "path": scope["path"],
        "status": status,
        "milliseconds": round(seconds * 1000, 1),
    }
