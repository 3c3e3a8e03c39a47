"""A turn: one answer of the scripted model, as its author wrote it.

Strings may quote earlier results (see flynn.simulator.template); they are rendered when the turn is
played, not here.
"""

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from flynn.domain.content import Json
from flynn.simulator.fault import Fault


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Text(_Frozen):
    """A text block."""

    text: str = Field(min_length=1)


class Thinking(_Frozen):
    """A thinking block.

    Its text is streamed only when the request asks for `display: summarized`; by default the block is
    empty and carries a signature alone (docs: thinking, controlling display).
    """

    thinking: str = ""


class ToolCall(_Frozen):
    """A tool_use block; several in a turn are parallel calls.

    `call` is the name under which later turns quote the result. `input` as text is streamed as it
    stands, so that a scenario can send JSON that does not parse. A tool that the request does not
    define is a mistake of the scenario, unless `undeclared` says that the model makes it up.
    """

    tool: str = Field(min_length=1)
    call: str | None = None
    input: dict[str, Json] | str = Field(default_factory=dict)
    undeclared: bool = False


class Raw(_Frozen):
    """A block sent as it stands, such as a server tool's or one of an unknown type."""

    raw: dict[str, Json]


class Object(_Frozen):
    """A text block that is one JSON object, as a request with `output_config.format` is answered.

    What the format requires and is left out here gets the least value that the format allows.
    """

    object: dict[str, Json]


_KEYS: Final = ("text", "thinking", "tool", "raw", "object")


def _block_tag(value: Json) -> str | None:
    for key in _KEYS:
        if (key in value) if isinstance(value, dict) else hasattr(value, key):
            return f"{key}-block"
    return None


TurnBlock = Annotated[
    Annotated[Text, Tag("text-block")]
    | Annotated[Thinking, Tag("thinking-block")]
    | Annotated[ToolCall, Tag("tool-block")]
    | Annotated[Raw, Tag("raw-block")]
    | Annotated[Object, Tag("object-block")],
    Discriminator(
        _block_tag,
        custom_error_type="block",
        custom_error_message="a block has one of the keys text, thinking, tool, raw or object",
    ),
]


class Pacing(_Frozen):
    """How fast a turn is streamed. All zero: at once."""

    headers_ms: float = Field(default=0, ge=0)
    """From the request to the headers and `message_start`."""
    first_token_ms: float = Field(default=0, ge=0)
    """From `message_start` to the first block."""
    tokens_per_second: float = Field(default=0, ge=0)
    """Zero: as fast as the socket takes them."""


class Turn(_Frozen):
    """One answer. `stop_reason` defaults to `tool_use` when there are calls, else `end_turn`."""

    blocks: list[TurnBlock] = Field(default_factory=list)
    stop_reason: str | None = None
    output_tokens: int | None = Field(default=None, ge=0)
    """Reported instead of the estimate."""
    pacing: Pacing | None = None
    faults: list[Fault] = Field(default_factory=list)

    @property
    def calls(self) -> list[ToolCall]:
        """The tool calls, in order."""
        return [block for block in self.blocks if isinstance(block, ToolCall)]
