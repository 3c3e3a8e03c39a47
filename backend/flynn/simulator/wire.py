"""The socket of one request: sends, notices when the client leaves, resets the connection.

`Protocol` is uvicorn's HTTP protocol with two additions in `scope["extensions"]`: the time of the first
byte and a way to reset the connection, neither of which ASGI offers.
"""

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import Iterable, MutableMapping
from typing import Any, Final

from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

RECEIVED: Final = "flynn.simulator.received"
TRANSPORT: Final = "flynn.simulator.transport"
_LINGER_ZERO: Final = struct.pack("ii", 1, 0)
"""SO_LINGER on with no time: close sends RST (socket(7))."""


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol that tells the application when a request began and gives it the transport."""

    def on_message_begin(self) -> None:
        """Open the scope of a request, at its first byte."""
        super().on_message_begin()
        extensions: MutableMapping[str, Any] = {RECEIVED: time.monotonic(), TRANSPORT: self.transport}
        self.scope["extensions"] = extensions  # type: ignore[typeddict-item] # ours is no standard extension


class ClientLeft(Exception):
    """The client closed the connection before the answer was complete."""


class Wire:
    """One request's way in and out."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        extensions = scope.get("extensions") or {}
        self.received: float = extensions.get(RECEIVED) or time.monotonic()
        self.first_byte: float | None = None
        self._transport: asyncio.Transport | None = extensions.get(TRANSPORT)
        self._receive = receive
        self._send = send
        self._gone: asyncio.Task[None] | None = None

    async def body(self, limit: int) -> bytes | None:
        """Read the body; None if it is longer than `limit` bytes (the rest is not read).

        Raises:
            ClientLeft: the connection was closed before the end of the body.
        """
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientLeft
            chunk: bytes = message.get("body", b"")
            size += len(chunk)
            if size > limit:
                return None
            chunks.append(chunk)
            if not message.get("more_body", False):
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def start(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        """Send status line and headers."""
        encoded = [(n.encode("latin-1"), v.encode("latin-1", "replace")) for n, v in headers]
        await self._emit({"type": "http.response.start", "status": status, "headers": encoded})
        if self.first_byte is None:
            self.first_byte = time.monotonic()

    async def write(self, data: bytes) -> None:
        """Send a piece of the body.

        Raises:
            ClientLeft: nobody reads any more.
        """
        if self._gone is not None and self._gone.done():
            raise ClientLeft
        await self._emit({"type": "http.response.body", "body": data, "more_body": True})

    async def finish(self, data: bytes = b"") -> None:
        """Send the last piece of the body and end the response."""
        await self._emit({"type": "http.response.body", "body": data, "more_body": False})

    async def pause(self, seconds: float | None) -> None:
        """Wait so many seconds (None: for ever), but no longer than the client stays.

        Raises:
            ClientLeft: the client closed the connection meanwhile.
        """
        if self._gone is None:
            self._gone = asyncio.create_task(self._watch())
        done, _ = await asyncio.wait({self._gone}, timeout=seconds)
        if done:
            raise ClientLeft

    async def reset(self) -> None:
        """Reset the connection: the client sees RST and none of what was not yet sent.

        Raises:
            RuntimeError: the server is not SimulatorServer, so there is no way to the socket.
        """
        if self._transport is None:
            raise RuntimeError("connection_reset needs flynn.simulator.SimulatorServer as the server")
        connection = self._transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        self._transport.abort()
        with contextlib.suppress(ClientLeft):
            await self.pause(None)

    async def close(self) -> None:
        """Stop watching for the client's leaving."""
        if self._gone is not None:
            self._gone.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._gone

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _emit(self, message: Message) -> None:
        await self._send(message)
