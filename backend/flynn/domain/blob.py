"""Blobs: the bytes of images and documents, kept once a conversation and named by their digest.

In events, in the log and on every wire to viewers a block carries a reference where the API has base64
data: `{"type": "blob", "sha256", "media_type", "bytes", "tokens"}`. Only the request to the model carries
the data itself, and always the same characters: base64 of the same bytes has one canonical form.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, Literal, TypeAlias, get_args

from flynn.domain.content import Block, Json

MediaType: TypeAlias = Literal["image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf"]
MEDIA_TYPES: Final[frozenset[str]] = frozenset(get_args(MediaType))
"""What the API takes as base64 (docs: vision, pdf-support), and so all that is ever kept or served."""

_REFERENCE: Final = "blob"
_CARRIERS: Final = frozenset({"image", "document"})


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes of a known type; `sha256` is theirs, in hexadecimal."""

    data: bytes = field(repr=False)
    media_type: MediaType
    sha256: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha256", sha256(self.data).hexdigest())

    def block(self, tokens: int) -> Block:
        """The content block that refers to it. `tokens` is a high estimate of what it adds to a prompt."""
        return {
            "type": "document" if self.media_type == "application/pdf" else "image",
            "source": {
                "type": _REFERENCE,
                "sha256": self.sha256,
                "media_type": self.media_type,
                "bytes": len(self.data),
                "tokens": tokens,
            },
        }


def references(blocks: Iterable[Block]) -> Iterator[dict[str, Json]]:
    """The references in `blocks`, those within tool results included, in order."""
    for block in blocks:
        kind = block.get("type")
        if kind in _CARRIERS:
            if block["source"].get("type") == _REFERENCE:
                yield block["source"]
        elif kind == "tool_result" and isinstance(block.get("content"), list):
            yield from references(block["content"])


def filled(blocks: list[Block], data: Callable[[str], str]) -> list[Block]:
    """`blocks` as the API takes them: base64 in place of references; what holds none is passed on as it is.

    `data` gives the base64 of a digest.
    """
    return [_filled(block, data) for block in blocks]


def _filled(block: Block, data: Callable[[str], str]) -> Block:
    if next(references([block]), None) is None:
        return block
    if block["type"] == "tool_result":
        return {**block, "content": filled(block["content"], data)}
    source = block["source"]
    whole = {"type": "base64", "media_type": source["media_type"], "data": data(source["sha256"])}
    return {**block, "source": whole}
