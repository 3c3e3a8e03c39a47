"""Custom agents: what people send, and what is kept of it."""

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID, uuid4

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

Tool = Literal["Read", "Write", "Edit", "Glob", "Grep", "Bash"]
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Prompt = Annotated[str, StringConstraints(strip_whitespace=True, min_length=20, max_length=20_000)]

RESERVED = frozenset({"quorra", "flynn-dev", "sam-db", "tron-qa", "rinzler-pm"})


class NewAgent(BaseModel):
    """A request for a custom agent. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,39}$")]
    role: Line
    prompt: Prompt
    model: Literal["haiku", "sonnet", "opus"] = "haiku"
    tools: list[Tool] = Field(default=["Read", "Glob", "Grep"], min_length=1)

    @field_validator("name")
    @classmethod
    def _is_free(cls, name: str) -> str:
        if name in RESERVED:
            raise ValueError(f"{name} is a member of the team; choose another name")
        return name

    @field_validator("tools")
    @classmethod
    def _are_different(cls, tools: list[Tool]) -> list[Tool]:
        if len(set(tools)) < len(tools):
            raise ValueError("a tool is listed twice")
        return tools


class Agent(NewAgent):
    """A custom agent that exists."""

    id: UUID = Field(default_factory=uuid4)
    created_at: datetime = Field(default_factory=lambda: datetime.now(UTC))
