"""Uvicorn's protocols, and a way to cut a connection whose peer does not read.

Closing a transport waits until its buffer has been written, and a peer that has stopped reading, but
answers at the level of TCP, holds it for ever. So the application is handed `abort`, as an extension.
"""

import asyncio
from typing import cast

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from flynn.api.gate import CUT


def _cuttable(app: ASGIApp, transport: asyncio.BaseTransport) -> ASGIApp:
    abort = cast(asyncio.Transport, transport).abort

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        scope["extensions"] = {**(scope.get("extensions") or {}), CUT: abort}
        await app(scope, receive, send)

    return application


class HttpProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # chosen when uvicorn is imported
    """HTTP/1.1; the scope's extensions hold a function that cuts the connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """A client has connected."""
        super().connection_made(transport)
        self.app: ASGIApp = _cuttable(self.app, transport)


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """WebSocket; the scope's extensions hold a function that cuts the connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """An HTTP connection becomes a WebSocket."""
        super().connection_made(transport)
        self.app = _cuttable(self.app, transport)
