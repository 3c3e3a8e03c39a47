"""How much of the disk a workspace takes, and how much it may take.

What counts are allocated blocks, a file with several names once. Measuring walks the tree by descriptor,
never through a symbolic link or into another file system, and gives up after so many entries: what it
knows by then is the least that there is.
"""

import os
import stat
import threading
import time
from dataclasses import dataclass, field
from typing import Final

from flynn.domain.errors import WorkspaceError
from flynn.workspace.beneath import Opener, best_opener

MOST_ENTRIES: Final = 500_000
"""Entries that are counted before a measurement ends incomplete."""

BLOCK: Final = 4096
"""Bytes to which the size of new content is rounded up, as most file systems do."""

_UNIT: Final = 512
"""st_blocks counts in these, stat(2)."""
_LONG: Final = 1_000
"""Characters of a path after which the walk goes on from a descriptor, so that depth has no limit."""
_FRESH_SECONDS: Final = 2.0
_SHARE: Final = 10
"""A measurement stays valid for so many times as long as it took: measuring costs at most a tenth."""


class QuotaExceeded(WorkspaceError):
    """The workspace has no room for this."""

    code = "quota-exceeded"
    title = "The workspace is full"


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes on the disk; the least there are when `complete` is false."""

    bytes: int
    complete: bool = True


@dataclass(slots=True)
class _Known:
    bytes: int
    complete: bool
    until: float
    rested: float
    """When measuring again costs little of the time since."""


class Meter:
    """What workspaces take, remembered for a while. One a process; safe to use from several threads."""

    def __init__(self, most_entries: int = MOST_ENTRIES) -> None:
        self._most = most_entries
        self._known: dict[tuple[int, int], _Known] = {}
        self._lock = threading.Lock()

    def usage(self, root: int) -> Usage:
        """What the tree of the directory `root` (a descriptor) takes; measured anew when it was long ago.

        Blocks on the disk: run it in a thread.
        """
        key = _identity(root)
        with self._lock:
            known = self._known.get(key)
            if known is not None and time.monotonic() < known.until:
                return Usage(known.bytes, known.complete)
        began = time.monotonic()
        measured = measure(root, self._most)
        ended = time.monotonic()
        with self._lock:
            if len(self._known) >= 10_000:
                self._known.clear()
            rested = ended + _SHARE * (ended - began)
            until = max(ended + _FRESH_SECONDS, rested)
            self._known[key] = _Known(measured.bytes, measured.complete, until, rested)
        return measured

    def doubt(self, root: int) -> None:
        """Somebody else may have written: measure again as soon as that costs little."""
        with self._lock:
            known = self._known.get(_identity(root))
            if known is not None:
                known.until = known.rested

    def note(self, root: int, change: int) -> None:
        """Add what this process itself has just written."""
        with self._lock:
            known = self._known.get(_identity(root))
            if known is not None:
                known.bytes = max(known.bytes + change, 0)


@dataclass(frozen=True, slots=True)
class Quota:
    """Most bytes that a workspace may take."""

    limit: int
    meter: Meter

    def full(self, root: int) -> bool:
        """Whether the tree of `root` takes all that it may."""
        return self.meter.usage(root).bytes >= self.limit

    def admit(self, root: int, path: str, more: int) -> None:
        """Raise QuotaExceeded when `path` cannot take `more` bytes. What frees bytes is always admitted."""
        if more <= 0:
            return
        used = self.meter.usage(root).bytes
        if used + more > self.limit:
            raise QuotaExceeded(
                f"{path} cannot be written: the workspace takes {used:,} bytes of the {self.limit:,} that it "
                f"may take, and this needs {more:,} more. Remove what is not needed, then try again."
            )


def growth(size: int, before: os.stat_result | None) -> int:
    """Bytes by which a tree grows when `size` bytes of content take the place of `before` (None: nothing)."""
    freed = before.st_blocks * _UNIT if before is not None and before.st_nlink == 1 else 0
    return -(-size // BLOCK) * BLOCK - freed


def measure(root: int, most_entries: int = MOST_ENTRIES) -> Usage:
    """Count what lies beneath the directory `root`, a descriptor. Raises no error for what it cannot see."""
    walk = _Walk(os.fstat(root).st_dev, most_entries)
    walk.visit(root, best_opener(root))
    return Usage(walk.bytes, walk.complete)


@dataclass(slots=True)
class _Walk:
    device: int
    rest: int
    bytes: int = 0
    complete: bool = True
    linked: set[int] = field(default_factory=set)

    def visit(self, top: int, opener: Opener) -> None:
        """Count the tree of `top`; subtrees with long paths from a descriptor of their own."""
        pending = ["."]
        while pending and self.complete:
            path = pending.pop()
            try:
                directory = opener(top, path, follow=False, directory=True)
            except OSError:
                continue
            try:
                if path != "." and len(path) > _LONG:
                    self.visit(directory, opener)
                else:
                    pending += [name if path == "." else f"{path}/{name}" for name in self.count(directory)]
            finally:
                os.close(directory)

    def count(self, directory: int) -> list[str]:
        """Add what is in one directory; gives the names of its directories."""
        below: list[str] = []
        try:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK | os.O_CLOEXEC
            source = os.open(f"/proc/self/fd/{directory}", flags)
        except OSError:
            return below
        try:
            with os.scandir(source) as entries:
                for entry in entries:
                    self.rest -= 1
                    if self.rest < 0:
                        self.complete = False
                        return []
                    try:
                        status = entry.stat(follow_symlinks=False)
                    except OSError:
                        continue
                    if self.add(status):
                        below.append(entry.name)
        finally:
            os.close(source)
        return below

    def add(self, status: os.stat_result) -> bool:
        """Add one entry; whether it is a directory to go into."""
        if status.st_dev != self.device:
            return False
        directory = stat.S_ISDIR(status.st_mode)
        if status.st_nlink > 1 and not directory:
            if status.st_ino in self.linked:
                return False
            self.linked.add(status.st_ino)
        self.bytes += status.st_blocks * _UNIT
        return directory


def _identity(root: int) -> tuple[int, int]:
    status = os.fstat(root)
    return status.st_dev, status.st_ino
