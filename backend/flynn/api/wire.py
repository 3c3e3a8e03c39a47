"""The wire: one WebSocket below Socket.IO, watched frame by frame.

Sees what Engine.IO's own server does not tell: which frames the transport has taken, and which the
client has certainly received (everything before a PING that it answered). Frames beyond the limit are
answered with a 413 problem, in the acknowledgement if the client asked for one, instead of a silent end.
Frame formats: Engine.IO protocol 4 ("2" PING, "3" PONG, "4" message), Socket.IO protocol 5 ("42" EVENT).
"""

import asyncio
import re
from collections.abc import Callable

import orjson
from starlette.types import Message, Receive, Send

from flynn.api.problem import problem_of
from flynn.domain.errors import PayloadTooLarge

HIGH_WATER = 128
"""Events on their way to the transport at which the sender has to wait."""

_EVENT = re.compile(r"42(?:/[^,]*,)?([0-9]*)\[")


class Wire:
    """Wraps `receive` and `send` of one WebSocket."""

    def __init__(self, receive: Receive, send: Send, *, max_bytes: int) -> None:
        self._receive = receive
        self._send = send
        self._max_bytes = max_bytes
        self._queued = 0
        self._passed = 0
        self._pinged = 0
        self._room = asyncio.Event()
        self._room.set()
        self._aborted = False
        self._reader: asyncio.Task[object] | None = None
        self._writer: asyncio.Task[object] | None = None
        self.on_received: Callable[[int], None] | None = None
        """Called with a number given by `queued` when that event has certainly reached the client."""

    def queued(self) -> int:
        """Count an event that is being handed to Socket.IO, before it is; gives its number."""
        self._queued += 1
        if self._queued - self._passed >= HIGH_WATER:
            self._room.clear()
        return self._queued

    async def room(self) -> None:
        """Wait until the transport has taken enough of what was queued."""
        await self._room.wait()

    def abort(self) -> None:
        """End the connection without waiting for a client that does not read."""
        self._aborted = True
        self._room.set()
        for task in (self._reader, self._writer):
            if task is not None:
                task.cancel()

    def close(self) -> None:
        """The connection is over: nobody waits for it any more."""
        self._aborted = True
        self._room.set()

    async def receive(self) -> Message:
        """ASGI receive."""
        while True:
            if self._aborted:
                return {"type": "websocket.disconnect", "code": 1008}
            self._reader = asyncio.current_task()
            try:
                message = await self._receive()
            finally:
                self._reader = None
            frame = message.get("text") or message.get("bytes")
            if frame == "3" and self.on_received is not None:
                self.on_received(self._pinged)
            if frame is None or not self._too_large(frame):
                return message
            await self._refuse(frame)

    async def send(self, message: Message) -> None:
        """ASGI send. Raises OSError after `abort`."""
        if self._aborted:
            raise OSError("the connection was given up")
        self._writer = asyncio.current_task()
        try:
            await self._send(message)
        finally:
            self._writer = None
        text = message.get("text")
        if text is None:
            return
        if text.startswith("42"):
            self._passed += 1
            if not self._room.is_set() and self._queued - self._passed < HIGH_WATER // 2:
                self._room.set()
        elif text == "2":
            self._pinged = self._passed

    def _too_large(self, frame: str | bytes) -> bool:
        if len(frame) > self._max_bytes:
            return True
        if isinstance(frame, bytes) or 4 * len(frame) <= self._max_bytes:
            return False
        return len(frame.encode("utf-8", "surrogatepass")) > self._max_bytes

    async def _refuse(self, frame: str | bytes) -> None:
        """Answer an oversized frame in the place of the server, which never sees it."""
        error = PayloadTooLarge(f"A message over Socket.IO may have up to {self._max_bytes} bytes.")
        problem = problem_of(error)
        event = _EVENT.match(frame[:200]) if isinstance(frame, str) else None
        if event is not None and event[1]:
            answer = f"43{event[1]}{orjson.dumps([{'error': problem}]).decode()}"
        else:
            answer = f"42{orjson.dumps(['problem', problem]).decode()}"
        await self._send({"type": "websocket.send", "text": answer})
