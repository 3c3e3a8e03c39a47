"""The result of one tool call. A tool's failure is a result, not an exception."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from flynn.domain.blob import Blob
from flynn.domain.content import Block, clean
from flynn.domain.evidence import Evidence
from flynn.domain.original import Original


class Outcome(StrEnum):
    """How a tool call ended."""

    OK = "ok"
    ERROR = "error"
    CANCELLED = "cancelled"
    DENIED = "denied"
    """A rule, a mode or a person said no; it did not begin."""
    UNKNOWN = "unknown"
    """It had begun when its worker was lost; nobody knows what it did."""


class ToolResult(BaseModel):
    """What the model reads (`content`, text or API blocks) and what everybody else does (`evidence`).

    `blobs` are the bytes that the blocks refer to, `originals` what changed files held before; nobody reads
    those but an undo.
    """

    model_config = ConfigDict(frozen=True)

    content: str | list[Block]
    outcome: Outcome = Outcome.OK
    evidence: tuple[Evidence, ...] = ()
    blobs: tuple[Blob, ...] = ()
    originals: tuple[Original, ...] = ()

    @classmethod
    def error(cls, message: str, *evidence: Evidence) -> "ToolResult":
        """A failure in words that a model can act on."""
        return cls(content=message, outcome=Outcome.ERROR, evidence=evidence)

    def block(self, call_id: str) -> Block:
        """The `tool_result` block that answers the call `call_id`, cleaned and never empty."""
        content: str | list[Block]
        if isinstance(self.content, str):
            content = clean(self.content) or "(no output)"
        else:
            content = [
                {**b, "text": clean(b["text"])} if b.get("type") == "text" else b for b in self.content
            ]
        block: Block = {"type": "tool_result", "tool_use_id": call_id, "content": content}
        if self.outcome is not Outcome.OK:
            block["is_error"] = True
        return block
