"""The gate: what every request passes before any door, and every answer on its way out. Plain ASGI.

Request id, Host and Origin, CORS for allowed pages, key, size of the body; problem details for whatever
was not answered. Bodies are read here, so that an oversized one is refused before it is parsed. Each answer
is counted as it begins.
"""

import asyncio
import re
import secrets
from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flynn.api.addresses import Doorkeeper
from flynn.api.authentication import Authenticator
from flynn.api.counting import Counted, Counting
from flynn.api.polling import Polling
from flynn.api.problem import Headers, MalformedRequest, named, send_problem
from flynn.api.wire import Wire
from flynn.domain.errors import FlynnError, PayloadTooLarge
from flynn.telemetry.logging import bind, get_logger

PRINCIPAL = "flynn.principal"
"""Key in the ASGI scope of the principal that is asking, on every path under /api/ and at /mcp."""

REQUEST_ID = "flynn.request_id"
"""Key in the ASGI scope of the request's name, in every log record of it and in its answer."""

WIRE = "flynn.wire"
CUT = "flynn.cut"
"""Key in the extensions of a scope: a function that ends the connection at once, buffers and all."""

DRAIN = 16 * 1024 * 1024
"""Bytes of an oversized body that are read and dropped, so that the client gets to read the answer."""

DRAIN_SECONDS = 5.0

_WITH_BODY = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
_SOCKET_PATH = "/socket.io"
_CACHE_CONTROL = b"cache-control"
_log = get_logger(__name__)


class ClientGone(Exception):
    """The client left before its request was complete; nobody waits for an answer."""


