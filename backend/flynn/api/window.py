"""The window: what was sent to one client and has not been confirmed by it. Counted, and bounded.

An event is *queued* when it is handed to Engine.IO, *passed* when the transport took it, and *confirmed*
when the client has answered something that came after it: a PING on a WebSocket, the next request of a
client that polls. TCP takes megabytes for a client that has stopped reading; hence the confirmation.
"""

import asyncio
from collections import deque
from collections.abc import Callable

MOST_EVENTS = 1024
"""Events that may be unconfirmed; then the sender has to wait."""

MOST_BYTES = 1024 * 1024
"""Bytes (code points, nearly) that may be unconfirmed; the event that goes beyond is the last."""

MOST_QUEUED = 128
"""Events of these that the transport may not even have taken."""


class Window:
    """The ledger of one client. Numbers count its events from 1."""

    __slots__ = (
        "_bytes",
        "_confirmed",
        "_dry",
        "_open",
        "_passed",
        "_questions",
        "_queued",
        "_sizes",
        "asked",
        "on_received",
    )

    def __init__(self) -> None:
        self._queued = 0
        self._passed = 0
        self._confirmed = 0
        self._bytes = 0
        self._sizes: deque[int] = deque()
        self._questions: deque[int] = deque()
        self._open = asyncio.Event()
        self._open.set()
        self._dry = asyncio.Event()
        self._dry.set()
        self.asked = 0
        """The last event that a question was sent after."""
        self.on_received: Callable[[int], None] | None = None
        """Called with the number of the last event that has certainly reached the client."""

    def queued(self, size: int) -> int:
        """Count an event of `size` that is being handed to Engine.IO, before it is; gives its number."""
        self._queued += 1
        self._bytes += size
        self._sizes.append(size)
        self._dry.clear()
        if not self._has_room():
            self._open.clear()
        return self._queued

    def passed(self, events: int = 1) -> None:
        """The transport took further events."""
        self._passed += events
        if self._passed == self._queued:
            self._dry.set()
        self._look()

    def question(self) -> None:
        """Something that the client has to answer was sent, after what has passed so far."""
        self.asked = self._passed
        self._questions.append(self._passed)

    def answer(self) -> None:
        """The client answered its oldest question: what came before it has arrived."""
        if not self._questions:
            return
        arrived = self._questions.popleft()
        while self._confirmed < arrived:
            self._confirmed += 1
            self._bytes -= self._sizes.popleft()
        self._look()
        if self.on_received is not None:
            self.on_received(arrived)

    async def room(self, within: float) -> bool:
        """Wait up to `within` seconds until an event more may be sent; whether it may."""
        if self._open.is_set():
            return True
        try:
            async with asyncio.timeout(within):
                await self._open.wait()
        except TimeoutError:
            return False
        return True

    async def drained(self, within: float) -> bool:
        """Wait up to `within` seconds until the transport has taken everything; whether it has."""
        try:
            async with asyncio.timeout(within):
                await self._dry.wait()
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """The connection is over: nobody waits for it any more."""
        self._open.set()
        self._dry.set()

    @property
    def unasked(self) -> int:
        """Events that have passed since the last question."""
        return self._passed - self.asked

    @property
    def unconfirmed(self) -> int:
        """Events that have not been confirmed, sent or not."""
        return self._queued - self._confirmed

    @property
    def unconfirmed_bytes(self) -> int:
        """Their bytes."""
        return self._bytes

    def _look(self) -> None:
        if not self._open.is_set() and self._has_room():
            self._open.set()

    def _has_room(self) -> bool:
        return (
            self._queued - self._passed < MOST_QUEUED
            and self._queued - self._confirmed < MOST_EVENTS
            and self._bytes < MOST_BYTES
        )
