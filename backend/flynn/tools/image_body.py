"""Whether an image is all there: its parts follow each other to the end, as its header promises.

The API refuses an image that it cannot decode, and with it the whole request, each time it is sent. So
nothing is sent whose end is missing or whose size is a lie. Nothing is decoded but a PNG's stream, which
is counted, and thrown away, up to the length that its header promises.
"""

import zlib
from collections.abc import Iterator
from typing import Final

from flynn.tools.image_header import ImageHeader

_PIECE: Final = 1 << 16
_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Samples of a pixel by PNG's colour type, section 11.2.1."""
_PASSES: Final = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
"""Adam7: first column and row, and the steps to the next, section 8.1."""


def flaw(data: bytes, header: ImageHeader) -> str | None:
    """What is wrong with the image that begins with `header`, in a few words; None when it is whole.

    The work grows with the size that the header promises: ask for images that are small enough to send.
    """
    try:
        match header.media_type:
            case "image/png":
                return _png(data, header)
            case "image/jpeg":
                return _jpeg(data)
            case "image/gif":
                return _gif(data)
            case "image/webp":
                return _webp(data)
            case _:
                return "it is no image"
    except IndexError:
        return "its end is missing"


def _png(data: bytes, header: ImageHeader) -> str | None:
    depth, colour, interlaced = data[24], data[25], data[28]
    if colour not in _CHANNELS or depth not in (1, 2, 4, 8, 16) or interlaced > 1:
        return "its header makes no sense"
    wanted = _scanlines(header, depth * _CHANNELS[colour], interlaced=bool(interlaced))
    inflater, inflated = zlib.decompressobj(), 0
    for kind, body, sum_fits in _png_chunks(data):
        if not sum_fits:
            return "a checksum in it is wrong"
        if kind == b"IEND":
            return None if inflated >= wanted else "it holds fewer pixels than its header says"
        if kind == b"IDAT" and inflated < wanted:
            try:
                rest = body
                while rest and inflated < wanted:
                    inflated += len(inflater.decompress(rest, _PIECE))
                    rest = inflater.unconsumed_tail
            except zlib.error:
                return "its pixels cannot be unpacked"
    return "its end is missing"


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bool]]:
    """Kind, body, and whether the checksum is right; a chunk whose end is missing raises IndexError."""
    position = 8
    while position < len(data):
        end = position + 12 + int.from_bytes(data[position : position + 4])
        if end > len(data):
            raise IndexError
        checked = data[position + 4 : end - 4]
        yield checked[:4], checked[4:], zlib.crc32(checked) == int.from_bytes(data[end - 4 : end])
        position = end


def _scanlines(header: ImageHeader, bits: int, *, interlaced: bool) -> int:
    """The bytes of all scanlines, each with its filter's byte."""
    total = 0
    for column, row, across, down in _PASSES if interlaced else ((0, 0, 1, 1),):
        width = -(-(header.width - column) // across)
        height = -(-(header.height - row) // down)
        if width > 0 and height > 0:
            total += (1 + -(-width * bits // 8)) * height
    return total


def _jpeg(data: bytes) -> str | None:
    scan = data.find(b"\xff\xda")
    return None if scan > 0 and data.rfind(b"\xff\xd9") > scan else "its end is missing"


def _gif(data: bytes) -> str | None:
    position = 13 + _colours(data[10])
    while True:
        kind = data[position]
        if kind == 0x2C:
            position += 10 + _colours(data[position + 9])
            if not 1 <= data[position] <= 11:
                return "its header makes no sense"
            end = _blocks_end(data, position + 1)
            return None if end > position + 2 else "it holds no pixels"
        if kind != 0x21:
            return "it holds no image"
        position = _blocks_end(data, position + 2)


def _colours(flags: int) -> int:
    """The bytes of a colour table that `flags` announce."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _blocks_end(data: bytes, position: int) -> int:
    """Where a chain of sub-blocks ends. Raises IndexError when it does not."""
    while size := data[position]:
        position += 1 + size
    return position + 1


def _webp(data: bytes) -> str | None:
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        return "its end is missing"
    position = 12
    while position + 8 <= end:
        kind, size = (
            data[position : position + 4],
            int.from_bytes(data[position + 4 : position + 8], "little"),
        )
        if position + 8 + size > end:
            return "its end is missing"
        if kind in (b"VP8 ", b"VP8L", b"ANMF"):
            return None
        position += 8 + size + size % 2
    return "it holds no image"
