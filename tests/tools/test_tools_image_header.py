"""Headers and bodies of images: what is there is found, what is not is never claimed, nothing is raised."""

import struct
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flynn.tools.image import MAX_BYTES, MAX_EDGE, Picture
from flynn.tools.image_body import flaw
from flynn.tools.image_header import ImageHeader, read_header
from tests.media import animation, image, png, png_chunk

FORMATS: list[tuple[str, str, dict[str, Any]]] = [
    ("PNG", "RGB", {}),
    ("PNG", "RGBA", {}),
    ("PNG", "L", {}),
    ("PNG", "LA", {}),
    ("PNG", "1", {}),
    ("PNG", "P", {"bits": 4}),
    ("PNG", "I;16", {}),
    ("JPEG", "RGB", {}),
    ("JPEG", "L", {"progressive": True}),
    ("JPEG", "CMYK", {"exif": b"Exif\0\0" + b"\xff\xd8\xff\xd9" * 9, "comment": b"\xff\xda"}),
    ("GIF", "P", {}),
    ("GIF", "P", {"interlace": 1, "comment": b"words" * 99}),
    ("WEBP", "RGB", {}),
    ("WEBP", "RGBA", {"lossless": True}),
    ("WEBP", "RGB", {"exif": b"Exif\0\0II"}),
]
SAMPLES = [image(37, 21, kind, mode=mode, **how) for kind, mode, how in FORMATS]
SAMPLES += [animation(3), animation(3, "WEBP")]


@pytest.mark.parametrize(("kind", "mode", "how"), FORMATS, ids=[f"{k}-{m}-{[*h]}" for k, m, h in FORMATS])
def test_real_images_are_read_and_whole(kind: str, mode: str, how: dict[str, Any]) -> None:
    data = image(301, 77, kind, mode=mode, **how)
    header = read_header(data)
    assert header == ImageHeader(f"image/{kind.lower()}", 301, 77)  # type: ignore[arg-type]  # the four names
    assert flaw(data, header) is None
    assert flaw(data + b"something behind it", header) is None


def test_an_interlaced_png_is_counted_pass_by_pass() -> None:
    for width, height in ((1, 1), (3, 2), (5, 9), (8, 8), (17, 33)):
        steps = (
            (0, 0, 8, 8),
            (4, 0, 8, 8),
            (0, 4, 4, 8),
            (2, 0, 4, 4),
            (0, 2, 2, 4),
            (1, 0, 2, 2),
            (0, 1, 1, 2),
        )
        rows = b"".join(
            (b"\0" + b"\7" * len(range(x, width, dx))) * len(range(y, height, dy))
            for x, y, dx, dy in steps
            if x < width
        )
        whole = interlaced(width, height, rows)
        header = read_header(whole)
        assert header is not None
        assert flaw(whole, header) is None
        assert flaw(interlaced(width, height, rows[:-1]), header) is not None


def interlaced(width: int, height: int, rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 1)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(kind, body) for kind, body in parts)


@pytest.mark.parametrize("place", range(len(SAMPLES)))
def test_an_image_that_ends_early_is_never_whole(place: int) -> None:
    data = SAMPLES[place]
    for length in range(len(data) - 1):
        header = read_header(data[:length])
        if header is None:
            continue
        assert header == read_header(data)
        # A GIF whose first image is complete can be shown, and so can an animation's first frame.
        if flaw(data[:length], header) is None:
            assert header.media_type == "image/gif"


@given(data=st.binary(max_size=200))
def test_no_bytes_make_the_reader_raise(data: bytes) -> None:
    for start in (b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"RIFF\x20\0\0\0WEBP"):
        check(start + data)


@given(st.data())
def test_no_damage_makes_the_reader_raise_or_claim_what_is_not_there(data: st.DataObject) -> None:
    sample = bytearray(data.draw(st.sampled_from(SAMPLES)))
    for _ in range(data.draw(st.integers(1, 8))):
        sample[data.draw(st.integers(0, len(sample) - 1))] = data.draw(st.integers(0, 255))
    check(bytes(sample[: data.draw(st.integers(0, len(sample)))]))


def check(data: bytes) -> None:
    """Whatever is claimed stands in the bytes, and goes away with them."""
    header = read_header(data)
    if header is None:
        return
    assert header.width >= 1
    assert header.height >= 1
    assert max(header.width, header.height) < 2**31
    if header.media_type == "image/png":
        assert data[16:24] == struct.pack(">II", header.width, header.height)
    if header.media_type == "image/gif":
        assert data[6:10] == struct.pack("<HH", header.width, header.height)
    if header.media_type == "image/jpeg":
        assert struct.pack(">HH", header.height, header.width) in data
    picture = Picture.of(data)
    if isinstance(picture, Picture):
        assert max(header.width, header.height) <= MAX_EDGE
        assert len(data) <= MAX_BYTES
        tokens = picture.block["source"]["tokens"]
        assert header.width * header.height <= 750 * tokens < header.width * header.height + 750


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (png(65_535, 65_535, b""), "too large (65535x65535 pixels"),
        (png(2**31 - 1, 1, b""), "too large"),
        (png(2**31, 1, b""), "its header makes no sense"),
        (png(0, 7, b""), "its header makes no sense"),
        (png(100, 100, b"\0" * 50), "fewer pixels than its header says"),
        (png(100, 100, b"")[:-4] + b"abcd", "a checksum in it is wrong"),
        (png(10, 10, b"\0" * 310, colour=5), "its header makes no sense"),
        (png(10, 10, b"\0" * 310, depth=3), "its header makes no sense"),
        (png(10, 10, b"\0" * 310)[:33] + png_chunk(b"IDAT", b"no zlib") + b"\0", "cannot be unpacked"),
        (png(10, 10, b"\0" * 310)[:33], "its end is missing"),
        (b"GIF89a\x0a\0\x0a\0\0\0\0;", "it holds no image"),
        (b"GIF89a\x0a\0\x0a\0\0\0\0,\0\0\0\0\x0a\0\x0a\0\0\x08\0;", "it holds no pixels"),
        (b"GIF89a\x0a\0\x0a\0\0\0\0,\0\0\0\0\x0a\0\x0a\0\0\x63\1\1\0;", "its header makes no sense"),
        (b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0" + b"\0" * 10, "it holds no image"),
        (b"RIFF\xff\0\0\0WEBPVP8X\x0a\0\0\0" + b"\0" * 10, "its end is missing"),
        (b"RIFF\x16\0\0\0WEBPVP8X\xff\0\0\0" + b"\0" * 10, "its end is missing"),
        (b"words", "its header makes no sense"),
    ],
)
def test_hostile_images_are_named(data: bytes, words: str) -> None:
    assert words in str(Picture.of(data))


@pytest.mark.slow
def test_a_bomb_is_unpacked_no_further_than_its_header_promises() -> None:
    # 200 MB of zeros behind a header of one pixel: whole, by its header, and nothing of it is kept.
    assert isinstance(Picture.of(png(1, 1, b"\0" * 200_000_000)), Picture)


def test_a_jpeg_of_endless_segments_is_given_up() -> None:
    assert read_header(b"\xff\xd8" + b"\xff\xfe\0\2" * 500_000) is None
    assert read_header(b"\xff\xd8\xff" + b"\xff" * 50_000) is None
    filled = image(5, 7, "JPEG")
    assert read_header(filled[:2] + b"\xff" * 9 + filled[2:]) == ImageHeader("image/jpeg", 5, 7)


def test_what_is_no_image_has_a_flaw() -> None:
    assert flaw(b"%PDF-", ImageHeader("application/pdf", 1, 1)) == "it is no image"
