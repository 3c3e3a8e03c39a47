"""Words on the way: published, never stored. Offsets count code points within their block."""

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict


class Delta(BaseModel):
    """A piece of a block that is being streamed by the model, or of a command's output.

    For `kind` "output", `call_id` names the tool call and `block` is 0. Viewers drop deltas of lower
    epochs and of steps that are complete.
    """

    model_config = ConfigDict(frozen=True)

    conversation_id: UUID
    epoch: int
    step: int
    block: int
    offset: int
    kind: Literal["text", "thinking", "tool_input", "output"]
    text: str
    call_id: str | None = None
    tool: str | None = None
