"""Doors to what the service has and knows: agents, keys, and the schema of its events."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Response

from flynn.api import schema
from flynn.api.authentication import Authenticator
from flynn.api.door import Admin, Door, Reader, answer, declared
from flynn.domain.errors import NotFound
from flynn.domain.orders import KeyOrder
from flynn.domain.views import AgentView, KeyView, NewKey, Page
from flynn.intake import Intake
from flynn.store.views import Views


def agent_doors(agents: Callable[[], Sequence[AgentView]]) -> APIRouter:
    """The routes under /agents."""
    doors = APIRouter(prefix="/agents", tags=["agents"], route_class=Door)

    @doors.get("", response_model=Page[AgentView], responses=declared())
    async def list_agents(_principal: Reader) -> Response:
        """The agents that can be asked."""
        return answer(Page(items=list(agents())))

    @doors.get("/{name}", response_model=AgentView, responses=declared(404))
    async def get_agent(_principal: Reader, name: str) -> Response:
        """One agent."""
        for agent in agents():
            if agent.name == name:
                return answer(agent)
        known = ", ".join(agent.name for agent in agents())
        raise NotFound(f"There is no agent {name!r}; there are: {known}.")

    return doors


def key_doors(*, intake: Intake, views: Views, authenticator: Authenticator) -> APIRouter:
    """The routes under /keys, for admins."""
    doors = APIRouter(prefix="/keys", tags=["keys"], route_class=Door)

    @doors.get("", response_model=Page[KeyView], responses=declared())
    async def list_keys(principal: Admin) -> Response:
        """All keys, without their secrets."""
        return answer(Page(items=await views.keys(principal)))

    @doors.post("", status_code=201, response_model=NewKey, responses=declared(body=True))
    async def create_key(principal: Admin, order: KeyOrder) -> Response:
        """Make a key. This is the only time that it is shown."""
        return answer(await intake.create_key(principal, order), 201)

    @doors.delete("/{key_id}", response_model=KeyView, responses=declared(404))
    async def revoke_key(principal: Admin, key_id: UUID) -> Response:
        """Revoke a key. Other processes of the service may honour it for three seconds more."""
        view = await intake.revoke_key(principal, key_id)
        authenticator.forget()
        return answer(view)

    return doors


@cache
def _schema_body() -> bytes:
    """Made once a process: that takes as long as opening all the doors."""
    return orjson.dumps(schema.document())


def schema_door() -> APIRouter:
    """The route /schema."""
    doors = APIRouter(tags=["schema"], route_class=Door)
    body = _schema_body()

    @doors.get("/schema", response_model=dict[str, Any], responses=declared())
    async def get_schema(_principal: Reader) -> Response:
        """JSON Schema of events, deltas, and the calls and acknowledgements of Socket.IO."""
        return Response(body, media_type="application/json")

    return doors
