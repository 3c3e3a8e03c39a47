"""Takes pages out of a PDF document, or looks at all of it.

Arguments: "workspace" or "tmp", the path beneath it, the first and the last page (0 and 0: all, if they
are no more than the next number), the most pages that are taken without being named, bytes and tokens of
the result. Answers `{"sha256", "pages", "first", "last", "tokens", "whole"}` and, unless all of the file
is to be sent as it is (`whole`), a document of those pages; or `{"failure": code, "pages"?}`.

A page costs its image and its text: about 1,600 tokens, as the largest image does (docs: pdf-support,
vision), and its characters.
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

from pypdf import PageObject, PdfReader, PdfWriter

_MEMORY: Final = 2 << 30
_LARGEST: Final = 64 << 20
_PAGE_IMAGE: Final = 1_600
_UNREADABLE_TEXT: Final = 3_000
"""What a page's text is taken to cost when it cannot be got out; a full page of it is about that."""
_BYTES_PER_TOKEN: Final = 2.5


class Failure(Exception):
    """No document can be made; the arguments are a word that the service knows, and the number of pages."""


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


def take(
    data: bytes, first: int, last: int, unnamed: int, largest: int, tokens: int
) -> tuple[dict[str, object], bytes]:
    """Pages `first` to `last`, or as many of them as `largest` bytes and `tokens` allow."""
    reader = PdfReader(io.BytesIO(data))
    if reader.is_encrypted:
        raise Failure("encrypted")
    total = len(reader.pages)
    if not total:
        raise Failure("empty")
    if not first and total > unnamed:
        raise Failure("many", total)
    if first > total:
        raise Failure("past", total)
    first, last = first or 1, min(last or total, total)
    costs: list[int] = []
    for number in range(first, last + 1):
        costs.append(cost(reader.pages[number - 1]))
        if len(costs) > 1 and sum(costs) > tokens:
            costs.pop()
            break
    if costs[0] > tokens:
        raise Failure("tokens", total)
    count, made = len(costs), b""
    whole = count == total and len(data) <= largest
    if not whole:
        made = extract(reader, first, count)
        while len(made) > largest:
            if count == 1:
                raise Failure("bytes", total)
            count //= 2
            made = extract(reader, first, count)
    answer = {"sha256": hashlib.sha256(data).hexdigest(), "pages": total, "first": first}
    return {**answer, "last": first + count - 1, "tokens": sum(costs[:count]), "whole": whole}, made


def cost(page: PageObject) -> int:
    """A high estimate of the tokens of a page."""
    try:
        text = page.extract_text()
    except Exception:  # a hostile page makes the reader raise anything
        return _PAGE_IMAGE + _UNREADABLE_TEXT
    return _PAGE_IMAGE + int(len(text.encode("utf-8", "replace")) / _BYTES_PER_TOKEN)


def extract(reader: PdfReader, first: int, count: int) -> bytes:
    """A document of `count` pages from the page `first` on."""
    writer = PdfWriter()
    for number in range(first, first + count):
        writer.add_page(reader.pages[number - 1])
    made = io.BytesIO()
    writer.write(made)
    return made.getvalue()


def main(arguments: list[str]) -> None:
    """Answer on standard output."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    place, path, *numbers = arguments
    document = b""
    answer: dict[str, object]
    try:
        answer, document = take(read(place, path), *map(int, numbers))
    except Failure as failure:
        code, *pages = failure.args
        answer = {"failure": code, **({"pages": pages[0]} if pages else {})}
    except MemoryError:
        answer = {"failure": "memory"}
    except Exception:  # a hostile file makes the reader raise anything
        answer = {"failure": "damaged"}
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n" + document)


if __name__ == "__main__":
    main(sys.argv[1:])