class Gate:
    """The outermost ASGI application."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        doorkeeper: Doorkeeper,
        authenticator: Authenticator,
        max_bytes: int,
        counting: Counting,
        polling: Polling | None = None,
    ) -> None:
        self._app = app
        self._counting = counting
        self._polling = polling
        self._doorkeeper = doorkeeper
        self._authenticator = authenticator
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or carry one WebSocket."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = _first(scope["headers"])
        request_id = _request_id(headers)
        scope[REQUEST_ID] = request_id
        with bind(request_id=request_id):
            if scope["type"] == "websocket":
                await self._websocket(scope, receive, send, headers)
                return
            answer = _Answer(send, self._outgoing(scope, headers, request_id), self._counting.begin(scope))
            try:
                await self._answer(scope, receive, answer, headers)
            finally:
                if not answer.begun:
                    answer.counted.gone()

    async def _answer(
        self, scope: Scope, receive: Receive, answer: "_Answer", headers: dict[bytes, str]
    ) -> None:
        request_id = scope[REQUEST_ID]
        try:
            await self._http(scope, receive, answer, headers)
        except ClientGone:
            return
        except Exception as error:
            found = named(error, request_id=request_id)
            if not answer.begun:
                closing: Headers = [(b"connection", b"close")] if isinstance(found, PayloadTooLarge) else []
                await send_problem(answer, found, request_id=request_id, more=closing)

    async def _http(self, scope: Scope, receive: Receive, send: "_Answer", headers: dict[bytes, str]) -> None:
        host, origin = headers.get(b"host", ""), headers.get(b"origin", "")
        self._doorkeeper.check(host, origin)
        path, method = scope["path"], scope["method"]
        if method == "OPTIONS" and origin and b"access-control-request-method" in headers:
            await send({"type": "http.response.start", "status": 204, "headers": _PREFLIGHT})
            await send({"type": "http.response.body", "body": b""})
            return
        if path.startswith(_SOCKET_PATH):
            await self._poll(scope, receive, send, headers)
            return
        if _needs_key(path):
            principal = await self._authenticator.header(headers.get(b"authorization", ""))
            scope[PRINCIPAL] = principal
            with bind(principal=principal.name):
                await self._app(scope, await self._buffered(scope, receive, headers, send.counted), send)
        else:
            await self._app(scope, await self._buffered(scope, receive, headers, send.counted), send)

    async def _poll(self, scope: Scope, receive: Receive, send: "_Answer", headers: dict[bytes, str]) -> None:
        """Carry one request of a Socket.IO client that polls, where that is allowed."""
        if self._polling is None:
            raise MalformedRequest(
                "Socket.IO speaks WebSocket only here: connect with `transports: ['websocket']`. "
                "FLYNN_SOCKET_POLLING lets polling in."
            )
        poller = self._polling.begin(scope, WIRE)
        body = await self._buffered(scope, receive, headers, send.counted)
        await self._polling.carry(scope[WIRE], scope, body, send, begins=poller is None)

    async def _buffered(
        self, scope: Scope, receive: Receive, headers: dict[bytes, str], counted: Counted
    ) -> Receive:
        """Read the body, if there may be one, and give a `receive` that begins with it."""
        if scope["method"] not in _WITH_BODY:
            return receive
        body: bytes | None = await _read(receive, self._max_bytes, headers.get(b"content-length", ""))
        counted.whole()

        async def replay() -> Message:
            nonlocal body
            if body is None:
                return await receive()
            message: Message = {"type": "http.request", "body": body, "more_body": False}
            body = None
            return message

        return replay

    async def _websocket(self, scope: Scope, receive: Receive, send: Send, headers: dict[bytes, str]) -> None:
        request_id = scope[REQUEST_ID]
        try:
            self._doorkeeper.check(headers.get(b"host", ""), headers.get(b"origin", ""))
            if b"sid=" in scope["query_string"]:
                raise MalformedRequest("A connection stays with the transport that it began with.")
        except FlynnError as error:
            self._counting.refused_socket(error.status)
            await _deny(scope, receive, send, error, request_id)
            return
        wire = scope[WIRE] = Wire(
            receive, send, max_bytes=self._max_bytes, cut=(scope.get("extensions") or {}).get(CUT)
        )
        try:
            await self._app(scope, wire.receive, wire.send)
        finally:
            wire.close()

    def _outgoing(self, scope: Scope, headers: dict[bytes, str], request_id: str) -> Headers:
        """The headers that every answer to this request carries."""
        more = [(b"x-request-id", request_id.encode()), (b"x-content-type-options", b"nosniff")]
        if _needs_key(scope["path"]):
            more.append((_CACHE_CONTROL, b"no-store"))
        origin = headers.get(b"origin", "")
        if origin:
            more.append((b"vary", b"Origin"))
            if self._doorkeeper.foreign(headers.get(b"host", ""), origin):
                try:
                    self._doorkeeper.check(headers.get(b"host", ""), origin)
                except FlynnError:
                    return more
                more.append((b"access-control-allow-origin", origin.encode("latin-1", "replace")))
                if scope["path"].startswith(_SOCKET_PATH):
                    more.append((b"access-control-allow-credentials", b"true"))  # for a proxy's sticky cookie
                more.append((b"access-control-expose-headers", b"Location, Retry-After, X-Request-Id"))
        return more


class _Answer:
    """A `send` that adds headers and remembers whether the answer has begun.

    How long an answer may be kept is the door's to say, where it says so.
    """

    __slots__ = ("_headers", "_send", "begun", "counted")

    def __init__(self, send: Send, headers: Headers, counted: Counted) -> None:
        self._send = send
        self._headers = headers
        self.counted = counted
        self.begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            self.counted.answered(message["status"])
            headers = list(message.get("headers", ()))
            own = any(name == _CACHE_CONTROL for name, _ in headers)
            headers += (header for header in self._headers if not (own and header[0] == _CACHE_CONTROL))
            message["headers"] = headers
        await self._send(message)


_PREFLIGHT: Headers = [
    (b"access-control-allow-methods", b"GET, POST, PUT, PATCH, DELETE"),
    (
        b"access-control-allow-headers",
        b"Authorization, Content-Type, Idempotency-Key, Last-Event-ID, X-Request-Id, "
        b"Mcp-Protocol-Version, Mcp-Method, Mcp-Name",
    ),
    (b"access-control-max-age", b"600"),
]


def _needs_key(path: str) -> bool:
    return path.startswith("/api/") or path == "/mcp"


def _first(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, str]:
    """Headers by name in lower case. Of a repeated one the last counts."""
    return {name: value.decode("latin-1") for name, value in headers}


def _request_id(headers: dict[bytes, str]) -> str:
    given = headers.get(b"x-request-id", "")
    if given and _REQUEST_ID.fullmatch(given.encode("latin-1")):
        return given
    return secrets.token_hex(8)


async def _read(receive: Receive, limit: int, declared: str) -> bytes:
    """Read a whole body. Raises PayloadTooLarge, ClientGone."""
    refused = PayloadTooLarge(f"A request's body may have up to {limit} bytes.")
    length = int(declared) if declared.isascii() and declared.isdigit() else 0
    if length > limit + DRAIN:
        raise refused
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk = message.get("body", b"")
        size += len(chunk)
        if max(size, length) > limit:
            if message.get("more_body", False):
                await _drain(receive)
            raise refused
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _drain(receive: Receive) -> None:
    """Drop the rest of a body, within bounds."""
    size = 0
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            while size <= DRAIN:
                message = await receive()
                size += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
    except TimeoutError:
        _log.info("gave up on the rest of an oversized body")


async def _deny(scope: Scope, receive: Receive, send: Send, error: FlynnError, request_id: str) -> None:
    """Refuse a WebSocket handshake, with a problem where the server can send one."""
    await receive()
    if "websocket.http.response" in (scope.get("extensions") or {}):

        async def translated(message: Message) -> None:
            await send({**message, "type": "websocket." + message["type"]})

        await send_problem(translated, error, request_id=request_id)
    else:
        await send({"type": "websocket.close", "code": 1008, "reason": error.title})
