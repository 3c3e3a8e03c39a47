"""Segments of the database's log in a line's directory: their names, their order, packed and unpacked.

00000001000000000000000A            a whole segment, as pg_receivewal leaves it
00000001000000000000000A.gz         the same, packed by us (pg_receivewal knows such names)
00000001000000000000000B.partial    the one that is being received
00000002.history                    how a timeline came to be
"""

import gzip
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

SEGMENT_BYTES = 16_777_216
PAGE_BYTES = 8192
"""Of the log."""

_NAME = re.compile(r"(?P<name>[0-9A-F]{24})(?P<kind>|\.gz|\.partial)")
_HISTORY = re.compile(r"[0-9A-F]{8}\.history")
_CHUNK = 1 << 20


def lsn_of(text: str) -> int:
    """A position in the log, as PostgreSQL writes it (`0/16B3748`), as a number of bytes."""
    high, _, low = text.partition("/")
    return (int(high, 16) << 32) | int(low, 16)


def segment_name(timeline: int, lsn: int) -> str:
    """The name of the segment that holds position `lsn`."""
    number = lsn // SEGMENT_BYTES
    per_log = (1 << 32) // SEGMENT_BYTES
    return f"{timeline:08X}{number // per_log:08X}{number % per_log:08X}"


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment: its name as the server knows it, and where it is."""

    name: str
    path: Path
    partial: bool = False
    packed: bool = False


def segments(directory: Path) -> list[Segment]:
    """The segments in `directory`, the oldest first, each once: whole rather than partial."""
    found: dict[str, Segment] = {}
    if directory.is_dir():
        for path in directory.iterdir():
            if match := _NAME.fullmatch(path.name):
                kind = match["kind"]
                segment = Segment(match["name"], path, kind == ".partial", kind == ".gz")
                known = found.get(segment.name)
                if known is None or known.partial:
                    found[segment.name] = segment
    return [found[name] for name in sorted(found)]


def histories(directory: Path) -> list[Path]:
    """The files that tell of timelines."""
    if not directory.is_dir():
        return []
    return sorted(path for path in directory.iterdir() if _HISTORY.fullmatch(path.name))


def pack(directory: Path) -> int:
    """Compress what was received whole; gives how many. Safe beside the receiver, and after a kill."""
    for draft in directory.glob("*.draft"):
        draft.unlink(missing_ok=True)
    packed = 0
    for segment in segments(directory):
        if segment.partial or segment.packed:
            continue
        draft = directory / f"{segment.name}.draft"
        with segment.path.open("rb") as source, draft.open("wb") as file:
            with gzip.GzipFile("", "wb", compresslevel=4, fileobj=file, mtime=0) as target:
                shutil.copyfileobj(source, target, _CHUNK)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(directory / f"{segment.name}.gz")
        sync(directory)
        segment.path.unlink()
        packed += 1
    return packed


def prune(directory: Path, first: str) -> int:
    """Remove the segments before the one named `first`; gives how many."""
    gone = 0
    for path in list(directory.iterdir()) if directory.is_dir() else []:
        match = _NAME.fullmatch(path.name)
        if match and match["kind"] != ".partial" and match["name"] < first:
            path.unlink(missing_ok=True)
            gone += 1
    return gone


def gap_after(found: list[Segment]) -> str | None:
    """The name of the first segment that is missing between those `found`; None when none is."""
    for one, other in pairwise(found):
        if one.name[:8] == other.name[:8]:
            expected = segment_name(int(one.name[:8], 16), _start(one.name) + SEGMENT_BYTES)
            if expected != other.name:
                return expected
    return None


def _start(name: str) -> int:
    return (int(name[8:16], 16) << 32) + int(name[16:], 16) * SEGMENT_BYTES


def end_of(found: list[Segment]) -> int:
    """The position after the last of the segments, 0 for none."""
    return _start(found[-1].name) + SEGMENT_BYTES if found else 0


def put(segment: Segment, target: Path) -> None:
    """Write a segment, unpacked and of full length, to `target`. Raises OSError, EOFError, zlib.error."""
    opening: Callable[[Path], object] = gzip.open if segment.packed else lambda path: path.open("rb")
    with opening(segment.path) as source, target.open("wb") as file:  # type: ignore[attr-defined] # both read
        shutil.copyfileobj(source, file, _CHUNK)
        if file.tell() < SEGMENT_BYTES:
            file.truncate(SEGMENT_BYTES)


def goes_on(partial: Path, live: Path) -> bool:
    """Whether `live`, a segment of a server's own, begins with all that `partial` holds of it."""
    try:
        with partial.open("rb") as one, live.open("rb") as other:
            for held, own in zip(_pages(one.fileno()), _pages(other.fileno()), strict=True):
                if not any(held):
                    return True  # from here on nothing was received
                if held != own and not own.startswith(held.rstrip(b"\0")):
                    return False
    except (OSError, ValueError):
        return False
    return True


def _pages(descriptor: int) -> Iterator[bytes]:
    while page := os.read(descriptor, PAGE_BYTES):
        yield page


def sync(directory: Path) -> None:
    """See that the directory's entries are on the disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
