"""Doors without a key: is it alive, is it ready, and the reference, which works without the internet."""

from collections.abc import Awaitable, Callable
from importlib import resources
from typing import Literal

import orjson
from fastapi import APIRouter, FastAPI, Response
from pydantic import BaseModel
from starlette.responses import PlainTextResponse

from flynn import __version__
from flynn.api.door import Door, answer, declared
from flynn.domain.readiness import Readiness
from flynn.telemetry.metrics import CONTENT_TYPE

_ASSETS = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "favicon.png": "image/png",
}
"""Files of the package fastapi-offline (Swagger UI 5, which renders OpenAPI 3.1), and their types."""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Flynn: API reference</title>
<link rel="icon" href="/docs/favicon.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="reference"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""

_START = """const url = new URL(location.href);
const key = url.searchParams.get("key");
if (key) {
  url.searchParams.delete("key");
  history.replaceState(null, "", url);
}
const reference = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  tryItOutEnabled: true,
  validatorUrl: null,
  onComplete: () => key && reference.preauthorizeApiKey("key", key),
});
"""

_POLICY = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "referrer-policy": "no-referrer",
}


class Alive(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"
    version: str = __version__


def operation_doors(
    ready: Callable[[], Awaitable[Readiness]], metrics: Callable[[], Awaitable[bytes]]
) -> APIRouter:
    """/health, /ready and /metrics. `metrics` gives what stands there in Prometheus's text format."""
    doors = APIRouter(tags=["operations"], route_class=Door)
    alive = Alive()

    @doors.get("/health", response_model=Alive, responses=declared(open_to_all=True))
    async def health() -> Response:
        """Whether the process answers at all. Asks no other part."""
        return answer(alive)

    @doors.get(
        "/ready",
        response_model=Readiness,
        responses={
            **declared(open_to_all=True),
            503: {"model": Readiness, "description": "A part is down without which nothing works"},
        },
    )
    async def readiness() -> Response:
        """How each part is. 503 when one is down without which nothing works."""
        found = await ready()
        return answer(found) if found.ok else answer(found, 503, headers={"retry-after": "2"})

    @doors.get(
        "/metrics",
        response_class=PlainTextResponse,
        responses={
            **declared(open_to_all=True),
            200: {
                "description": "Metrics in Prometheus's text format",
                "content": {"text/plain": {"schema": {"type": "string"}}},
            },
        },
    )
    async def scrape() -> Response:
        """What this process counts and measures, for Prometheus. It names nobody's work."""
        return Response(await metrics(), headers={"content-type": CONTENT_TYPE})

    return doors


def reference_doors(app: FastAPI) -> APIRouter:
    """The OpenAPI document and the pages that show it. They stand in no document themselves."""
    doors = APIRouter(include_in_schema=False, route_class=Door)
    document: list[bytes] = []
    static = resources.files("fastapi_offline") / "static"

    @doors.get("/openapi.json")
    async def openapi() -> Response:
        if not document:
            document.append(orjson.dumps(app.openapi()))
        return Response(document[0], media_type="application/json")

    async def docs(key: str | None = None) -> Response:
        """The page; its script reads `key`, a key to try things with, and takes it out of the address."""
        del key
        return Response(_PAGE, media_type="text/html; charset=utf-8", headers=_POLICY)

    doors.add_api_route("/docs", docs)

    @doors.get("/docs/start.js")
    async def start() -> Response:
        return Response(_START, media_type="text/javascript; charset=utf-8")

    def asset(name: str, media_type: str) -> None:
        async def serve() -> Response:
            headers = {"cache-control": "max-age=3600"}
            return Response((static / name).read_bytes(), media_type=media_type, headers=headers)

        doors.add_api_route(f"/docs/{name}", serve)

    for name, media_type in _ASSETS.items():
        asset(name, media_type)
    return doors
