"""What is remembered of a workspace's directories between two looks: which files need not be read again.

A file is as it was when inode and time of change are: only the kernel sets the latter (inode(7)). A time that
was too young when the file was read proves nothing and is remembered as 0.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from flynn.workspace.snapshots.node import Node, decode
from flynn.workspace.snapshots.store import Store

MOST_UNCOVERED: Final = 200
"""Uncovered places that are named; beyond them they are only counted."""


@dataclass(slots=True)
class Item:
    """A name in a directory: `inode` and `changed` (st_ctime in nanoseconds) when it was read."""

    inode: int
    changed: int
    node: Node
    folder: "Folder | None" = None


@dataclass(slots=True)
class Folder:
    """A directory as it was last seen, under the digest of its entries.

    `uncovered` are paths relative to it and why, at most MOST_UNCOVERED; `left_out` counts all of them.
    `ignored` is None where nobody has asked yet.
    """

    items: dict[str, Item]
    digest: str
    uncovered: tuple[tuple[str, str], ...] = ()
    left_out: int = 0
    ignored: bool | None = None


@dataclass(slots=True)
class _Times:
    numbers: "array[int]" = field(default_factory=lambda: array("Q"))
    at: int = 0

    def next(self) -> int:
        number = self.numbers[self.at]
        self.at += 1
        return number


def remember(root: Folder) -> bytes:
    """`root` as bytes for `recall`: its digest, then inodes and times in the order of its trees."""
    numbers = array("Q")
    _note(root, numbers)
    return root.digest.encode("ascii") + numbers.tobytes()


def _note(folder: Folder, numbers: "array[int]") -> None:
    for _, item in _ordered(folder):
        # What is uncovered is judged anew by the next run.
        numbers.append(item.inode if item.node.covered else 0)
        numbers.append(item.changed if item.node.covered else 0)
        if item.folder is not None:
            _note(item.folder, numbers)


def _ordered(folder: Folder) -> Iterator[tuple[str, Item]]:
    """As `encode` has them: by the bytes of the names."""
    yield from sorted(folder.items.items(), key=lambda pair: pair[0].encode("utf-8", "surrogateescape"))


def recall(data: bytes, store: Store) -> Folder | None:
    """What `remember` wrote, as far as the store still has it; None when it does not fit together."""
    times = _Times()
    try:
        times.numbers.frombytes(data[64:])
        return _recall(data[:64].decode("ascii"), store, times)
    except (ValueError, IndexError, LookupError):
        return None


def _recall(digest: str, store: Store, times: _Times) -> Folder:
    tree = store.get(digest)
    if tree is None:
        raise LookupError(digest)
    items: dict[str, Item] = {}
    uncovered: list[tuple[str, str]] = []
    left_out = 0
    for name, node in decode(tree):
        item = Item(times.next(), times.next(), node)
        if node.kind == "directory":
            item.folder = _recall(node.digest, store, times)
            uncovered += [(f"{name}/{path}", why) for path, why in item.folder.uncovered]
            left_out += item.folder.left_out
        elif node.kind == "uncovered":
            uncovered.append((name, node.digest))
            left_out += 1
        elif not store.has(node.digest):
            item.changed = 0  # swept since: it has to be read again
        items[name] = item
    return Folder(items, digest, tuple(uncovered[:MOST_UNCOVERED]), left_out)
