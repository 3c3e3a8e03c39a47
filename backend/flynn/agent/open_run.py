"""What the fold knows of the present run: what it has used and may use, and what it has to undo."""

from dataclasses import dataclass, field
from uuid import UUID

from flynn.agent.step import FailedStep
from flynn.domain import events as ev
from flynn.domain.run import Limits
from flynn.domain.usage import Usage


@dataclass(frozen=True, slots=True)
class Undo:
    """An undo that was asked for and has not come to its end, and where in the log it was."""

    seq: int
    request: ev.UndoRequested


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
