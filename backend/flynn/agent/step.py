"""Model calls and the tool calls they asked for, as the fold holds them; nothing here acts."""

from dataclasses import dataclass
from uuid import UUID

from flynn.domain import events as ev
from flynn.domain.content import Block, Json


@dataclass(slots=True)
class Step:
    """A model call: its manifest, and the assistant's blocks once they are adopted."""

    number: int
    manifest: tuple[int, ...]
    chain: bytes
    reserved: int
    model: str
    max_tokens: int
    reserved_tokens: int = 0
    account: bool = False
    """Whether it asks for a task's account."""
    content: list[Block] | None = None
    stop_reason: str | None = None


@dataclass(frozen=True, slots=True)
class FailedStep:
    """A model call that failed, and where the log says so."""

    event: ev.StepFailed
    seq: int
    max_tokens: int


@dataclass(slots=True)
class Call:
    """A tool call that the last adopted message asked for."""

    call_id: str
    tool: str
    input: Json
    run_id: UUID | None = None
    """The run that asked for it; a later run closes the call without running it."""
    started: bool = False
    finished: bool = False
