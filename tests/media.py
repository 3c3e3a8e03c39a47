"""Images and documents for tests, made on the spot."""

import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any

from PIL import Image
from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject


def image(
    width: int, height: int, format: str = "PNG", *, mode: str = "RGB", noise: bool = False, **how: Any
) -> bytes:
    """An image file: a gradient, or noise that does not compress."""
    made = Image.effect_noise((width, height), 80) if noise else Image.linear_gradient("L")
    file = io.BytesIO()
    made.resize((width, height)).convert(mode).save(file, format, **how)
    return file.getvalue()


def animation(frames: int, format: str = "GIF", *, width: int = 20) -> bytes:
    """An animated image, each frame of another grey."""
    drawn = [Image.new("L", (width, 20), 10 * number) for number in range(frames)]
    file = io.BytesIO()
    drawn[0].save(file, format, save_all=True, append_images=drawn[1:])
    return file.getvalue()


def png(width: int, height: int, pixels: bytes, *, depth: int = 8, colour: int = 2) -> bytes:
    """A PNG file whose header and pixels say what they are told to."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(pixels)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(kind, body) for kind, body in chunks)


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """One chunk of a PNG file."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def pdf(texts: Sequence[str], *, password: str | None = None) -> bytes:
    """A PDF document of a page for each text."""
    writer = PdfWriter()
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
        }
    )
    for text in texts:
        page = writer.add_blank_page(595, 842)
        stream = DecodedStreamObject()
        lines = " T* ".join(f"({line}) Tj" for line in text.split("\n"))
        stream.set_data(f"BT /F1 10 Tf 12 TL 40 800 Td {lines} ET".encode())
        page[NameObject("/Contents")] = writer._add_object(stream)
        fonts = DictionaryObject({NameObject("/F1"): font})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
    if password is not None:
        writer.encrypt(password, algorithm="RC4-128")
    file = io.BytesIO()
    writer.write(file)
    return file.getvalue()
