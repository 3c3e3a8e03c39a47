"""A pack: objects one after the other, each named by its digest, in a file that is written once.

It is made under another name and takes its own when it is whole and on the disk. Raises OSError.
"""

import mmap
import os
import secrets
import struct
import zlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_HEAD: Final = struct.Struct("<32sBQ")
"""Before each object of a pack: digest, whether it is deflated, stored bytes."""
_MAGIC: Final = b"flynn snapshots 1\n"
_SMALL: Final = 128
"""Bytes below which deflating saves nothing."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stored object lies: the pack's name, and bytes from its beginning."""

    pack: str
    offset: int
    length: int
    deflated: bool


class PackWriter:
    """A pack in the making."""

    def __init__(self, packs: Path) -> None:
        self._packs = packs
        self._name = f"{secrets.token_hex(16)}.pack"
        self._staged = packs / f"{self._name}.tmp"
        self._file = self._staged.open("xb")
        self._file.write(_MAGIC)
        self.offsets: set[str] = set()
        self.size = len(_MAGIC)

    def add(self, digest: str, data: bytes) -> None:
        """Append one object."""
        stored = zlib.compress(data, 1) if len(data) > _SMALL else data
        deflated = len(data) > _SMALL and len(stored) < len(data)
        stored = stored if deflated else data
        self._file.write(_HEAD.pack(bytes.fromhex(digest), deflated, len(stored)))
        self._file.write(stored)
        self.offsets.add(digest)
        self.size += _HEAD.size + len(stored)

    def finish(self) -> str:
        """Give the pack its name."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._staged.rename(self._packs / self._name)
        except BaseException:
            self.drop()
            raise
        return self._name

    def drop(self) -> None:
        """Leave nothing of it."""
        with suppress(OSError):  # a full disk fails to flush what nobody wants any more
            self._file.close()
        self._staged.unlink(missing_ok=True)


def places(name: str, data: mmap.mmap) -> Iterable[tuple[str, Place]]:
    """The objects of the pack `name`, which holds `data`, by their digests. Raises ValueError for no pack."""
    if data[: len(_MAGIC)] != _MAGIC:
        raise ValueError(f"{name} is no pack")
    at, end = len(_MAGIC), len(data)
    found: list[tuple[str, Place]] = []
    while at + _HEAD.size <= end:
        digest, deflated, length = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        found.append((digest.hex(), Place(name, at, length, bool(deflated))))
        at += length
    return found
