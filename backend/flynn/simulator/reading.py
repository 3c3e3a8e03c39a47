"""Readings: what the rules and the accounts need to know of a message, or of what stands before them.

A conversation grows by appending, so each message of it comes again and again. Its reading is kept by
its digest: rules that look at one message alone run once, rules on the sequence run every time, over
the readings.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, Generic, TypeVar

import orjson

from flynn.domain.content import Block, Json
from flynn.simulator import canonical, media, tokens
from flynn.simulator.conversation import blocks_of

T = TypeVar("T")
_KEPT: Final = 50_000
_RESULT: Final = "tool_result"


@dataclass(frozen=True, slots=True)
class Position:
    """A place where the prompt cache may end: one tool, system block or content block."""

    digest: bytes
    tokens: int
    kind: str
    """The block's type; "tool" for a tool definition."""
    ttl: str | None
    """The TTL of a breakpoint here."""


@dataclass(frozen=True, slots=True)
class ThinkingSeen:
    """A thinking block as it was sent back: its index in the content, its text and its signature."""

    index: int
    text: str
    signature: str


@dataclass(frozen=True, slots=True)
class Reading:
    """One message."""

    role: str
    blocks: int
    binding: bytes
    """Digest of the canonical form (flynn.simulator.canonical)."""
    positions: tuple[Position, ...]
    calls: tuple[str, ...]
    """Ids of tool_use blocks."""
    results: tuple[str, ...]
    """Ids that tool_result blocks answer."""
    results_first: bool
    thinking: tuple[ThinkingSeen, ...]
    images: int
    edge: int
    """The longest side of an image, in pixels."""
    pages: int
    """Of all PDF documents."""
    last_type: str | None
    ttls: tuple[str, ...]
    """The TTLs of all breakpoints, those within tool results included, in order."""


@dataclass(frozen=True, slots=True)
class PrefixReading:
    """What stands before the messages: tools and system."""

    binding: bytes
    tools: tuple[Position, ...]
    system: tuple[Position, ...]
    ttls: tuple[str, ...]


class Readings(Generic[T]):
    """Keeps what was made for a digest; the oldest unused goes first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, T] = OrderedDict()

    def get(self, key: bytes, make: Callable[[], T]) -> T:
        """What was made for `key`, made now if it never was. What `make` raises is not kept."""
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
            return found
        made = make()
        self._kept[key] = made
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return made


def digest(*parts: bytes) -> bytes:
    """A 16-byte digest of the parts, one after the other."""
    hashed = blake2b(digest_size=16)
    for part in parts:
        hashed.update(part)
    return hashed.digest()


def read_message(message: dict[str, Json]) -> Reading:
    """Read a message that keeps the rules on its shape."""
    blocks = blocks_of(message)
    inner = nested(blocks)
    images = [b for b in inner if b.get("type") == "image"]
    results = [b["tool_use_id"] for b in blocks if b["type"] == _RESULT]
    return Reading(
        role=message["role"],
        blocks=len(blocks),
        binding=digest(canonical.message(message["role"], blocks)),
        positions=tuple(_position(block, block["type"]) for block in blocks),
        calls=tuple(b["id"] for b in blocks if b["type"] == "tool_use"),
        results=tuple(results),
        results_first=all(b["type"] == _RESULT for b in blocks[: len(results)]),
        thinking=tuple(
            ThinkingSeen(i, b["thinking"], b["signature"])
            for i, b in enumerate(blocks)
            if b["type"] == "thinking"
        ),
        images=len(images),
        edge=max(map(media.edge_of, images), default=0),
        pages=sum(map(media.pages_of, (b for b in inner if b.get("type") == "document"))),
        last_type=blocks[-1]["type"] if blocks else None,
        ttls=tuple(ttls(inner)),
    )


def read_prefix(payload: dict[str, Json]) -> PrefixReading:
    """Read the tools and the system prompt of a request that keeps the rules on their shape."""
    tools: list[Block] = payload.get("tools") or []
    system = system_blocks(payload)
    return PrefixReading(
        binding=digest(canonical.prefix(system, tools)),
        tools=tuple(_position(tool, "tool") for tool in tools),
        system=tuple(_position(block, "text") for block in system),
        ttls=(*ttls(tools), *ttls(system)),
    )


def system_blocks(payload: dict[str, Json]) -> list[Block]:
    """The system prompt as blocks; a string is one, an empty one none."""
    system = payload.get("system") or []
    return [{"type": "text", "text": system}] if isinstance(system, str) else system


def nested(blocks: Iterable[Block]) -> list[Block]:
    """The blocks and those within them, in order; an inner one before the one that holds it."""
    found: list[Block] = []
    for block in blocks:
        content = block.get("content")
        if isinstance(content, list):
            found += nested(part for part in content if isinstance(part, dict))
        found.append(block)
    return found


def ttls(blocks: Iterable[Block]) -> list[str]:
    """The TTLs of the breakpoints on these blocks; five minutes unless they say otherwise."""
    return [mark.get("ttl") or "5m" for block in blocks if (mark := block.get("cache_control"))]


def _position(block: Block, kind: str) -> Position:
    bare = {name: block[name] for name in sorted(block) if name != "cache_control"}
    mark = block.get("cache_control")
    size = tokens.BLOCK_OVERHEAD + tokens.of_json(bare) if kind == "tool" else tokens.of_block(bare)
    ttl = (mark.get("ttl") or "5m") if mark else None
    return Position(digest(orjson.dumps(bare)), size, kind, ttl)
