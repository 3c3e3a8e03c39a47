"""All doors of the service as one ASGI application."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import socketio
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from flynn import __version__
from flynn.api.addresses import Doorkeeper
from flynn.api.alerts import Alerts, alerts_door
from flynn.api.approvals import approval_doors
from flynn.api.authentication import Authenticator
from flynn.api.backups import Backups, NotKept, backup_doors
from flynn.api.blobs import blob_doors
from flynn.api.conversations import conversation_doors
from flynn.api.counting import Counting
from flynn.api.differences import difference_doors
from flynn.api.door import REFERENCE, answer_json
from flynn.api.example import Example, NotOffered, example_doors
from flynn.api.files import file_doors
from flynn.api.gate import REQUEST_ID, Gate
from flynn.api.mcp import mcp_door
from flynn.api.model_key import ModelKeys, model_key_doors
from flynn.api.operations import operation_doors, reference_doors
from flynn.api.page import Page, page_doors
from flynn.api.polling import Polling
from flynn.api.problem import Problem, headers_of, named, problem_of
from flynn.api.queue import queue_door
from flynn.api.sockets import Sockets
from flynn.api.tasks import callback_doors, task_doors
from flynn.api.things import agent_doors, key_doors, schema_door
from flynn.api.usage import usage_door
from flynn.api.workspaces import workspace_doors
from flynn.domain.errors import FlynnError
from flynn.domain.readiness import Readiness
from flynn.domain.views import AgentView
from flynn.intake import Intake
from flynn.live.bus import Bus
from flynn.live.hub import Hub
from flynn.store.views import Views
from flynn.telemetry.request_metrics import RequestMetrics

OVERHEAD = 65_536
"""Bytes that a body may have beside its message: names, quotes, the other fields."""

NOT_PLAYED = NotOffered("There is nobody here who plays the scripted example.")
NOT_KEPT = NotKept("Nobody here keeps backups.")

_DESCRIPTION = """
Flynn hosts a DevOps agent. People talk with it in *conversations*, programs delegate *tasks* to it.

Every path under `/api/` needs a key: `Authorization: Bearer fly_…`. Errors are problem details (RFC 9457).
Everything that happens in a conversation is an *event* with a `seq` that counts from 1 without gaps; read
them as pages, as Server-Sent Events, or over Socket.IO. `GET /api/v1/schema` describes them.
"""


def create_api(
    *,
    intake: Intake,
    views: Views,
    hub: Hub,
    bus: Bus,
    alerts: Alerts,
    agents: Callable[[], Sequence[AgentView]],
    model_keys: ModelKeys,
    ready: Callable[[], Awaitable[Readiness]],
    scrape: Callable[[], Awaitable[bytes]],
    requests: RequestMetrics,
    page: Page,
    example: Example = NOT_PLAYED,
    backups: Backups = NOT_KEPT,
    sockets_open: Callable[[int], None] = lambda _count: None,
    message_max_bytes: int,
    allowed_origins: Iterable[str],
    host: str,
    socket_polling: bool = False,
) -> ASGIApp:
    """Put the doors together.

    `message_max_bytes` bounds a message; bodies and Socket.IO frames may have six times that (JSON may
    write a character as a backslash, u and four digits) and OVERHEAD. `host` is the address that is
    listened on (a loopback one is guarded against DNS rebinding); `allowed_origins` are the web pages
    elsewhere that may connect. `socket_polling` lets Socket.IO clients in that poll. Of larger WebSocket
    messages, those that the ASGI server lets through are answered with a 413 problem. `scrape` gives what
    /metrics shows, `requests` counts what is asked, `sockets_open` is told how many Socket.IO connections
    there are. `example` is played when it is asked for, and `backups` are taken.
    """
    max_bytes = 6 * message_max_bytes + OVERHEAD
    authenticator = Authenticator(views)
    app = FastAPI(
        title="Flynn",
        version=__version__,
        description=_DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        separate_input_output_schemas=False,
    )
    api = APIRouter(prefix="/api/v1")
    for doors in (
        conversation_doors(intake=intake, views=views, hub=hub, authenticator=authenticator),
        approval_doors(intake=intake, views=views),
        blob_doors(views=views),
        difference_doors(views=views),
        task_doors(intake=intake, views=views, hub=hub),
        callback_doors(views=views),
        agent_doors(agents),
        workspace_doors(intake.workspaces),
        file_doors(intake.workspaces),
        key_doors(intake=intake, views=views, authenticator=authenticator),
        model_key_doors(model_keys),
        queue_door(intake),
        alerts_door(alerts),
        usage_door(intake),
        example_doors(example),
        backup_doors(backups),
        schema_door(),
    ):
        api.include_router(doors)
    app.include_router(api)
    app.include_router(mcp_door(intake=intake, views=views, hub=hub, max_bytes=max_bytes))
    app.include_router(operation_doors(ready, scrape))
    app.include_router(reference_doors(app))
    app.include_router(page_doors(page))
    _name_errors(app)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # FastAPI's documented way
    sockets = Sockets(
        intake=intake,
        views=views,
        hub=hub,
        bus=bus,
        alerts=alerts,
        authenticator=authenticator,
        max_bytes=max_bytes,
        changed=sockets_open,
        requests=requests,
    )
    whole = socketio.ASGIApp(sockets.server, app, on_shutdown=sockets.close)
    return Gate(
        whole,
        doorkeeper=Doorkeeper(host=host, allowed_origins=allowed_origins),
        authenticator=authenticator,
        max_bytes=max_bytes,
        counting=Counting(requests),
        polling=Polling(whole, sockets.engine_sockets) if socket_polling else None,
    )


def create_operations(
    *,
    views: Views,
    ready: Callable[[], Awaitable[Readiness]],
    scrape: Callable[[], Awaitable[bytes]],
    requests: RequestMetrics,
    host: str,
) -> ASGIApp:
    """The doors of a process that only works: /health, /ready and /metrics."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.include_router(operation_doors(ready, scrape))
    _name_errors(app)
    return Gate(
        app,
        doorkeeper=Doorkeeper(host=host, allowed_origins=()),
        authenticator=Authenticator(views),
        max_bytes=OVERHEAD,
        counting=Counting(requests),
    )


def _name_errors(app: FastAPI) -> None:
    for kind in (FlynnError, HTTPException, Exception):
        app.add_exception_handler(kind, _problem)


async def _problem(request: Request, error: Exception) -> Response:
    request_id = request.scope[REQUEST_ID]
    found = named(error, request_id=request_id)
    response = answer_json(problem_of(found, request_id=request_id), found.status)
    for name, value in headers_of(found):
        response.headers[name.decode()] = value.decode()
    return response


def _openapi(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document: FastAPI's, with the key that every path under /api/ needs."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        _, problem = models_json_schema([(Problem, "serialization")], ref_template=REFERENCE)
        document["components"]["schemas"] |= problem["$defs"]
        document["components"]["securitySchemes"] = {
            "key": {"type": "http", "scheme": "bearer", "description": "A key of this service: `fly_…`"}
        }
        for path, operations in document["paths"].items():
            if path.startswith("/api/"):
                for operation in operations.values():
                    operation["security"] = [{"key": []}]
        app.openapi_schema = document
    return app.openapi_schema
