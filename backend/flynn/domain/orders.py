"""What clients ask for: the bodies of the verbs. Unknown fields are refused by name."""

from typing import Annotated
from uuid import UUID

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, StringConstraints

Text = Annotated[str, StringConstraints(strip_whitespace=False, min_length=1)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class _Order(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ConversationOrder(_Order):
    """Open a conversation with `agent` in `workspace` (an id or a name)."""

    agent: Name = "flynn-dev"
    workspace: Name | None = Field(default=None, description="Id or name; the default workspace if left out")
    title: Name | None = None


class MessageOrder(_Order):
    """Say something. A resend with the same `client_message_id` is the same message."""

    text: Text
    client_message_id: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None


class InterruptOrder(_Order):
    """Stop the present run."""

    reason: Annotated[str, StringConstraints(max_length=1000)] | None = None


class BudgetOrder(_Order):
    """Raise the limits of the waiting run; what is left out stays."""

    turns: Annotated[int, Field(ge=1, le=10_000)] | None = None
    dollars: Annotated[float, Field(gt=0, le=1_000)] | None = None
    prompt_tokens: Annotated[int, Field(ge=1_000, le=1_000_000)] | None = None


class TaskOrder(_Order):
    """Delegate a task: `{instructions}` alone is enough.

    Claude Code's `{subagent_type, description, prompt}` is the same order in other words.
    """

    instructions: Text = Field(validation_alias=AliasChoices("instructions", "prompt"))
    agent: Name = Field(default="flynn-dev", validation_alias=AliasChoices("agent", "subagent_type"))
    title: Name | None = Field(default=None, validation_alias=AliasChoices("title", "description"))
    workspace: Name | None = Field(default=None, description="Id or name; the default workspace if left out")


class WorkspaceOrder(_Order):
    """Serve the directory `path` (absolute, on this machine) under `name`; admin keys only."""

    name: Name
    path: Annotated[str, StringConstraints(min_length=1, max_length=4096)]


class KeyOrder(_Order):
    """Make a key for the principal `name`, which is created when it is new; admin keys only."""

    name: Name
    scopes: Annotated[list[str], Field(min_length=1)]


class Watch(_Order):
    """Follow a conversation over Socket.IO: everything after `after_seq`, then live."""

    conversation_id: UUID
    after_seq: Annotated[int, Field(ge=0)] = 0
