"""The coalescer: the first words at once, later ones in small packets."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from flynn.domain.delta import Delta

INTERVAL = 0.030
"""Seconds in which deltas of one block are gathered."""

SIZE = 512
"""Bytes (UTF-8) that are sent without waiting for the interval to end."""


@dataclass(slots=True)
class _Window:
    """One conversation's interval: opened by a delta that went out, holding what came since."""

    timer: asyncio.TimerHandle
    waiting: Delta | None = None
    pieces: list[str] = field(default_factory=list)
    end: int = 0
    size: int = 0

    def continues(self, delta: Delta) -> bool:
        """Whether `delta` is the next piece of what waits."""
        before = self.waiting
        return (
            before is not None
            and delta.offset == self.end
            and delta.block == before.block
            and delta.kind == before.kind
            and delta.call_id == before.call_id
            and delta.step == before.step
            and delta.epoch == before.epoch
        )


class Coalescer:
    """Merges deltas on their way to `send`, which must not raise. Order within a conversation is kept.

    The first delta after a pause goes out at once and opens an interval; what comes within it is merged
    and goes out when the interval ends, when it has grown to `size` bytes, or when another block begins.
    """

    def __init__(
        self, send: Callable[[Delta], None], *, interval: float = INTERVAL, size: int = SIZE
    ) -> None:
        self._send = send
        self._interval = interval
        self._size = size
        self._windows: dict[UUID, _Window] = {}

    def add(self, delta: Delta) -> None:
        """Take a delta. Must be called on the event loop."""
        window = self._windows.get(delta.conversation_id)
        if window is None:
            self._send(delta)
            self._open(delta.conversation_id)
            return
        if window.waiting is not None and not window.continues(delta):
            self._release(window)
        if window.waiting is None:
            window.waiting, window.end = delta, delta.offset
        window.pieces.append(delta.text)
        window.end += len(delta.text)
        window.size += len(delta.text.encode("utf-8", "surrogatepass"))
        if window.size >= self._size:
            self.flush(delta.conversation_id)
            self._open(delta.conversation_id)

    def flush(self, conversation_id: UUID) -> None:
        """Send what waits of a conversation and close its interval."""
        window = self._windows.pop(conversation_id, None)
        if window is not None:
            window.timer.cancel()
            self._release(window)

    def close(self) -> None:
        """Send everything that waits."""
        for conversation_id in list(self._windows):
            self.flush(conversation_id)

    def _open(self, conversation_id: UUID) -> None:
        loop = asyncio.get_running_loop()
        self._windows[conversation_id] = _Window(
            loop.call_later(self._interval, self._interval_ended, conversation_id)
        )

    def _interval_ended(self, conversation_id: UUID) -> None:
        sent = self._windows[conversation_id].waiting is not None
        self.flush(conversation_id)
        if sent:
            self._open(conversation_id)

    def _release(self, window: _Window) -> None:
        if window.waiting is None:
            return
        delta = window.waiting.model_copy(update={"text": "".join(window.pieces)})
        window.waiting, window.size = None, 0
        window.pieces.clear()
        self._send(delta)
