"""Errors on the wire: RFC 9457 problem details, the same over REST, SSE and Socket.IO."""

import math
from http import HTTPStatus
from typing import TypeAlias

import orjson
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.types import Send

from flynn.domain.content import Json
from flynn.domain.errors import (
    FlynnError,
    Forbidden,
    InvalidInput,
    NotFound,
    Unauthenticated,
    Unavailable,
)
from flynn.store.outage import is_outage
from flynn.telemetry.logging import get_logger
from flynn.telemetry.redaction import redact

MEDIA_TYPE = "application/problem+json"

RETRY_AFTER = 2.0
"""Seconds after which a request that met a database outage is worth another try."""

Headers: TypeAlias = list[tuple[bytes, bytes]]

_log = get_logger(__name__)


class MalformedRequest(FlynnError):
    """The request cannot be read at all."""

    code = "malformed-request"
    title = "The request cannot be read"
    status = 400


class MethodNotAllowed(FlynnError):
    """The path exists, but not with this method."""

    code = "method-not-allowed"
    title = "This path does not know the method"
    status = 405


class UnsupportedMediaType(FlynnError):
    """The body is not JSON."""

    code = "unsupported-media-type"
    title = "The body is not JSON"
    status = 415


class InternalError(FlynnError):
    """A defect of ours. Its details are in the log only."""

    code = "internal-error"
    title = "Something went wrong here"
    status = 500


class FieldProblem(BaseModel):
    """One thing that is wrong with what was sent."""

    model_config = ConfigDict(frozen=True)

    field: str = Field(description="Name of the field, parameter or header")
    message: str = Field(description="What would be right")


class Problem(BaseModel):
    """Problem details (RFC 9457). `code` is stable and made for programs, `detail` for people."""

    model_config = ConfigDict(frozen=True)

    type: str = Field(description="`urn:flynn:problem:` and the code")
    title: str
    status: int
    detail: str
    code: str
    request_id: str | None = Field(default=None, description="Names the request in the service's log")
    retry_after: float | None = Field(default=None, description="Seconds")
    errors: list[FieldProblem] | None = None


def named(error: BaseException, *, request_id: str | None) -> FlynnError:
    """Give `error` a name that people may see; a defect is logged and becomes an InternalError."""
    match error:
        case FlynnError():
            return error
        case HTTPException():
            return _http(error)
        case _ if is_outage(error):
            _log.warning("the database does not answer", error=f"{type(error).__name__}: {error}"[:300])
            return Unavailable(
                f"The database does not answer now. Try again in {RETRY_AFTER:.0f} seconds; what was "
                "acknowledged is safe.",
                retry_after=RETRY_AFTER,
            )
        case DBAPIError() if str(getattr(error.orig, "sqlstate", None) or "").startswith("22"):
            return InvalidInput(
                "The request carries a value that cannot be stored, such as the character U+0000."
            )
        case _:
            _log.error("a request met a defect", exc_info=error, request_id=request_id)
            return InternalError(
                f"This is a defect of the service. Its log tells more under the request id {request_id}."
            )


def problem_of(error: FlynnError, *, request_id: str | None = None) -> dict[str, Json]:
    """The body of a problem, redacted, without the fields that it has no value for."""
    body: dict[str, Json] = {
        "type": f"urn:flynn:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": redact(error.detail),
        "code": error.code,
    }
    if request_id is not None:
        body["request_id"] = request_id
    if error.retry_after is not None:
        body["retry_after"] = error.retry_after
    errors = error.context.get("errors")
    if isinstance(errors, list) and errors:
        body["errors"] = [{name: redact(said) for name, said in found.items()} for found in errors]
    return body


def headers_of(error: FlynnError) -> Headers:
    """The headers that go with a problem."""
    headers = [(b"content-type", MEDIA_TYPE.encode())]
    if error.retry_after is not None:
        headers.append((b"retry-after", str(math.ceil(error.retry_after)).encode()))
    if isinstance(error, Unauthenticated):
        headers.append((b"www-authenticate", b'Bearer realm="flynn"'))
    if allow := error.context.get("allow"):
        headers.append((b"allow", str(allow).encode("latin-1", "replace")))
    return headers


async def send_problem(
    send: Send, error: FlynnError, *, request_id: str, more: Headers | None = None
) -> None:
    """Answer an HTTP request with a problem."""
    body = orjson.dumps(problem_of(error, request_id=request_id))
    headers = [*headers_of(error), (b"content-length", str(len(body)).encode()), *(more or [])]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _http(error: HTTPException) -> FlynnError:
    """Name what the router itself answers."""
    match error.status_code:
        case 404:
            return NotFound("There is nothing at this path. /openapi.json lists what there is.")
        case 405:
            allow = (error.headers or {}).get("Allow", "")
            return MethodNotAllowed(f"This path knows {allow or 'other methods'} only.", allow=allow)
        case 400:
            return MalformedRequest("The body is not JSON in UTF-8.")
        case 403:
            return Forbidden(str(error.detail))
        case status:
            return InternalError(f"The request was answered with {status} {HTTPStatus(status).phrase}.")
