"""Estimates of tokens: high on purpose, and of what is at hand only."""

from collections.abc import Sequence

import orjson

from flynn.domain.blob import references
from flynn.domain.content import Block

BYTES_PER_TOKEN = 2.5
"""Low on purpose: an estimate that is too large costs a count, one that is too small the price step."""

STEP_TOKENS = 40_000
"""Tokens that the results of one step may add, texts and media together: one full page of text.

With the longest usual answer (16,000) they leave 39,000 of the 95,000 that a prompt may have: a conversation
beneath that may take one more step, whatever it brings.
"""


def tokens_of(blocks: Sequence[Block] | object) -> int:
    """A high estimate of the tokens of JSON content, media apart."""
    return int(len(orjson.dumps(blocks)) / BYTES_PER_TOKEN) + 1


def tokens_of_media(blocks: Sequence[Block]) -> int:
    """What the images and documents in `blocks` were estimated at when they were made."""
    return sum(int(source["tokens"]) for source in references(blocks))
