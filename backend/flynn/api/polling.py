"""Polling: Socket.IO over plain requests, for networks that let no WebSocket through.

All requests of a connection must reach the process that holds it; before several processes a proxy has to
see to that, with a cookie. A connection stays with the transport that it began with. A request is answered
when the client asks again, so its next GET confirms what the last one brought (see flynn.api.window).
Packets are separated by U+001E (Engine.IO protocol 4).
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flynn.api.problem import MalformedRequest, MethodNotAllowed
from flynn.api.window import Window
from flynn.api.wire import MOST_OWED, wants_acknowledgement
from flynn.domain.errors import PayloadTooLarge, TooManyRequests, Unavailable

MOST_CONNECTIONS = 5_000
"""Connections that poll at a time, here."""

MOST_PACKETS = 16
"""Packets of one answer: Engine.IO's client for Python ends the connection at more. Its server takes no more
in one request, and says nothing of the others."""

MOST_POSTED = 256
"""Packets of one request; a client sends all that waits in one."""

_SEPARATOR = "\x1e"
_CLOSE = "1"
_OPENED = re.compile(r'^0\{[^}]*"sid":"([^"]+)"')


class PacketQueue(asyncio.Queue[Any]):
    """What Engine.IO has to send to one client: MOST_PACKETS at most between two waits for more.

    Engine.IO takes with `get` and then, until there is nothing, with `get_nowait`; that makes an answer.
    """

    def __init__(self) -> None:
        super().__init__()
        self._taken = 0

    async def get(self) -> Any:
        """Wait for the first of an answer."""
        self._taken = 0
        return await super().get()

    def get_nowait(self) -> Any:
        """The next of the same answer. Raises QueueEmpty when it is full, too."""
        if self._taken >= MOST_PACKETS:
            raise asyncio.QueueEmpty
        found = super().get_nowait()
        self._taken += 1
        return found


class Poller:
    """One connection that polls: what `flynn.api.client.Client` needs of it."""

    def __init__(self) -> None:
        self.window = Window()
        self.owed = 0
        self.drop: Callable[[], Awaitable[None]] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def abort(self) -> None:
        """End the connection without waiting for a client that does not ask."""
        self.window.close()
        task = asyncio.create_task(self._drop())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self, within: float) -> None:
        """End it when what was queued has been fetched, after `within` seconds at the latest."""
        await self.window.drained(within)
        self.window.close()
        await self._drop()

    async def _drop(self) -> None:
        if self.drop is not None:
            await self.drop()


class Polling:
    """Lets requests that poll through to Engine.IO (`app`), and keeps their ledger.

    `sockets` are Engine.IO's own connections by their ids.
    """

    def __init__(self, app: ASGIApp, sockets: Callable[[], Mapping[str, Any]]) -> None:
        self._app = app
        self._sockets = sockets
        self._pollers: dict[str, Poller] = {}
        self._sweep_at = 64

    def begin(self, scope: Scope, key: str) -> "Poller | None":
        """The poller that a request belongs to, None when it begins a connection; `key` is set in the scope.

        Raises MalformedRequest for what is no request of this protocol or of no connection here,
        Unavailable when there are too many.
        """
        query = parse_qs(scope["query_string"].decode("latin-1"))
        if scope["method"] not in ("GET", "POST"):
            raise MethodNotAllowed("Socket.IO polls with GET and POST.")
        if query.get("transport", ["polling"]) != ["polling"]:
            raise MalformedRequest("Plain requests carry the transport `polling` only.")
        if "j" in query:
            raise MalformedRequest("There is no JSONP here.")
        if "sid" in query:
            sid = query["sid"][0]
            poller = self._pollers.get(sid)
            if poller is None or sid not in self._sockets():
                self._pollers.pop(sid, None)
                raise MalformedRequest(
                    "This process holds no such connection: it has ended, or it is another process's. "
                    "Connect again; before several processes, polling needs a proxy that keeps each client "
                    "at one of them with a cookie. WebSocket does not."
                )
        else:
            if query.get("EIO") != ["4"] or scope["method"] != "GET":
                raise MalformedRequest("Connect with Engine.IO protocol 4: Socket.IO's clients from 3 on.")
            self._sweep()
            if len(self._pollers) >= MOST_CONNECTIONS:
                raise Unavailable(f"{MOST_CONNECTIONS} clients poll already.", retry_after=5)
            poller = None
        scope[key] = poller or Poller()
        return poller

    async def carry(
        self, poller: Poller, scope: Scope, receive: Receive, send: Send, *, begins: bool
    ) -> None:
        """Carry one request. `receive` gives a body that has been read.

        Raises TooManyRequests, and PayloadTooLarge for more packets than MOST_POSTED.
        """
        body = b""

        async def watched(message: Message) -> None:
            nonlocal body
            body += message.get("body", b"")
            await send(message)

        if scope["method"] == "POST":
            packets = (await receive()).get("body", b"").decode("utf-8", "replace").split(_SEPARATOR)
            self._charge(poller, packets)
            await self._post(packets, scope, send)
            if _CLOSE in packets and poller.drop is not None:
                # Engine.IO would leave the request that waits without an answer for half a minute.
                await poller.drop()
            return
        if not begins:
            poller.window.answer()
        await self._app(scope, receive, watched)
        packets = body.decode("utf-8", "replace").split(_SEPARATOR)
        if begins and (opened := _OPENED.match(packets[0])):
            sid = opened[1]
            self._pollers[sid] = poller
            poller.drop = lambda: self._drop(sid)
        poller.owed = max(0, poller.owed - sum(packet.startswith("43") for packet in packets))
        poller.window.passed(sum(packet.startswith("42") for packet in packets))
        poller.window.question()

    async def _post(self, packets: Sequence[str], scope: Scope, send: Send) -> None:
        """Hand the packets of a POST to Engine.IO, as many at a time as it takes; its last answer counts."""
        said: list[Message] = []
        for start in range(0, len(packets), MOST_PACKETS):
            body = _SEPARATOR.join(packets[start : start + MOST_PACKETS]).encode()
            said = []

            async def receive(body: bytes = body) -> Message:
                return {"type": "http.request", "body": body, "more_body": False}

            async def keep(message: Message, said: list[Message] = said) -> None:
                said.append(message)

            await self._app(scope, receive, keep)
            if said[0]["status"] != 200:
                break
        for message in said:
            await send(message)

    def _charge(self, poller: Poller, packets: Sequence[str]) -> None:
        """Count the calls of a POST, whose acknowledgements have to be fetched."""
        if len(packets) > MOST_POSTED:
            raise PayloadTooLarge(f"A request may bring up to {MOST_POSTED} packets.")
        if poller.owed >= MOST_OWED:
            raise TooManyRequests("Fetch the acknowledgements of your calls first.", retry_after=1)
        poller.owed += sum(wants_acknowledgement(packet) for packet in packets)

    async def _drop(self, sid: str) -> None:
        """End a connection here; the client's next request finds none, and it connects again."""
        self._pollers.pop(sid, None)
        socket = self._sockets().get(sid)
        if socket is not None:
            await socket.close(wait=False, abort=True)
            await socket.queue.put(None)  # a request that waits is answered, with nothing

    def _sweep(self) -> None:
        """Forget those whose connection Engine.IO has ended."""
        if len(self._pollers) >= self._sweep_at:
            alive = self._sockets()
            self._pollers = {sid: poller for sid, poller in self._pollers.items() if sid in alive}
            self._sweep_at = max(64, 2 * len(self._pollers))
