"""The sweep of a store: trees that are too old go, and everything that only they held.

Only while no run uses the store; it is asked for again another day.
"""

from datetime import UTC, datetime
from typing import Final

from flynn.workspace.snapshots.node import decode
from flynn.workspace.snapshots.store import Store

SNAPSHOTS: Final = "snapshots"
"""Where the stores are, in what a volume has for the service: a directory for each workspace."""
MOST_PACKS: Final = 64
"""Packs beyond which they are written as one."""
_FULL: Final = 0.9
_ROOM: Final = 0.7
"""Of a store's limit: fuller than the first, the oldest trees go until no more than the second is taken."""


def sweep(store: Store, *, kept_seconds: float, now: float | None = None) -> int | None:
    """Drop trees that were anchored longer ago than `kept_seconds`; gives bytes freed, None when in use."""
    with store.alone() as alone:
        if not alone:
            return None
        now = datetime.now(UTC).timestamp() if now is None else now
        trees = sorted(store.anchored(), key=lambda pair: pair[1], reverse=True)
        kept = [tree for tree, at in trees if now - at <= kept_seconds]
        for tree, at in trees:
            if now - at > kept_seconds:
                store.release(tree)
        freed = store.retain(_reachable(store, kept), most_packs=MOST_PACKS)
        if store.size > _FULL * store.limit:
            while len(kept) > 1 and store.size > _ROOM * store.limit:
                kept, gone = kept[: len(kept) // 2], kept[len(kept) // 2 :]
                for tree in gone:
                    store.release(tree)
                freed += store.retain(_reachable(store, kept), most_packs=MOST_PACKS)
        return freed


def _reachable(store: Store, trees: list[str]) -> set[str]:
    found: set[str] = set()
    pending = list(trees)
    while pending:
        tree = pending.pop()
        if tree in found:
            continue
        found.add(tree)
        data = store.get(tree)
        for _, node in decode(data) if data is not None else ():
            if node.kind == "directory":
                pending.append(node.digest)
            elif node.covered:
                found.add(node.digest)
    return found
