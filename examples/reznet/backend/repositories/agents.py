"""Where agents are kept. In memory for now; Postgres takes this place with the same four verbs."""

from models.agent import Agent, NewAgent


class NameTaken(Exception):
    """Another agent has this name."""


class LimitReached(Exception):
    """There are as many agents as there may be."""


class AgentRepository:
    """Keeps agents by name, in the order they were made."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._agents: dict[str, Agent] = {}

    def add(self, new: NewAgent) -> Agent:
        """Make an agent. Raises NameTaken or LimitReached."""
        if new.name in self._agents:
            raise NameTaken(f"there is already an agent {new.name}")
        if len(self._agents) >= self._limit:
            raise LimitReached(f"there are {self._limit} agents, which is the limit")
        agent = Agent(**new.model_dump())
        self._agents[agent.name] = agent
        return agent

    def get(self, name: str) -> Agent | None:
        """Find an agent."""
        return self._agents.get(name)

    def all(self) -> list[Agent]:
        """List all agents."""
        return list(self._agents.values())

    def remove(self, name: str) -> bool:
        """Forget an agent; tells whether there was one."""
        return self._agents.pop(name, None) is not None
