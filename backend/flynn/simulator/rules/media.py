"""Rules on images and documents: they can be read, are what they say, and are not too large.

Sources: docs: vision (types, 8,000 pixels, 2,000 in requests of more than 20 images, 10 MB, 600 images),
pdf-support (600 pages, no encryption); CLAUDE_PLATFORM.md section 3.
"""

from collections.abc import Sequence
from typing import Final

from flynn.domain.content import Block
from flynn.simulator.api_error import invalid
from flynn.simulator.media import Unreadable, pages, picture
from flynn.simulator.reading import Reading

_IMAGE_BASE64: Final = 10_000_000
_EDGE: Final = 8_000
_EDGE_OF_MANY: Final = 2_000
_MANY: Final = 20
_IMAGES: Final = 600
_PAGES: Final = 600


def check_image(block: Block, place: str) -> None:
    """An image in base64 can be decoded, is of the type that it says, and is within the limits.

    Raises:
        ApiError: 400.
    """
    source = block["source"]
    if source["type"] != "base64":
        return
    data = source["data"]
    if len(data) > _IMAGE_BASE64:
        raise invalid("image-size", f"{place}.source: the image exceeds {_IMAGE_BASE64} base64 bytes")
    try:
        found = picture(data)
    except Unreadable as error:
        raise invalid("image-unreadable", f"{place}.source: {error}") from error
    if found.media_type != source["media_type"]:
        raise invalid(
            "image-type",
            f"{place}.source: the image was specified as {source['media_type']} but appears to be "
            f"{found.media_type}",
        )
    if found.edge > _EDGE:
        raise invalid("image-pixels", f"{place}.source: an edge of the image exceeds {_EDGE} pixels")


def check_document(block: Block, place: str) -> None:
    """A PDF document in base64 can be read.

    Raises:
        ApiError: 400.
    """
    source = block["source"]
    if source["type"] == "base64":
        try:
            pages(source["data"])
        except Unreadable as error:
            raise invalid("pdf-unreadable", f"{place}.source: {error}") from error


def check_media(readings: Sequence[Reading]) -> None:
    """All media of a request together are within the limits.

    Raises:
        ApiError: 400.
    """
    images = sum(reading.images for reading in readings)
    if images > _IMAGES:
        raise invalid("too-many-images", f"messages: {images} images; at most {_IMAGES} in a request")
    if images > _MANY and max(reading.edge for reading in readings) > _EDGE_OF_MANY:
        raise invalid(
            "image-pixels", f"messages: with more than {_MANY} images none may exceed {_EDGE_OF_MANY} pixels"
        )
    total = sum(reading.pages for reading in readings)
    if total > _PAGES:
        raise invalid("too-many-pages", f"messages: PDF documents of {total} pages; at most {_PAGES}")
