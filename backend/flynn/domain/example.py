"""The scripted example as it is shown: how it stands, what to post, and who works on it."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from flynn.domain.run import Checkout

ExampleState = Literal["not-offered", "off", "preparing", "ready", "failed"]

INSTRUCTIONS = "Update CI pipeline to run agent creation tests"
"""The delegation that the scripted model knows."""

PATIENT = f"{INSTRUCTIONS}, and repeat them for ten seconds to see whether any is flaky"
"""The same with a command that runs long enough to be watched, and to be interrupted."""


class _View(BaseModel):
    model_config = ConfigDict(frozen=True)


class ExampleTask(_View):
    """What to post to /api/v1/tasks: the ordinary way, nothing else starts the example."""

    title: str
    instructions: str
    workspace: str
    checkout: Checkout = Field(
        default="workspace", description="The copy is nobody else's, so the task works in its files"
    )


class ExampleWorker(_View):
    """One of the example's worker processes."""

    pid: int
    state: Literal["starting", "idle", "working"]
    conversation_id: UUID | None = Field(description="Whose run it is at")


class ExampleView(_View):
    """How the example stands on this instance of the service."""

    state: ExampleState
    detail: str | None = Field(description="Why it is not offered or failed; what is being prepared")
    task: ExampleTask | None = Field(description="What to post; null until it was prepared")
    workspaces: list[UUID] = Field(description="Workspaces whose model is the scripted one")
    workers: list[ExampleWorker]
    lease_seconds: float = Field(description="Silence after which the work of a lost worker is taken over")


class CrashOrder(BaseModel):
    """Kill the worker that is at this conversation's run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    conversation_id: UUID


class ExampleCrash(_View):
    """A worker that was killed with SIGKILL, and the call that it was in the middle of."""

    conversation_id: UUID
    pid: int
    call_id: str
    at: datetime
