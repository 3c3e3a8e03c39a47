"""A plain estimate of token counts. No tokenizer: a third of the characters, rounded up.

Haiku 5.5 counts about 30 % more tokens for the same text than the four characters a token of older
models (docs: models/haiku-5-5/migration-guide), hence three. The estimate is deterministic, additive
block by block and good enough for budgets, cache accounts and limits; it is not the API's count.
"""

from typing import Final

import orjson

from flynn.domain.content import Json
from flynn.simulator.media import pages_of

CHARACTERS_PER_TOKEN: Final = 3
BLOCK_OVERHEAD: Final = 3
"""Tokens that frame a block, a tool definition or a message."""
IMAGE: Final = 1600
"""Tokens of one image, whatever its size."""
PAGE: Final = 2400
"""Tokens of one page of a PDF document: its image and its text (docs: pdf-support)."""


def of_text(text: str) -> int:
    """Estimate `text`; empty text is free."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def of_json(value: Json) -> int:
    """Estimate a JSON value by the length of its compact form, in bytes."""
    return -(-len(orjson.dumps(value)) // CHARACTERS_PER_TOKEN)


def of_block(block: dict[str, Json]) -> int:
    """Estimate one content block as part of a prompt, its frame included."""
    match block.get("type"):
        case "text":
            return BLOCK_OVERHEAD + of_text(block["text"])
        case "image":
            return IMAGE
        case "document" if block["source"]["type"] == "base64":
            return BLOCK_OVERHEAD + PAGE * pages_of(block)
        case "tool_use":
            return BLOCK_OVERHEAD + of_text(block["name"]) + of_json(block["input"])
        case "tool_result":
            return BLOCK_OVERHEAD + _of_result(block.get("content"))
        case _:
            return BLOCK_OVERHEAD + of_json(block)


def _of_result(content: Json) -> int:
    if content is None:
        return 0
    if isinstance(content, str):
        return of_text(content)
    return sum(of_block(part) for part in content)
