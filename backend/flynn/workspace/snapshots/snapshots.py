"""The snapshots of one run: what the workspace held when it began, and after each of its calls.

Everything here blocks on the disk; whoever calls it does so from one thread at a time. What goes wrong is
SnapshotFailed, in words for people: a run goes on without a snapshot, and its log says so.
"""

import errno
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Final
from uuid import UUID

from flynn.domain.errors import WorkspaceError
from flynn.workspace.root import Workspace
from flynn.workspace.snapshots.comparison import Change, Net, TreeMissing, compare, find
from flynn.workspace.snapshots.folder import Folder, recall, remember
from flynn.workspace.snapshots.scan import MOST_ENTRIES, Scan, TooMany
from flynn.workspace.snapshots.store import Store, StoreFull

LONGEST_SECONDS: Final = 120.0
"""How long one look may take."""


class SnapshotFailed(Exception):
    """No snapshot could be taken, or one is not there any more; the message says why, for people."""


class _Halted(Exception):
    """The look was to end."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A snapshot: its tree; some of the places that are not covered, and why; how many those are."""

    tree: str
    uncovered: tuple[tuple[str, str], ...]
    left_out: int


class Snapshots:
    """Takes snapshots of `workspace` into the store in `directory`; `close` them with the run.

    `key` stands for this tree among those that share the store: a workspace and its checkouts.
    """

    def __init__(
        self, workspace: Workspace, directory: Path, *, key: str, run_id: UUID, most_bytes: int
    ) -> None:
        self._workspace = workspace
        self._directory = directory
        self._key = key
        self._run_id = run_id
        self._most = most_bytes
        self._store: Store | None = None
        self._root: Folder | None = None
        self._held = ExitStack()
        self._stopped = Event()

    # -- taking --------------------------------------------------------------------------------------

    def begin(self, seq: int) -> Taken:
        """Take the snapshot that the run begins with, when the log has come to `seq`."""
        with self._failing():
            taken = self._take(())
            self._opened().begin(self._run_id, taken.tree, seq)
            self._remember()
            return taken

    def began(self) -> tuple[str, int] | None:
        """The tree that the run began with, and the seq it was taken at; None when it has not."""
        with self._failing():
            return self._opened().began(self._run_id)

    def look(self, path: str | None = None) -> Taken:
        """Take the workspace as it is now; with `path`, only what is there is looked at."""
        with self._failing():
            return self._take(path.split("/") if path is not None else ())

    def stop(self) -> None:
        """End a look that is under way in another thread: it raises SnapshotFailed."""
        self._stopped.set()

    def close(self) -> None:
        """Let go of the store; what is known of the files is kept for the next run."""
        try:
            with self._failing():
                if self._store is not None and self._root is not None:
                    self._remember()
        finally:
            self._held.close()
            self._store = self._root = None

    # -- what was taken ----------------------------------------------------------------------------------

    def changes(self, before: str, after: str) -> list[Change]:
        """What differs between two trees."""
        with self._failing():
            return list(compare(self._opened(), before, after))

    def net(self, pairs: Iterable[tuple[str, str]]) -> Net:
        """What is left of the differences of pairs of trees, put one after the other."""
        net = Net()
        with self._failing():
            for before, after in pairs:
                net.add(compare(self._opened(), before, after))
        return net

    def content(self, digest: str) -> bytes | None:
        """What a file with this digest held, or where a link led; None when it is not kept."""
        with self._failing():
            return self._opened().get(digest)

    def digest_at(self, tree: str, path: str) -> str | None:
        """What names the content of the file at `path` in `tree`; None for no file, or an uncovered one."""
        with self._failing():
            node = find(self._opened(), tree, path)
            return node.digest if node is not None and node.kind == "file" else None

    # -- inside ----------------------------------------------------------------------------------------

    def _take(self, parts: list[str] | tuple[()]) -> Taken:
        store = self._opened()
        self._stopped.clear()
        until = monotonic() + LONGEST_SECONDS

        def halt() -> None:
            if self._stopped.is_set() or monotonic() > until:
                raise _Halted

        scan = Scan(store, halt=halt)
        try:
            with self._workspace.locate(".") as root:
                if parts and self._root is not None:
                    found = scan.path(root.fileno(), self._root, parts)
                else:
                    found = scan.whole(root.fileno(), self._root)
            store.flush()
        except BaseException:
            # What was read since the last flush is not in the store, so what is known of it is not either.
            store.forget()
            raise
        if self._root is None or found.digest != self._root.digest:
            store.anchor(found.digest)
        self._root = found
        return Taken(found.digest, found.uncovered, found.left_out)

    def _opened(self) -> Store:
        if self._store is None:
            store = Store(self._directory, most_bytes=self._most)
            self._held.enter_context(store.in_use())
            known = store.load_stats(self._key)
            self._root = recall(known, store) if known is not None else None
            self._store = store
        return self._store

    def _remember(self) -> None:
        if self._store is not None and self._root is not None:
            self._store.anchor(self._root.digest)
            self._store.save_stats(self._key, remember(self._root))

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except StoreFull:
            raise SnapshotFailed(
                f"the snapshots of this workspace would take more than {self._most // 2**20} MB "
                "(FLYNN_SNAPSHOTS_MB)"
            ) from None
        except TooMany:
            raise SnapshotFailed(f"the workspace has more than {MOST_ENTRIES:,} files") from None
        except _Halted:
            raise SnapshotFailed("looking at the workspace took too long, or was stopped") from None
        except TreeMissing as error:
            raise SnapshotFailed(f"{error} They are kept for FLYNN_KEEP_UNDO_DAYS.") from None
        except WorkspaceError as error:
            raise SnapshotFailed(error.detail.rstrip(".")) from error
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            told = "the disk is full" if full else f"the disk said: {error.strerror}"
            raise SnapshotFailed(told) from error
