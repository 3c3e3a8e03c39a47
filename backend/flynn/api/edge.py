"""The edge: what every request passes before a door sees it, as raw ASGI.

Gives each request an id, refuses foreign origins and (on loopback) foreign hosts, and stops bodies over
the limit while they stream in.
"""

import re
from collections.abc import Sequence
from urllib.parse import urlsplit
from uuid import uuid4

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flynn.api.problems import MEDIA_TYPE, problem_of
from flynn.domain.errors import FlynnError, Forbidden, PayloadTooLarge
from flynn.telemetry.logging import bind

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
OVERHEAD = 65_536
"""Bytes that a body may have beside its message: the other fields, escapes, quotes."""


class Edge:
    """ASGI middleware around all doors. `host` is the address that the service listens on."""

    def __init__(
        self, app: ASGIApp, *, host: str, allowed_origins: Sequence[str], body_max_bytes: int
    ) -> None:
        self._app = app
        self._loopback = host in _LOOPBACK
        self._allowed = frozenset(origin.rstrip("/").lower() for origin in allowed_origins)
        self._limit = body_max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or socket."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        given = headers.get(b"x-request-id", "")
        request_id = given if _ID.fullmatch(given) else uuid4().hex
        scope["flynn.request_id"] = request_id

        async def answer(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            await send(message)

        with bind(request_id=request_id):
            try:
                self._admit(headers)
                self._measure(headers)
            except FlynnError as error:
                await _refuse(scope, receive, answer, error, request_id)
                return
            await self._app(scope, self._counting(receive), answer)

    def _admit(self, headers: dict[bytes, str]) -> None:
        host = headers.get(b"host", "")
        name = (urlsplit(f"//{host}").hostname or "").lower()
        if self._loopback and name not in _LOOPBACK:
            raise Forbidden(f"This service answers to localhost only, not to {host!r}.")
        origin = headers.get(b"origin", "").rstrip("/").lower()
        if not origin or origin in self._allowed:
            return
        parts = urlsplit(origin)
        # The page's own origin: same host and port. Another port of this machine is another page.
        if parts.netloc != host.lower():
            raise Forbidden(
                f"The origin {origin!r} may not use this service; FLYNN_ALLOWED_ORIGINS names those that may."
            )

    def _measure(self, headers: dict[bytes, str]) -> None:
        length = headers.get(b"content-length", "")
        if length.isdigit() and int(length) > self._limit:
            raise self._too_large()

    def _counting(self, receive: Receive) -> Receive:
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > self._limit:
                    raise self._too_large()
            return message

        return counted

    def _too_large(self) -> PayloadTooLarge:
        return PayloadTooLarge(
            f"The body is larger than {self._limit:,} bytes. Put long material into a file of the workspace "
            "and name it."
        )


async def _refuse(scope: Scope, receive: Receive, send: Send, error: FlynnError, request_id: str) -> None:
    body = orjson.dumps(problem_of(error, request_id))
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.http.response.start", "status": error.status, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": body})
        return
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
