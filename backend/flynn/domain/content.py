"""Content blocks as the Messages API knows them, kept as plain JSON: stored as sent and received."""

from typing import Any, TypeAlias

Json: TypeAlias = Any
"""A JSON value. The API's blocks are never rebuilt through classes of ours: unknown ones survive."""

Block: TypeAlias = dict[str, Json]
"""One content block: `{"type": "text", "text": …}`, `{"type": "tool_use", …}`, …"""

_SURROGATES = dict.fromkeys(range(0xD800, 0xE000), "\N{REPLACEMENT CHARACTER}")
_CLEAN = {**_SURROGATES, 0: "\N{SYMBOL FOR NULL}"}


def clean(text: str) -> str:
    """Replace NUL and lone surrogates, which neither Postgres nor the API takes."""
    return text.translate(_CLEAN)


def text_block(text: str) -> Block:
    """Make a text block. The API refuses empty text, so `text` must not be empty."""
    if not text:
        raise ValueError("the API refuses empty text blocks")
    return {"type": "text", "text": clean(text)}


def text_of(blocks: list[Block]) -> str:
    """Join the visible text of `blocks`, one blank line between blocks."""
    return "\n\n".join(b["text"] for b in blocks if b.get("type") == "text" and b.get("text"))
