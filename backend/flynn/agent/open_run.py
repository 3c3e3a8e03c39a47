"""What the fold knows of the present run and its task: what they have used and may use, and what to undo."""

from dataclasses import dataclass, field
from uuid import UUID

from flynn.agent.step import FailedStep
from flynn.domain import events as ev
from flynn.domain.run import Limits, TaskLimits
from flynn.domain.usage import Usage


@dataclass(frozen=True, slots=True)
class Undo:
    """An undo that was asked for and has not come to its end, and where in the log it was."""

    seq: int
    request: ev.UndoRequested


def was_charged(event: ev.StepCompleted | ev.StepFailed) -> bool:
    """Whether a call counts as a turn of its task: it was answered, or may have been."""
    return isinstance(event, ev.StepCompleted) or event.nanodollars > 0


def charged_tokens(event: ev.StepCompleted | ev.StepFailed) -> int:
    """The tokens that a call takes from its task: those reported, or the most that it can have had."""
    if isinstance(event, ev.StepFailed) and event.tokens is not None:
        return event.tokens
    return event.usage.total


@dataclass(slots=True)
class TaskTotals:
    """What all runs of the conversation have used together, and what they may use if it is a task's.

    `turns` are calls that were charged for. The time that they were at work is not in the log (see
    `flynn.store.task_budgets.time_at_work`).
    """

    limits: TaskLimits
    turns: int = 0
    tokens: int = 0
    nanodollars: int = 0


@dataclass(slots=True)
class AccountState:
    """How far the account of a task is: when it was asked for, how often a call was made, whether that is
    over, with an account or without."""

    asked: int | None = None
    calls: int = 0
    settled: bool = False


@dataclass(slots=True)
class RunTotals:
    """What the present run has used, and what it may use."""

    limits: Limits
    run_id: UUID | None = None
    turns: int = 0
    calls: int = 0
    """Calls that were charged for: `turns`, and failed ones."""
    tokens: int = 0
    usage: Usage = field(default_factory=Usage)
    nanodollars: int = 0
    steps: int = 0
    failures: int = 0
    """Failed attempts since the last adopted step."""
    failed_model: str | None = None
    """The model of the last failed attempt."""
    truncations: int = 0
    """Truncated answers since the last adopted step."""
    failed: FailedStep | None = None
    """The failed call that nothing has followed yet: its worker may be lost before anything does."""
