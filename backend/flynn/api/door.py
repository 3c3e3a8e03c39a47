"""A door: what all routes share. Scopes, refusal of unknown names, declared answers, quick JSON."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, TypeAlias

import orjson
from fastapi import Depends, Query, Request, Response
from fastapi.dependencies.utils import get_flat_params
from fastapi.exceptions import RequestValidationError
from fastapi.params import Query as QueryParameter
from fastapi.routing import APIRoute
from pydantic import BaseModel

from flynn.api.counting import ids_of
from flynn.api.gate import PRINCIPAL
from flynn.api.problem import MEDIA_TYPE, Problem
from flynn.api.validation import refusal, unknown
from flynn.domain.content import Json
from flynn.domain.principal import Principal, Scope
from flynn.telemetry.logging import bind

Responses: TypeAlias = dict[int | str, dict[str, Any]]

REFERENCE = "#/components/schemas/{model}"
"""Where the OpenAPI document has a model."""

_WHAT = {
    400: "The body cannot be read",
    401: "No key, or one that is not known",
    403: "The key does not open this door, or the web page's origin may not",
    404: "There is no such thing, or none that this key may see",
    409: "The state of the thing forbids it now",
    413: "The body is too large",
    415: "The body is not JSON",
    416: "The file has no such part",
    422: "What was sent cannot be used; `errors` names each field",
    429: "The queue is full; Retry-After says when to try again",
    500: "A defect; the log tells more under the request id",
    503: "A part of the service is away; Retry-After says when to come back",
}


def declared(*statuses: int, body: bool = False, open_to_all: bool = False) -> Responses:
    """The problems that a route may answer: `statuses`, and those that every route or body brings."""
    found = {403, 422, 500, *statuses}
    if not open_to_all:
        found |= {401, 503}
    if body:
        found |= {400, 413, 415}
    # Written out, not as a model: of each FastAPI would make a validator of its own, hundreds in all.
    schema = {"$ref": REFERENCE.format(model=Problem.__name__)}
    return {
        status: {"description": _WHAT[status], "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in sorted(found)
    }


class Door(APIRoute):
    """A route that refuses unknown query parameters and says in our words what is wrong."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap FastAPI's handler."""
        handler = super().get_route_handler()
        queries = [
            field.alias
            for field in get_flat_params(self.dependant)
            if isinstance(field.field_info, QueryParameter)
        ]
        body = self.body_field.field_info.annotation if self.body_field else None

        async def open_door(request: Request) -> Response:
            if request.scope["query_string"]:
                strange = [name for name in request.query_params if name not in queries]
                if strange:
                    raise unknown(strange, queries, what="this query parameter")
            try:
                with bind(**ids_of(request.scope)):
                    return await handler(request)
            except RequestValidationError as error:
                json = "json" in request.headers.get("content-type", "")
                raise refusal(error.errors(), body=body, json=json) from error

        return open_door


def _need(*scopes: Scope) -> Callable[[Request], Coroutine[Any, Any, Principal]]:
    async def caller(request: Request) -> Principal:
        principal: Principal = request.scope[PRINCIPAL]
        principal.need(*scopes)
        return principal

    return caller


Reader = Annotated[Principal, Depends(_need(Scope.READ, Scope.CHAT, Scope.DELEGATE))]
"""Who may read: every scope implies reading one's own work."""
Chatter = Annotated[Principal, Depends(_need(Scope.CHAT))]
Delegator = Annotated[Principal, Depends(_need(Scope.DELEGATE))]
Client = Annotated[Principal, Depends(_need(Scope.CHAT, Scope.DELEGATE))]
Admin = Annotated[Principal, Depends(_need(Scope.ADMIN))]

Cursor = Annotated[
    str | None, Query(max_length=500, description="`next` of the page before; leave it out for the first")
]
Limit = Annotated[int, Query(ge=1, le=500, description="Most items on the page")]
AfterSeq = Annotated[int, Query(ge=0, le=2**53, description="Only what comes after this seq")]


def answer(view: BaseModel, status: int = 200, *, headers: dict[str, str] | None = None) -> Response:
    """A view as JSON. Views are made by us, so nothing is validated on the way out."""
    return Response(
        view.__pydantic_serializer__.to_json(view), status, headers=headers, media_type="application/json"
    )


def answer_json(value: Json, status: int = 200) -> Response:
    """Plain data as JSON."""
    return Response(orjson.dumps(value), status, media_type="application/json")
