"""The API: REST and Socket.IO in one ASGI application, behind one edge."""

from collections.abc import Awaitable, Callable, Sequence
from importlib import resources
from typing import Any

import socketio
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from flynn import __version__
from flynn.api import catalog, conversations, health, problems, schema, tasks
from flynn.api.auth import Authenticator
from flynn.api.doors import House
from flynn.api.edge import OVERHEAD, Edge
from flynn.api.sockets import Sockets
from flynn.domain.errors import FlynnError
from flynn.domain.readiness import Readiness
from flynn.domain.views import AgentView
from flynn.intake import Intake
from flynn.live.bus import Bus
from flynn.live.hub import Hub
from flynn.store.views import Views

PREFIX = "/api/v1"
ASSETS = "/docs/assets"
_DESCRIPTION = """
Flynn-Dev as a service: chat with a DevOps agent, or delegate tasks to it and read the evidence.

Every door but /health, /ready and this page needs a key (`flynn keys create NAME`), sent as
`Authorization: Bearer fly_…`. Errors are RFC 9457 problems. Socket.IO is served at /socket.io; the shapes
of its calls and of all events are at /api/v1/schema.
"""


def create_api(
    *,
    intake: Intake,
    views: Views,
    hub: Hub,
    bus: Bus,
    agents: Callable[[], Sequence[AgentView]],
    ready: Callable[[], Awaitable[Readiness]],
    message_max_bytes: int,
    allowed_origins: Sequence[str],
    host: str,
) -> ASGIApp:
    """Put the doors together over the parts behind them."""
    house = House(intake=intake, views=views, hub=hub, bus=bus, agents=agents, ready=ready)
    authenticator = Authenticator(views.authenticate)
    app = FastAPI(
        title="Flynn",
        version=__version__,
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        separate_input_output_schemas=False,
    )
    app.state.house = house
    app.state.authenticator = authenticator
    app.add_exception_handler(FlynnError, problems.on_flynn_error)
    app.add_exception_handler(RequestValidationError, problems.on_invalid)
    app.add_exception_handler(HTTPException, problems.on_http_error)
    app.add_exception_handler(Exception, problems.on_any_error)
    app.include_router(health.router)
    for door in (conversations.router, tasks.router, catalog.router, schema.router):
        app.include_router(door, prefix=PREFIX)
    _document(app)
    sockets = Sockets(
        house, authenticator, message_max_bytes=message_max_bytes, allowed_origins=allowed_origins
    )
    doors = socketio.ASGIApp(sockets.server, app)
    return Edge(
        doors,
        host=host,
        allowed_origins=allowed_origins,
        # JSON may write a character of the message in six (backslash, u, four digits).
        body_max_bytes=6 * message_max_bytes + OVERHEAD,
    )


def _document(app: FastAPI) -> None:
    """/docs from a package's own files, and an OpenAPI document that names keys and problems."""
    static = resources.files("fastapi_offline") / "static"
    app.mount(ASSETS, StaticFiles(directory=str(static)), name="docs-assets")

    @app.get("/docs", include_in_schema=False)
    async def read_docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title="Flynn",
            swagger_js_url=f"{ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{ASSETS}/swagger-ui.css",
            swagger_favicon_url=f"{ASSETS}/favicon.png",
            swagger_ui_parameters={"persistAuthorization": True, "tryItOutEnabled": True},
        )

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title=app.title, version=app.version, description=app.description, routes=app.routes
            )
            components = document.setdefault("components", {})
            model = problems.Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            components["schemas"] |= model.pop("$defs", {})
            components["schemas"]["Problem"] = model
            components["securitySchemes"] = {
                "key": {"type": "http", "scheme": "bearer", "bearerFormat": "fly_…"}
            }
            for path, methods in document["paths"].items():
                for operation in methods.values():
                    if path.startswith(PREFIX) and path != f"{PREFIX}/schema":
                        operation["security"] = [{"key": []}]
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI documents this way of extending it
