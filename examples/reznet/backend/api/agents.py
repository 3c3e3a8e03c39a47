"""The doors to custom agents: create, list, show, remove."""

import logging

from fastapi import APIRouter, HTTPException, Response

from models.agent import Agent, NewAgent
from repositories.agents import AgentRepository, LimitReached, NameTaken

logger = logging.getLogger(__name__)


def agents_router(agents: AgentRepository) -> APIRouter:
    """Build the routes over `agents`."""
    router = APIRouter(prefix="/api/agents", tags=["agents"])

    @router.post(
        "", status_code=201, responses={409: {"description": "Name taken, or limit reached"}}
    )
    def create(new: NewAgent, response: Response) -> Agent:
        try:
            agent = agents.add(new)
        except (NameTaken, LimitReached) as problem:
            raise HTTPException(409, str(problem)) from None
        logger.info("agent created", extra={"context": {"agent": agent.name, "id": agent.id}})
        response.headers["Location"] = f"/api/agents/{agent.name}"
        return agent

    @router.get("")
    def list_all() -> list[Agent]:
        return agents.all()

    @router.get("/{name}", responses={404: {"description": "No such agent"}})
    def show(name: str) -> Agent:
        agent = agents.get(name)
        if agent is None:
            raise HTTPException(404, f"there is no agent {name}")
        return agent

    @router.delete("/{name}", status_code=204, responses={404: {"description": "No such agent"}})
    def remove(name: str) -> None:
        if not agents.remove(name):
            raise HTTPException(404, f"there is no agent {name}")

    return router
