"""The bytes of a file as text, and back: encoding, byte order mark and line endings are kept."""

import codecs
import re
from dataclasses import dataclass
from typing import Literal

Encoding = Literal["utf-8", "utf-16-le", "utf-16-be", "latin-1"]

_MARKS: tuple[tuple[bytes, Encoding], ...] = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_NAMES: dict[Encoding, str] = {
    "utf-8": "UTF-8",
    "utf-16-le": "UTF-16 (little endian)",
    "utf-16-be": "UTF-16 (big endian)",
    "latin-1": "Latin-1",
}
_CONTROLS = bytes({*range(32), 0x7F} - {7, 8, 9, 10, 12, 13, 27})
"""Control characters that text does not use; 7, 8 and 27 are in logs of terminals."""
_SAMPLE = 65_536
_TOLERATED = 0.02
"""The share of such characters up to which bytes that are no UTF-8 pass for Latin-1."""
_MAGIC = (
    (b"%PDF-", "PDF document"),
    (b"\x89PNG\r\n\x1a\n", "PNG image"),
    (b"\xff\xd8\xff", "JPEG image"),
    (b"GIF8", "GIF image"),
    (b"BM", "BMP image"),
    (b"II*\0", "TIFF image"),
    (b"MM\0*", "TIFF image"),
    (b"\0\0\1\0", "ICO image"),
    (b"\x7fELF", "program (ELF)"),
    (b"PK\x03\x04", "ZIP archive"),
    (b"\x1f\x8b", "gzip archive"),
    (b"SQLite format 3\0", "SQLite database"),
)
_BRANDS = {b"avif": "AVIF image", b"heic": "HEIC image", b"mif1": "HEIC image"}
"""By the first brand of an ISO base media file."""
_LINE_FEED = re.compile(r"\r?\n")


@dataclass(frozen=True, slots=True)
class Text:
    """Decoded text. `content` holds every character of the file but its byte order mark."""

    content: str
    encoding: Encoding = "utf-8"
    mark: bytes = b""

    @property
    def line_ending(self) -> str:
        """The line ending that most lines have; "\\n" for a file without any."""
        windows = self.content.count("\r\n")
        return "\r\n" if windows * 2 > self.content.count("\n") else "\n"

    @property
    def lines(self) -> list[str]:
        r"""The lines without their endings (`\n` or `\r\n`); no last empty one for a closed last line."""
        lines = _LINE_FEED.split(self.content) if "\r" in self.content else self.content.split("\n")
        if lines[-1] == "":
            lines.pop()
        return lines

    @property
    def peculiarity(self) -> str | None:
        """What is not plain UTF-8 with LF about the file, in words; None when nothing is."""
        said: list[str] = []
        if self.encoding != "utf-8" or self.mark:
            mark = ""
            if self.encoding == "utf-8":
                mark = " with a byte order mark"
            elif self.encoding != "latin-1" and not self.mark:
                mark = " without a byte order mark"
            said.append(f"encoded in {_NAMES[self.encoding]}{mark}")
        windows, all_of_them = self.content.count("\r\n"), self.content.count("\n")
        if windows:
            said.append(f"{'' if windows == all_of_them else 'some '}lines end in CRLF")
        return "; ".join(said) or None

    def encode(self, content: str) -> bytes:
        """`content` as bytes in this file's encoding, after its mark.

        Raises ValueError, with a sentence for a model, when the encoding has no place for a character.
        """
        try:
            return self.mark + content.encode(self.encoding)
        except UnicodeEncodeError as error:
            character = ascii(content[error.start])
            raise ValueError(
                f"The file is encoded in {_NAMES[self.encoding]}, which cannot hold {character}."
            ) from None


def decode(data: bytes) -> Text | None:
    """Read `data` as text, or None when it is binary.

    A byte order mark decides; else UTF-8 when it is valid; else UTF-16 when every other byte of many is
    NUL; else Latin-1 when hardly any control character would come of it. Any other NUL makes it binary.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            try:
                content = data[len(mark) :].decode(encoding)
            except UnicodeDecodeError:
                break
            return None if "\0" in content else Text(content, encoding, mark)
    if b"\0" in data:
        return _unmarked(data)
    try:
        return Text(data.decode())
    except UnicodeDecodeError:
        sample = data[:_SAMPLE]
        odd = len(sample) - len(sample.translate(None, _CONTROLS))
        if odd > len(sample) * _TOLERATED or kind(data) is not None:
            return None
        return Text(data.decode("latin-1"), "latin-1")


def _unmarked(data: bytes) -> Text | None:
    """UTF-16 without a mark: characters below U+0100 have a NUL, always on the same side."""
    if len(data) % 2:
        return None
    sample = data[:_SAMPLE]
    sides = sample[::2].count(0), sample[1::2].count(0)
    if min(sides) > 0 or max(sides) * 4 < len(sample):
        return None
    encoding: Encoding = "utf-16-le" if sides[1] else "utf-16-be"
    try:
        content = data.decode(encoding)
    except UnicodeDecodeError:
        return None
    seen = content[:_SAMPLE]
    odd = sum(ord(character) in _CONTROLS for character in seen if character < "\x80")
    return None if "\0" in content or odd > len(seen) * _TOLERATED else Text(content, encoding)


def kind(data: bytes) -> str | None:
    """What sort of well-known binary file begins with `data`; None when we do not know it."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP image"
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12])
    return next((name for magic, name in _MAGIC if data.startswith(magic)), None)
