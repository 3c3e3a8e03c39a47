"""Agents, workspaces and keys over REST."""

from uuid import UUID

from fastapi import APIRouter

from flynn.api.auth import Caller
from flynn.api.doors import Parts
from flynn.api.problems import responses
from flynn.domain.errors import NotFound
from flynn.domain.orders import KeyOrder, WorkspaceOrder
from flynn.domain.views import AgentView, KeyView, NewKey, Page, WorkspaceView

router = APIRouter()


@router.get("/agents", tags=["agents"], responses=responses(401, 503))
async def list_agents(_caller: Caller, parts: Parts) -> Page[AgentView]:
    """The agents that can be asked."""
    return Page(items=list(parts.agents()))


@router.get("/agents/{name}", tags=["agents"], responses=responses(401, 404, 503))
async def read_agent(name: str, _caller: Caller, parts: Parts) -> AgentView:
    """One agent."""
    agents = {agent.name: agent for agent in parts.agents()}
    if name not in agents:
        raise NotFound(f"There is no agent {name!r}; the agents here are: {', '.join(agents)}.")
    return agents[name]


@router.get("/workspaces", tags=["workspaces"], responses=responses(401, 403, 503))
async def list_workspaces(caller: Caller, parts: Parts) -> Page[WorkspaceView]:
    """The workspaces that you are a member of."""
    return Page(items=await parts.views.workspaces(caller))


@router.post(
    "/workspaces",
    status_code=201,
    tags=["workspaces"],
    responses=responses(400, 401, 403, 409, 413, 422, 503),
)
async def create_workspace(order: WorkspaceOrder, caller: Caller, parts: Parts) -> WorkspaceView:
    """Serve a directory of this machine (admin). The same name and path again is the same workspace."""
    return await parts.intake.create_workspace(caller, order)


@router.get("/keys", tags=["keys"], responses=responses(401, 403, 503))
async def list_keys(caller: Caller, parts: Parts) -> Page[KeyView]:
    """All keys, without their secrets (admin)."""
    return Page(items=await parts.views.keys(caller))


@router.post("/keys", status_code=201, tags=["keys"], responses=responses(400, 401, 403, 413, 422, 503))
async def create_key(order: KeyOrder, caller: Caller, parts: Parts) -> NewKey:
    """Make a key (admin); its secret is in this answer and nowhere else."""
    return await parts.intake.create_key(caller, order)


@router.delete("/keys/{key_id}", tags=["keys"], responses=responses(401, 403, 404, 422, 503))
async def revoke_key(key_id: UUID, caller: Caller, parts: Parts) -> KeyView:
    """Close a key for good (admin)."""
    return await parts.intake.revoke_key(caller, key_id)
