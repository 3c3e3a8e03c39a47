"""Makes of an image file one that the API takes: small enough, of a type that it knows, one frame.

Arguments: "workspace" or "tmp", the path beneath it, and the most pixels on an edge, bytes of the result
and pixels of the original. Answers `{"sha256", "width", "height", "frames"}` and the image, or
`{"failure": code}`.
"""

import hashlib
import io
import json
import os
import resource
import stat
import sys
import tempfile
from pathlib import Path
from typing import Final

from PIL import Image, ImageOps, UnidentifiedImageError

_MEMORY: Final = 2 << 30
_LARGEST: Final = 64 << 20
_QUALITIES: Final = (85, 70, 50, 30)
_FORMATS: Final = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "DIB", "TIFF", "ICO", "AVIF")


class Failure(Exception):
    """No picture can be made; the argument says why, in a word that the service knows."""


def read(place: str, path: str) -> bytes:
    """The bytes of a regular file; nothing else blocks us."""
    root = tempfile.gettempdir() if place == "tmp" else "."
    descriptor = os.open(Path(root) / path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise Failure("changed")
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise Failure("changed")
    return data


def convert(data: bytes, edge: int, largest: int, pixels: int) -> tuple[dict[str, object], bytes]:
    """The first frame, upright, with no edge over `edge` and at most `largest` bytes, and what it is."""
    Image.MAX_IMAGE_PIXELS = None  # looked at here, before anything is decoded
    try:
        image: Image.Image = Image.open(io.BytesIO(data), formats=_FORMATS)
    except UnidentifiedImageError:
        raise Failure("unknown") from None
    size, frames = image.size, getattr(image, "n_frames", 1)
    if size[0] * size[1] > pixels:
        raise Failure("pixels")
    image.draft("RGB", (edge, edge))  # lets a JPEG be decoded at a fraction of its size
    image.load()
    if image.mode.startswith("I"):  # 16 bits of grey
        image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    plain = image.mode in ("RGB", "L", "1") or not image.has_transparency_data
    image = ImageOps.exif_transpose(image)
    image = image.convert("RGB" if plain else "RGBA")
    image.thumbnail((edge, edge), Image.Resampling.LANCZOS)
    answer = {"sha256": hashlib.sha256(data).hexdigest(), "width": size[0], "height": size[1]}
    return {**answer, "frames": frames}, encode(image, largest, lossless=data[:2] != b"\xff\xd8")


def encode(image: Image.Image, largest: int, *, lossless: bool) -> bytes:
    """PNG where that is small enough, else JPEG on white, each time worse until it is."""
    if lossless or image.mode == "RGBA":
        made = io.BytesIO()
        image.save(made, "PNG")
        if len(made.getbuffer()) <= largest:
            return made.getvalue()
    if image.mode == "RGBA":
        ground = Image.new("RGB", image.size, "white")
        ground.paste(image, mask=image.getchannel("A"))
        image = ground
    for quality in _QUALITIES:
        made = io.BytesIO()
        image.save(made, "JPEG", quality=quality)
        if len(made.getbuffer()) <= largest:
            return made.getvalue()
    raise Failure("bytes")


def main(arguments: list[str]) -> None:
    """Answer on standard output."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    place, path, *numbers = arguments
    try:
        answer, picture = convert(read(place, path), *map(int, numbers))
    except Failure as failure:
        answer, picture = {"failure": str(failure)}, b""
    except MemoryError:
        answer, picture = {"failure": "memory"}, b""
    except Exception:  # a hostile file makes a decoder raise anything
        answer, picture = {"failure": "damaged"}, b""
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n" + picture)


if __name__ == "__main__":
    main(sys.argv[1:])
