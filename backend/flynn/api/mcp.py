"""The door at /mcp: opened with its first request, since what stands behind it is heavy."""

import asyncio
from importlib import import_module

from fastapi import APIRouter, Request, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from flynn.api.door import Door
from flynn.api.mcp_tools import tools_of
from flynn.intake import Intake
from flynn.live.hub import Hub
from flynn.store.views import Views

PATH = "/mcp"


class _Handed(Response):
    """An answer that another ASGI application gives."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__()
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let it answer."""
        await self._app(scope, receive, send)


def mcp_door(*, intake: Intake, views: Views, hub: Hub, max_bytes: int) -> APIRouter:
    """The route /mcp. It stands in the protocol's own documents, not in OpenAPI's."""
    doors = APIRouter(include_in_schema=False, route_class=Door)
    tools = tools_of(intake=intake, views=views, hub=hub)
    opening = asyncio.Lock()
    opened: list[ASGIApp] = []

    @doors.post(PATH)
    async def answer(_request: Request) -> Response:
        """Answer one message of the protocol."""
        async with opening:
            if not opened:
                # In a thread: other requests go on meanwhile.
                room = await asyncio.to_thread(import_module, "flynn.api.mcp_server")
                opened.append(room.open_server(tools, max_bytes=max_bytes))
        return _Handed(opened[0])

    return doors
