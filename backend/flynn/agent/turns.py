"""What the loop yields: batches to commit, and the ways a run can stop."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, TypeAlias

from flynn.domain.content import Block
from flynn.domain.events import BudgetReached, EventData, WaitReason
from flynn.domain.run import Limits, TaskLimits


@dataclass(frozen=True, slots=True)
class Append:
    """Commit these events in one transaction, then apply them to the transcript, then go on.

    With `after`, only if that is the last seq, since the batch was made for the next ones; otherwise apply
    what has come in and send False: the loop then makes the batch anew. When the day of the run's principal
    has no room for the call that they start, nothing is committed, and that is sent.
    """

    events: Sequence[EventData]
    after: int | None = None


@dataclass(frozen=True, slots=True)
class Completed:
    """The agent came to its end. Going on after this means that words came in meanwhile."""

    stop_reason: str


@dataclass(frozen=True, slots=True)
class Waits:
    """The run lets go of its worker until what it waits for has come.

    `asked`: the provider named `retry_at`, so nobody wakes the run before.
    `limits`, or the task's `task`, were found to be used up, as `reached` says: when they were raised
    meanwhile, nothing is waited for.
    With `after`, nothing is waited for when the log has gone on past that seq: it may hold the answer.
    """

    reason: WaitReason
    detail: str
    retry_at: datetime | None = None
    limits: Limits | None = None
    task: TaskLimits | None = None
    reached: BudgetReached | None = None
    after: int | None = None
    asked: bool = False


@dataclass(frozen=True, slots=True)
class DayFull:
    """A call was not reserved: all that `principal` may spend on `day` (UTC) is spent or reserved.

    `taken`, `wanted` by the call, and `allowed` are nano-dollars; `taken` is without this call.
    """

    principal: str
    day: date
    taken: int
    wanted: int
    allowed: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The run cannot go on."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The run was asked to stop and has: nothing of it is alive. `content` tells the model later."""

    principal: str
    reason: str | None
    content: list[Block]


Stop: TypeAlias = Completed | Waits | Failed | Cancelled
Turn: TypeAlias = Append | Stop
Answer: TypeAlias = bool | DayFull | None
"""What the loop is told of an append."""


@dataclass(frozen=True, slots=True)
class Words:
    """A piece of a streamed block, or of a command's output, for whoever is watching."""

    step: int
    block: int
    kind: Literal["text", "thinking", "tool_input", "output"]
    text: str
    call_id: str | None = None
    tool: str | None = None
