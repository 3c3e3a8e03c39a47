"""The record of what was asked and answered, for tests and latency benches."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

import orjson

from flynn.domain.content import Json


@dataclass(slots=True)
class Record:
    """One request. Times are `time.monotonic()` seconds, comparable between processes of one machine."""

    number: int
    request_id: str
    at: datetime
    method: str
    path: str
    headers: dict[str, str]
    """Without the key."""
    received: float
    """When the first byte of the request was read."""
    body: bytes | None = b""
    """The request's body; None once newer ones needed its room."""
    digest: str | None = None
    """sha256 of the body, worked out when it is asked for or the body is dropped."""
    key_digest: str | None = None
    """The first 12 hex digits of the key's sha256."""
    scenario: str | None = None
    turn: int | None = None
    attempt: int | None = None
    fault: str | None = None
    status: int | None = None
    error: str | None = None
    stop_reason: str | None = None
    message_id: str | None = None
    usage: dict[str, Json] | None = None
    warnings: list[str] = field(default_factory=list)
    decided: float | None = None
    """When the answer was ready to be sent, before any pacing."""
    first_byte: float | None = None
    """When the first byte of the answer was handed to the socket."""
    last_byte: float | None = None
    """When the last byte of the answer was handed to the socket; None while it is being sent."""
    client_left: bool = False

    def body_digest(self) -> str:
        """sha256 of the body, in hex."""
        if self.digest is None:
            self.digest = sha256(self.body or b"").hexdigest()
        return self.digest

    def json(self, *, bodies: bool) -> dict[str, object]:
        """The record as JSON; `body` as it was sent, where it is JSON, else as text."""
        view: dict[str, object] = {
            "number": self.number,
            "request_id": self.request_id,
            "at": self.at,
            "method": self.method,
            "path": self.path,
            "headers": self.headers,
            "key_digest": self.key_digest,
            "digest": self.body_digest(),
            "scenario": self.scenario,
            "turn": self.turn,
            "attempt": self.attempt,
            "fault": self.fault,
            "status": self.status,
            "error": self.error,
            "stop_reason": self.stop_reason,
            "message_id": self.message_id,
            "usage": self.usage,
            "warnings": self.warnings,
            "received": self.received,
            "decided": self.decided,
            "first_byte": self.first_byte,
            "last_byte": self.last_byte,
            "client_left": self.client_left,
        }
        if bodies:
            try:
                view["body"] = orjson.loads(self.body) if self.body else None
            except orjson.JSONDecodeError:
                view["body"] = (self.body or b"").decode("utf-8", "replace")
        return view


class Records:
    """The latest records, `size` of them, and the latest bodies, `body_bytes` in all.

    Numbers count on when old records fall out.
    """

    def __init__(self, size: int, body_bytes: int) -> None:
        self._ring: deque[Record] = deque(maxlen=size)
        self._bodies: deque[Record] = deque()
        self._room = body_bytes
        self._held = 0
        self._count = 0

    def __iter__(self) -> Iterator[Record]:
        return iter(self._ring)

    def open(
        self,
        *,
        request_id: str,
        at: datetime,
        method: str,
        path: str,
        headers: dict[str, str],
        received: float,
    ) -> Record:
        """Begin the record of a request."""
        self._count += 1
        shown = {n: v for n, v in headers.items() if n not in {"authorization", "x-api-key"}}
        record = Record(self._count, request_id, at, method, path, shown, received)
        self._ring.append(record)
        return record

    def keep(self, record: Record, body: bytes) -> None:
        """Keep the body of a request, and drop the oldest ones when there is no room."""
        record.body = body
        self._bodies.append(record)
        self._held += len(body)
        while self._held > self._room and len(self._bodies) > 1:
            oldest = self._bodies.popleft()
            oldest.body_digest()
            self._held -= len(oldest.body or b"")
            oldest.body = None

    def after(self, number: int) -> list[Record]:
        """The records whose number is greater than `number`, oldest first."""
        return [record for record in self._ring if record.number > number]

    def reset(self) -> None:
        """Forget all records; numbers count on."""
        self._ring.clear()
        self._bodies.clear()
        self._held = 0
