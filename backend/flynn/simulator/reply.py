"""A reply: the message that one request is answered with, before it is put on the wire."""

import secrets
from dataclasses import dataclass, field, replace
from typing import Final

import orjson
from pydantic_core import from_json

from flynn.domain.content import Block, Json
from flynn.simulator import tokens

_ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def new_id(prefix: str) -> str:
    """Make an id as the API's look: `msg_01…`, `toolu_01…`, `req_01…`. Random, never repeated."""
    return f"{prefix}_01" + "".join(secrets.choice(_ALPHABET) for _ in range(22))


@dataclass(frozen=True, slots=True)
class ReplyBlock:
    """A block and the text in which it is streamed.

    `wire` is what the deltas carry: text, thinking text, or the JSON text of a tool call's input. Raw
    blocks are streamed whole and have none.
    """

    block: Block
    wire: str = ""

    @property
    def tokens(self) -> int:
        """What the block costs as output."""
        if self.block["type"] == "tool_use":
            return tokens.BLOCK_OVERHEAD + tokens.of_text(self.block["name"]) + tokens.of_text(self.wire)
        return tokens.of_text(self.wire) if self.wire else tokens.BLOCK_OVERHEAD

    def cut(self, characters: int) -> "ReplyBlock":
        """The block when only so many characters of its wire text came.

        A tool call keeps what of its input was complete, as the SDK reads partial JSON (SDK
        lib/streaming/_messages.py).
        """
        wire = self.wire[:characters]
        match self.block["type"]:
            case "text":
                return ReplyBlock({**self.block, "text": wire}, wire)
            case "thinking":
                return ReplyBlock({**self.block, "thinking": wire, "signature": ""}, wire)
            case "tool_use":
                return ReplyBlock({**self.block, "input": partial_input(wire)}, wire)
            case _:
                return self


def text(content: str) -> ReplyBlock:
    """A text block."""
    return ReplyBlock({"type": "text", "text": content}, content)


def tool_use(name: str, arguments: dict[str, Json] | str) -> ReplyBlock:
    """A tool_use block with a new id; `arguments` as text are streamed as they stand."""
    wire = arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode()
    block = {"type": "tool_use", "id": new_id("toolu"), "name": name, "input": partial_input(wire)}
    return ReplyBlock(block, wire)


def partial_input(wire: str) -> dict[str, Json]:
    """The object that incomplete JSON text amounts to; `{}` when nothing can be read."""
    try:
        value = from_json(wire or "{}", allow_partial=True)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


@dataclass(frozen=True, slots=True)
class InputUsage:
    """The prompt's tokens by what they cost."""

    input: int
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0

    def json(self) -> dict[str, Json]:
        """The input half of a usage object (SDK types/usage.py)."""
        return {
            "input_tokens": self.input,
            "cache_creation_input_tokens": self.cache_write_5m + self.cache_write_1h,
            "cache_read_input_tokens": self.cache_read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": self.cache_write_5m,
                "ephemeral_1h_input_tokens": self.cache_write_1h,
            },
        }


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one request."""

    model: str
    blocks: tuple[ReplyBlock, ...]
    stop_reason: str | None
    usage: InputUsage
    id: str = field(default_factory=lambda: new_id("msg"))
    stop_sequence: str | None = None
    stop_details: dict[str, Json] | None = None
    reported_output: int | None = None
    warming: bool = False
    """Whether max_tokens was 0: nothing is sampled, only the cache is written."""
    extra: dict[str, Json] = field(default_factory=dict)
    """Further top-level fields, such as `input_transformations`."""

    @property
    def output_tokens(self) -> int:
        """Output tokens: as the scenario reports them, or estimated; zero only for cache warming."""
        if self.warming:
            return 0
        if self.reported_output is not None:
            return self.reported_output
        return max(1, sum(block.tokens for block in self.blocks))

    def within(self, max_tokens: int) -> "Reply":
        """The reply as it comes when the output limit is `max_tokens`: cut, with that stop_reason."""
        if max_tokens == 0:
            return replace(self, blocks=(), stop_reason="max_tokens", warming=True)
        if sum(block.tokens for block in self.blocks) <= max_tokens:
            return self
        kept: list[ReplyBlock] = []
        left = max_tokens
        for block in self.blocks:
            if block.tokens > left:
                room = left - (block.tokens - tokens.of_text(block.wire))
                if room > 0 and block.wire:
                    kept.append(block.cut(room * tokens.CHARACTERS_PER_TOKEN))
                elif room >= 0 and block.block["type"] == "tool_use":
                    kept.append(block.cut(0))
                break
            kept.append(block)
            left -= block.tokens
        return replace(self, blocks=tuple(kept), stop_reason="max_tokens", stop_sequence=None)

    def stopped_at(self, sequences: list[str]) -> "Reply":
        """The reply as it comes when one of the stop sequences occurs in its text."""
        for index, block in enumerate(self.blocks):
            if block.block["type"] != "text":
                continue
            places = [(at, s) for s in sequences if (at := block.wire.find(s)) >= 0]
            if places:
                at, sequence = min(places)
                kept = (*self.blocks[:index], *((block.cut(at),) if at else ()))
                return replace(self, blocks=kept, stop_reason="stop_sequence", stop_sequence=sequence)
        return self

    def message(self) -> dict[str, Json]:
        """The Message object (SDK types/message.py)."""
        return {
            **self.head(),
            "content": [block.block for block in self.blocks],
            "stop_reason": self.stop_reason,
            "stop_sequence": self.stop_sequence,
            "stop_details": self.stop_details,
            "usage": {**self.usage.json(), "output_tokens": self.output_tokens, "service_tier": "standard"},
        }

    def head(self) -> dict[str, Json]:
        """The Message object before anything is sampled, as `message_start` carries it."""
        return {
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "stop_details": None,
            "usage": {**self.usage.json(), "output_tokens": 1, "service_tier": "standard"},
            **self.extra,
        }
