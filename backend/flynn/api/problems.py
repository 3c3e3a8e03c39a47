"""Problems: RFC 9457 bodies for every error that leaves the service. None carries a stack trace."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.exceptions import HTTPException

from flynn.domain.errors import FlynnError, Unavailable
from flynn.store.outage import is_outage
from flynn.telemetry.logging import get_logger

MEDIA_TYPE = "application/problem+json"
_log = get_logger("flynn.api")


class FieldProblem(BaseModel):
    """What is wrong with one field, and what would be right."""

    field: str
    message: str


class Problem(BaseModel):
    """An RFC 9457 problem. `code` names the class of error; `errors` the fields, if any."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str | None = None
    errors: list[FieldProblem] | None = None


def problem_of(error: BaseException, request_id: str | None = None) -> dict[str, Any]:
    """The problem of any error: what we can name is named, an outage is 503, the rest is a plain 500."""
    if isinstance(error, FlynnError):
        return _problem(
            error.status, error.code, error.title, error.detail, request_id, error.context.get("errors")
        )
    if isinstance(error, ValidationError):
        return invalid(error.errors(), request_id)
    if is_outage(error):
        return _problem(
            503, Unavailable.code, Unavailable.title, "The database is away; try again soon.", request_id
        )
    detail = "Something in the service went wrong. Its log tells more under this request id."
    return _problem(500, "internal", "Something went wrong", detail, request_id)


def invalid(errors: Sequence[Mapping[str, Any]], request_id: str | None = None) -> dict[str, Any]:
    """The problem of input that does not fit, field by field."""
    fields = [_field(e) for e in errors]
    detail = "; ".join(f"{f['field']}: {f['message']}" for f in fields)
    return _problem(422, "invalid-input", "The request cannot be used", detail, request_id, fields)


def _field(error: Mapping[str, Any]) -> dict[str, str]:
    place = [str(part) for part in error["loc"] if part not in ("body", "query", "path", "header")]
    match error["type"]:
        case "extra_forbidden":
            message = "is not a field of this request"
        case "missing":
            message = "is missing"
        case _:
            message = str(error["msg"])
    return {"field": ".".join(place) or "body", "message": message}


def _problem(
    status: int, code: str, title: str, detail: str, request_id: str | None, errors: object = None
) -> dict[str, Any]:
    body: dict[str, Any] = {
        "type": f"urn:flynn:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
    }
    if request_id:
        body["request_id"] = request_id
    if errors:
        body["errors"] = errors
    return body


def response(problem: Mapping[str, Any], retry_after: float | None = None) -> Response:
    """The HTTP answer of a problem."""
    headers = {}
    if problem["status"] in (429, 503):
        headers["Retry-After"] = str(max(1, round(retry_after or 2)))
    if problem["status"] == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(orjson.dumps(problem), problem["status"], headers, media_type=MEDIA_TYPE)


def request_id_of(request: Request) -> str | None:
    """The id that the edge gave this request."""
    found = request.scope.get("flynn.request_id")
    return found if isinstance(found, str) else None


async def on_flynn_error(request: Request, error: Exception) -> Response:
    """A named error."""
    retry_after = error.retry_after if isinstance(error, FlynnError) else None
    return response(problem_of(error, request_id_of(request)), retry_after)


async def on_invalid(request: Request, error: Exception) -> Response:
    """Input that does not fit: malformed JSON is 400 and says where, a wrong field is 422."""
    errors = error.errors() if isinstance(error, RequestValidationError) else []
    for item in errors:
        if item["type"] == "json_invalid":
            place = item["loc"][-1]
            reason = item.get("ctx", {}).get("error", "it cannot be read")
            detail = f"The body is no JSON: {reason} at character {place}."
            problem = _problem(400, "malformed-json", "The body is not JSON", detail, request_id_of(request))
            return response(problem)
    return response(invalid(errors, request_id_of(request)))


async def on_http_error(request: Request, error: Exception) -> Response:
    """An error of the framework's own: unknown routes, wrong methods."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    phrase = HTTPStatus(status).phrase
    match status:
        case 404:
            detail = f"There is nothing at {request.url.path}; /docs lists what there is."
        case 405:
            detail = f"{request.method} is not possible at {request.url.path}; /docs lists what is."
        case _:
            detail = str(getattr(error, "detail", phrase))
    problem = _problem(status, phrase.lower().replace(" ", "-"), phrase, detail, request_id_of(request))
    answer = response(problem)
    answer.headers.update(getattr(error, "headers", None) or {})
    return answer


async def on_any_error(request: Request, error: Exception) -> Response:
    """What nobody named: an outage, or a bug that the log tells of."""
    problem = problem_of(error, request_id_of(request))
    if problem["status"] == 500:
        _log.error("a request broke", exc_info=error, path=request.url.path)
    return response(problem)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The declaration of error answers, for OpenAPI."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {s: {"description": HTTPStatus(s).phrase, "content": content} for s in statuses}
