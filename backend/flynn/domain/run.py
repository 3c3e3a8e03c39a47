"""A run: the agent at work, from a trigger to a stop."""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

MESSAGE_PRIORITY = 10
"""Priority of runs that answer a message in a conversation; tasks have a lower one, 0 unless told so."""


RunKind = Literal["agent", "undo"]
"""What a run does: the agent works, or what one of its calls did is undone."""

AfterFailed = Literal["fail", "skip"]
"""What a task does when one that it comes after failed or was cancelled: fail too, or be cancelled."""

Checkout = Literal["own", "workspace"]
"""Where a task works: in a checkout of its own, or in the workspace itself."""


class RunState(StrEnum):
    """Where a run is. The last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether the run is over."""
        return self in (RunState.COMPLETED, RunState.FAILED, RunState.CANCELLED)


class Limits(BaseModel):
    """What one run may use. `prompt_tokens` is the largest prompt that is sent (see price step)."""

    model_config = ConfigDict(frozen=True)

    turns: int
    nanodollars: int
    prompt_tokens: int


class TaskLimits(BaseModel):
    """What all runs of a task may use together; None where there is no limit.

    `turns` are model calls, `tokens` all of input, cached or not, and of output, `seconds` those in which a
    run was at work.
    """

    model_config = ConfigDict(frozen=True)

    turns: int | None = None
    tokens: int | None = None
    nanodollars: int | None = None
    seconds: int | None = None
