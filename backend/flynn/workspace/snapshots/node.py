"""What a snapshot knows of one name in a directory, and how a directory is written down.

The tree of a snapshot is named by the digest of its root directory, whose entries name the digests of their
contents: two directories with one digest hold the same, all the way down.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["file", "link", "directory", "uncovered"]
Reason = Literal["special", "unreadable", "large", "deep", "ignored"]
"""Why something is not covered."""

REASONS: Final[dict[str, str]] = {
    "special": "it is a socket, a pipe or a device",
    "unreadable": "the service may not read it",
    "large": "it is too large",
    "deep": "it lies too deep",
    "ignored": "git ignores it, or it is made anew from other files, and it is too large",
}
_LETTERS: Final[dict[Kind, str]] = {"file": "f", "link": "l", "directory": "d", "uncovered": "x"}
_KINDS: Final[dict[str, Kind]] = {letter: kind for kind, letter in _LETTERS.items()}
_PERMISSIONS: Final = 0o777


@dataclass(frozen=True, slots=True)
class Node:
    """One thing: `mode` its permission bits, `digest` the sha256 of content, target or directory.

    Of what is uncovered, `digest` is the reason.
    """

    kind: Kind
    mode: int
    digest: str

    @property
    def executable(self) -> bool:
        """Whether it is a file that its owner may run."""
        return self.kind == "file" and bool(self.mode & stat.S_IXUSR)

    @property
    def covered(self) -> bool:
        """Whether the snapshot holds it."""
        return self.kind != "uncovered"


def alike(one: Node | None, other: Node | None) -> bool:
    """Whether the two are the same but for their modes and, for directories, for what they hold."""
    if one is None or other is None:
        return one is other
    return one.kind == other.kind and (one.kind == "directory" or one.digest == other.digest)


def permissions(mode: int) -> int:
    """What of an `st_mode` a snapshot keeps: no right to act as somebody else comes back by an undo."""
    return mode & _PERMISSIONS


def encode(entries: Iterable[tuple[str, Node]]) -> bytes:
    """A directory with `entries`, names as the file system has them, as bytes; the order is made here."""
    lines = [
        (
            os.fsencode(name),
            f"{_LETTERS[node.kind]} {node.mode:o} {node.digest} ".encode("ascii"),
        )
        for name, node in entries
    ]
    # No name holds a NUL.
    return b"\0".join(told + name for name, told in sorted(lines))


def decode(data: bytes) -> Iterator[tuple[str, Node]]:
    """The entries of a directory in the order of their names' bytes. Raises ValueError for what is none."""
    if not data:
        return
    for line in data.split(b"\0"):
        letter, mode, digest, name = line.split(b" ", 3)
        yield os.fsdecode(name), Node(_KINDS[letter.decode()], int(mode, 8), digest.decode())
