"""What the first bytes of an image say: its type and its size. Nothing is decoded here.

The bytes are anybody's. Whatever they are, the answer is a header that is there in full, or None; nothing
is raised. Sources: PNG (W3C) section 11.2.1; JPEG (ITU-T T.81) annex B; GIF89a section 18; the WebP
container (RFC 9649).
"""

from dataclasses import dataclass
from typing import Final

from flynn.domain.blob import MediaType

PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_FRAMES: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""Markers of JPEG that begin a frame; the three left out begin tables and extensions."""
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers of JPEG without a segment."""
_SEGMENTS: Final = 1_000
"""Segments and fill bytes of a JPEG that are looked at before its frame."""


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """The type and the size in pixels, both sides at least 1."""

    media_type: MediaType
    width: int
    height: int


def read_header(data: bytes) -> ImageHeader | None:
    """The header of a PNG, JPEG, GIF or WebP image, or None when `data` does not begin with one."""
    if data.startswith(PNG_SIGNATURE):
        return _sized("image/png", _png(data))
    if data.startswith(b"\xff\xd8\xff"):
        return _sized("image/jpeg", _jpeg(data))
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return _sized("image/gif", _pair(data, 6, 8, 2))
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _sized("image/webp", _webp(data))
    return None


def _sized(media_type: MediaType, size: tuple[int, int] | None) -> ImageHeader | None:
    return ImageHeader(media_type, *size) if size is not None and min(size) > 0 else None


def _png(data: bytes) -> tuple[int, int] | None:
    if len(data) < 33 or data[8:16] != b"\0\0\0\x0dIHDR":
        return None
    width, height = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    return (width, height) if max(width, height) < 2**31 else None


def _pair(data: bytes, first: int, second: int, size: int) -> tuple[int, int] | None:
    """Two little-endian numbers of `size` bytes."""
    if len(data) < second + size:
        return None
    return (
        int.from_bytes(data[first : first + size], "little"),
        int.from_bytes(data[second : second + size], "little"),
    )


def _jpeg(data: bytes) -> tuple[int, int] | None:
    position = 2
    for _ in range(_SEGMENTS):
        if data[position : position + 2] == b"\xff\xff":  # fill bytes may stand before a marker
            position += 1
            continue
        if len(data) < position + 4 or data[position] != 0xFF:
            return None
        marker = data[position + 1]
        if marker in _ALONE:
            position += 2
            continue
        length = int.from_bytes(data[position + 2 : position + 4])
        if length < 2 or marker in (0x00, 0xD9, 0xDA):
            return None
        if marker in _FRAMES:
            if length < 8 or len(data) < position + 9:
                return None
            height = int.from_bytes(data[position + 5 : position + 7])
            return int.from_bytes(data[position + 7 : position + 9]), height
        position += 2 + length
    return None


def _webp(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if kind == b"VP8X":
        if len(data) < 30:
            return None
        return (
            1 + int.from_bytes(data[24:27], "little"),
            1 + int.from_bytes(data[27:30], "little"),
        )
    if kind == b"VP8L":
        if len(data) < 25 or data[20] != 0x2F:
            return None
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        found = _pair(data, 26, 28, 2)
        return None if found is None else (found[0] & 0x3FFF, found[1] & 0x3FFF)
    return None
