"""Health and readiness, and the way in for a person: no key needed."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import BaseModel

from flynn import __version__
from flynn.api.doors import Parts
from flynn.domain.readiness import Readiness

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """The process answers."""

    status: str = "ok"
    version: str = __version__


@router.get("/health")
async def read_health() -> Health:
    """Whether this process answers; asks no other part."""
    return Health()


@router.get(
    "/ready", response_model=Readiness, responses={503: {"model": Readiness, "description": "A part is down"}}
)
async def read_readiness(parts: Parts) -> Response:
    """Whether the service can work, part by part; 503 when a part that it needs is down."""
    readiness = await parts.ready()
    return JSONResponse(readiness.model_dump(mode="json"), 200 if readiness.ok else 503)


@router.get("/", include_in_schema=False)
async def read_root() -> Response:
    """The documentation, until there is a page."""
    return RedirectResponse("/docs")
