"""What images and documents hold, decoded as the API decodes them: the libraries say whether it can be.

It looks at what a test or a demo sends, so it may decode in process.
"""

import binascii
import io
from base64 import b64decode
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from PIL import Image
from pypdf import PdfReader

from flynn.domain.content import Block

_MOST_PIXELS: Final = 8_000 * 8_000
_KEPT: Final = 256


class Unreadable(Exception):
    """The API could not read it; the argument says why."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An image that can be decoded: its type as its bytes have it, and its longer side in pixels."""

    media_type: str
    edge: int


def edge_of(block: Block) -> int:
    """The longer side of an image block that was judged before; 0 when its bytes are not in it."""
    data = block["source"].get("data")
    return picture(data).edge if isinstance(data, str) else 0


def pages_of(block: Block) -> int:
    """The pages of a document block that was judged before; 0 when it is no PDF in base64."""
    source = block["source"]
    return pages(source["data"]) if source["type"] == "base64" else 0


@lru_cache(_KEPT)
def picture(data: str) -> Picture:
    """Decode an image from base64. Raises Unreadable."""
    try:
        image = Image.open(io.BytesIO(_bytes(data)), formats=("PNG", "JPEG", "GIF", "WEBP"))
        if image.width * image.height <= _MOST_PIXELS:
            image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise Unreadable("could not process image") from error
    return Picture(f"image/{(image.format or '').lower()}", max(image.size))


@lru_cache(_KEPT)
def pages(data: str) -> int:
    """How many pages a PDF document in base64 has. Raises Unreadable."""
    document = _bytes(data)
    try:
        reader = PdfReader(io.BytesIO(document))
        count = 0 if reader.is_encrypted else len(reader.pages)
    except Exception as error:  # the reader raises anything on what is no PDF
        raise Unreadable("the PDF specified was not valid") from error
    if not count:
        raise Unreadable("the PDF specified is password protected or has no pages")
    return count


def _bytes(data: str) -> bytes:
    try:
        return b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Unreadable("invalid base64 data") from error
