"""What differs between trees, and what is left of many differences when they are put one after the other."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from flynn.workspace.snapshots.node import Node, alike, decode
from flynn.workspace.snapshots.store import Store


class TreeMissing(Exception):
    """A tree, or a part of one, is not kept any more."""


@dataclass(frozen=True, slots=True)
class Change:
    """A path (as the file system has it), and what was and is there: None for nothing."""

    path: str
    before: Node | None
    after: Node | None

    @property
    def covered(self) -> bool:
        """Whether both sides are known."""
        return all(node is None or node.covered for node in (self.before, self.after))


def compare(store: Store, before: str, after: str) -> Iterator[Change]:
    """What differs between two trees, parents before what lies in them. Raises TreeMissing."""
    if before != after:
        yield from _compare(store, "", before, after)


def find(store: Store, tree: str, path: str) -> Node | None:
    """What `tree` has at `path`; None for nothing. Raises TreeMissing."""
    node: Node | None = Node("directory", 0, tree)
    for part in path.split("/"):
        if node is None or node.kind != "directory":
            return None
        node = _entries(store, node.digest).get(part)
    return node


@dataclass(slots=True)
class Net:
    """Differences put one after the other, for each path: what was first and what is last.

    `broken` are paths that somebody else changed between two of them; `uncovered` those that were not covered
    at some time.
    """

    changes: dict[str, Change] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    uncovered: set[str] = field(default_factory=set)

    def add(self, changes: Iterable[Change]) -> None:
        """Put `changes` after those before."""
        for change in changes:
            if not change.covered:
                self.uncovered.add(change.path)
                continue
            earlier = self.changes.get(change.path)
            if earlier is not None and not alike(earlier.after, change.before):
                self.broken.add(change.path)
            first = change.before if earlier is None else earlier.before
            self.changes[change.path] = Change(change.path, first, change.after)

    def left(self) -> list[Change]:
        """What still differs, by path."""
        return [
            change
            for _, change in sorted(self.changes.items())
            if change.path not in self.uncovered and not _same(change)
        ]


def _same(change: Change) -> bool:
    if change.before is None or change.after is None:
        return change.before is change.after
    return alike(change.before, change.after) and change.before.mode == change.after.mode


def _compare(store: Store, above: str, before: str | None, after: str | None) -> Iterator[Change]:
    old = _entries(store, before) if before is not None else {}
    new = _entries(store, after) if after is not None else {}
    for name in sorted({*old, *new}):
        was, now = old.get(name), new.get(name)
        if was == now:
            continue
        path = f"{above}{name}"
        kinds = (was.kind if was else None, now.kind if now else None)
        if kinds != ("directory", "directory") or (was and now and was.mode != now.mode):
            yield Change(path, was, now)
        if "uncovered" in kinds:
            continue  # what lies in it is not known on one side
        yield from (
            _compare(
                store,
                f"{path}/",
                was.digest if was is not None and was.kind == "directory" else None,
                now.digest if now is not None and now.kind == "directory" else None,
            )
            if "directory" in kinds
            else ()
        )


def _entries(store: Store, tree: str) -> dict[str, Node]:
    data = store.get(tree)
    if data is None:
        raise TreeMissing(f"The snapshot {tree[:12]} is not kept any more.")
    return dict(decode(data))
