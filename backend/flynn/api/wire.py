"""The wire: one WebSocket below Socket.IO, watched frame by frame.

Sees what Engine.IO's own server does not tell: which frames the transport has taken, and which the
client has certainly received (everything before a PING that it answered). It sends PINGs of its own, by
the amount that was sent, so that a busy client confirms often. Frames beyond the limit are answered with a
413 problem, in the acknowledgement if the client asked for one, instead of a silent end.
Frame formats: Engine.IO protocol 4 ("2" PING, "3" PONG, "4" message), Socket.IO protocol 5 ("42" EVENT,
"43" ACK).
"""

import asyncio
import re
from collections import deque
from collections.abc import Callable
from contextlib import suppress

import orjson
from starlette.types import Message, Receive, Send

from flynn.api.problem import problem_of
from flynn.api.window import Window
from flynn.domain.errors import PayloadTooLarge

ASK_AFTER_EVENTS = 64
"""Events after which the wire sends a PING of its own,"""

ASK_AFTER_BYTES = 128 * 1024
"""or bytes."""

MOST_OWED = 256
"""Calls whose acknowledgements the transport has not taken; beyond it nothing more is read."""

_EVENT = re.compile(r"42(?:/[^,]*,)?([0-9]*)\[")
_WITH_ACKNOWLEDGEMENT = re.compile(r"42(?:/[^,]*,)?[0-9]+\[")


def wants_acknowledgement(frame: str) -> bool:
    """Whether a frame is a call that is to be acknowledged."""
    return _WITH_ACKNOWLEDGEMENT.match(frame) is not None


def too_large(frame: str | bytes, most: int) -> bool:
    """Whether a frame has more than `most` bytes (UTF-8)."""
    if len(frame) > most:
        return True
    if isinstance(frame, bytes) or 4 * len(frame) <= most:
        return False
    return len(frame.encode("utf-8", "surrogatepass")) > most


def refusal_of(frame: str | bytes, most: int) -> str:
    """The frame that answers an oversized one in the place of the server, which never sees it."""
    problem = problem_of(PayloadTooLarge(f"A message over Socket.IO may have up to {most} bytes."))
    event = _EVENT.match(frame[:200]) if isinstance(frame, str) else None
    if event is not None and event[1]:
        return f"43{event[1]}{orjson.dumps([{'error': problem}]).decode()}"
    return f"42{orjson.dumps(['problem', problem]).decode()}"


class Wire:
    """Wraps `receive` and `send` of one WebSocket. `cut` ends its connection at once, buffers and all."""

    def __init__(
        self, receive: Receive, send: Send, *, max_bytes: int, cut: Callable[[], None] | None = None
    ) -> None:
        self._receive = receive
        self._send = send
        self._max_bytes = max_bytes
        self._cut = cut
        self._aborted = False
        self._reader: asyncio.Task[object] | None = None
        self._writer: asyncio.Task[object] | None = None
        self._ours: deque[bool] = deque()
        self._unasked_bytes = 0
        self._owed = 0
        self._paid = asyncio.Event()
        self.window = Window()

    def abort(self) -> None:
        """End the connection without waiting for a client that does not read."""
        self.close()
        for task in (self._reader, self._writer):
            if task is not None:
                task.cancel()
        if self._cut is not None:
            self._cut()

    async def finish(self, within: float) -> None:
        """End the connection when what was queued is gone, after `within` seconds at the latest.

        The client is not told over Socket.IO: it takes it for a lost connection, and comes back.
        """
        drained = await self.window.drained(within)
        if self._aborted:
            return
        if not drained:
            self.abort()
            return
        self.close()
        with suppress(OSError):  # it has left meanwhile
            await self._send({"type": "websocket.close", "code": 1012})

    def close(self) -> None:
        """The connection is over: nobody waits for it any more."""
        self._aborted = True
        self._paid.set()
        self.window.close()

    async def receive(self) -> Message:
        """ASGI receive."""
        while True:
            while self._owed >= MOST_OWED and not self._aborted:
                self._paid.clear()
                await self._paid.wait()
            if self._aborted:
                return {"type": "websocket.disconnect", "code": 1008}
            self._reader = asyncio.current_task()
            try:
                message = await self._receive()
            finally:
                self._reader = None
            frame = message.get("text") or message.get("bytes")
            if frame is None:
                return message
            if frame == "3" and self._answered():
                continue
            if too_large(frame, self._max_bytes):
                await self._send({"type": "websocket.send", "text": refusal_of(frame, self._max_bytes)})
                continue
            if isinstance(frame, str) and wants_acknowledgement(frame):
                self._owed += 1
            return message

    async def send(self, message: Message) -> None:
        """ASGI send. Raises OSError after `abort`."""
        if self._aborted:
            raise OSError("the connection was given up")
        self._writer = asyncio.current_task()
        try:
            await self._send(message)
            text = message.get("text")
            if text is None:
                return
            if text.startswith("42"):
                self.window.passed()
                self._unasked_bytes += len(text)
                if self.window.unasked >= ASK_AFTER_EVENTS or self._unasked_bytes >= ASK_AFTER_BYTES:
                    self._ask(ours=True)
                    await self._send({"type": "websocket.send", "text": "2"})
            elif text.startswith("43"):
                self._owed = max(0, self._owed - 1)
                self._paid.set()
            elif text == "2":
                self._ask(ours=False)
        finally:
            self._writer = None

    def _ask(self, *, ours: bool) -> None:
        self._ours.append(ours)
        self._unasked_bytes = 0
        self.window.question()

    def _answered(self) -> bool:
        """Take a PONG; whether it was for a PING that Engine.IO does not know of."""
        if not self._ours:
            return False
        ours = self._ours.popleft()
        self.window.answer()
        return ours
