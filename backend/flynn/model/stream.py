"""What a streamed answer yields: a closed union, in the order of the wire, ended by the message.

Deltas are for viewers; the record is `MessageReceived.content`.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Literal

from flynn.domain.content import Block
from flynn.domain.usage import Usage

BlockKind = Literal["text", "thinking", "tool_use", "other"]
DeltaKind = Literal["text", "thinking", "tool_input"]


@dataclass(frozen=True, slots=True)
class BlockStarted:
    """A content block opens. `tool` and `call_id` are set for a tool call."""

    index: int
    kind: BlockKind
    tool: str | None = None
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class BlockDelta:
    """More of a block: visible text, thinking, or the JSON text of a tool's input."""

    index: int
    kind: DeltaKind
    text: str


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """The whole answer, and the last item of its stream.

    `content` holds the blocks as they were received: unknown ones survive, empty thinking keeps its
    signature, tool input is a parsed JSON object. Only NUL and lone surrogates are replaced, since
    neither the log nor the API takes them back. `stop_reason` is neither `refusal` nor a truncation
    (those are failures), but may be one that this code does not know: then stop, and run no tool.
    `first_token_ms` and `duration_ms` count from the moment the call was made.
    """

    message_id: str
    model: str
    stop_reason: str
    content: list[Block]
    usage: Usage
    request_id: str | None
    first_token_ms: int | None
    duration_ms: int


StreamItem = BlockStarted | BlockDelta | MessageReceived


class Tally:
    """What is known of a call while it runs: written by the reader of the stream, read by its owner."""

    __slots__ = ("request_id", "usage", "usage_final")

    def __init__(self) -> None:
        self.usage = Usage()
        self.usage_final = False
        self.request_id: str | None = None


class ModelStream(AsyncIterator[StreamItem]):
    """One answer on its way. Iterate it once; close it (or cancel the task) to hang up at once.

    After a hang-up `usage` says what is known to have been billed: the prompt once the answer has
    begun, and the output as last reported. Until `usage_final` it is a lower bound.
    """

    def __init__(self, items: AsyncGenerator[StreamItem, None], tally: Tally) -> None:
        self._items = items
        self._tally = tally

    def __aiter__(self) -> "ModelStream":
        return self

    async def __anext__(self) -> StreamItem:
        return await anext(self._items)

    async def aclose(self) -> None:
        """Hang up: the socket is closed when this returns. Safe to call again."""
        await self._items.aclose()

    @property
    def usage(self) -> Usage:
        """What the call is known to have used so far."""
        return self._tally.usage

    @property
    def usage_final(self) -> bool:
        """Whether `usage` is the whole bill."""
        return self._tally.usage_final

    @property
    def request_id(self) -> str | None:
        """The provider's name for the call, once it has answered."""
        return self._tally.request_id
