"""The scan: a look at every name of a workspace, by descriptor and never through a link, for a snapshot.

Only files that may have changed since the last look are read. What is no file, link or directory, or is too
large, is written down as uncovered with the reason, so that a later snapshot cannot take it for removed.
`.git`, wherever it is, is not looked into: git's own data is git's to keep.
"""

import errno
import os
import re
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from flynn.workspace.snapshots.folder import MOST_UNCOVERED, Folder, Item
from flynn.workspace.snapshots.ignored import MOST_BYTES, Rules
from flynn.workspace.snapshots.node import Node, Reason, encode, permissions
from flynn.workspace.snapshots.store import Store

LARGEST: Final = 32 * 2**20
"""Bytes of a file that is covered."""
LARGEST_IGNORED: Final = 4 * 2**20
"""Bytes of an ignored file that is covered."""
IGNORED_ENTRIES: Final = 2_000
IGNORED_BYTES: Final = 32 * 2**20
"""What an ignored directory may hold, all in all, to be covered."""
MOST_ENTRIES: Final = 200_000
"""Names in a workspace up to which snapshots are taken."""
DEEPEST: Final = 100
"""Directories within each other: each takes a descriptor during the walk."""

_STAGED: Final = re.compile(r"\.flynn-[0-9a-f]{16}\.tmp")
_GRAIN_NS: Final = 100_000_000
"""Times younger than this may stand still while a file changes: kernels count in ticks of 1-10 ms."""
_COARSE_NS: Final = 2_100_000_000
"""The same where a file system keeps whole seconds, or pairs of them."""
_SECOND_NS: Final = 1_000_000_000
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


class TooMany(Exception):
    """The workspace has more names than a snapshot takes."""


class _OverBudget(Exception):
    """An ignored directory holds more than is covered of one."""


@dataclass(frozen=True, slots=True)
class _Here:
    """The directory that is looked at: `budget` where it lies in an ignored one."""

    fd: int
    path: str = ""
    rules: Rules = field(default_factory=Rules)
    budget: "_Budget | None" = None
    depth: int = 0


@dataclass(slots=True)
class _Budget:
    entries: int
    size: int

    def spend(self, size: int) -> None:
        self.entries -= 1
        self.size -= size
        if self.entries < 0 or self.size < 0:
            raise _OverBudget


class Scan:
    """One look. `halt` is called again and again and may raise to end it. Blocks on the disk.

    What it reads goes into `store`, which nobody flushes here.
    """

    def __init__(self, store: Store, *, halt: Callable[[], None]) -> None:
        self._store = store
        self._halt = halt
        self._since = store.clock()
        self._entries = 0

    def whole(self, root: int, known: Folder | None) -> Folder:
        """The tree beneath the directory `root`; gives `known` itself when nothing has changed."""
        descriptor = os.open(f"/proc/self/fd/{root}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return self._folder(_Here(descriptor), known)
        finally:
            os.close(descriptor)

    def path(self, root: int, known: Folder, parts: Sequence[str]) -> Folder:
        """`known`, but with what is at the path of `parts` now; nothing else is looked at."""
        descriptor = os.open(f"/proc/self/fd/{root}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return self._along(_Here(descriptor), known, parts)
        finally:
            os.close(descriptor)

    # -- directories ---------------------------------------------------------------------------------

    def _folder(self, here: _Here, known: Folder | None) -> Folder:
        self._halt()
        with os.scandir(here.fd) as found:
            entries = list(found)
        self._entries += len(entries)
        if self._entries > MOST_ENTRIES:
            raise TooMany
        if any(entry.name == ".gitignore" for entry in entries):
            here = self._within(here)
        budget = here.budget
        old_items = known.items if known is not None else {}
        items: dict[str, Item] = {}
        changed = known is None
        for entry in entries:
            name = entry.name
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue  # gone since it was listed
            if budget is not None:
                budget.spend(status.st_size)
            old = old_items.get(name)
            if (
                old is not None
                and old.changed == status.st_ctime_ns
                and old.inode == status.st_ino
                and not stat.S_ISDIR(status.st_mode)
            ):
                items[name] = old
                continue
            if _skipped(name):
                continue
            item = self._item(here, name, status, old)
            if item is None:
                continue
            items[name] = item
            changed = changed or item is not old
        if known is not None and not changed and len(items) == len(old_items):
            return known
        return self._made(items, known)

    def _along(self, here: _Here, known: Folder, parts: Sequence[str]) -> Folder:
        name, *rest = parts
        old = known.items.get(name)
        here = self._within(here)
        item: Item | None = None
        with suppress(FileNotFoundError):
            status = os.stat(name, dir_fd=here.fd, follow_symlinks=False)
            if not _skipped(name):
                inner = old.folder if old is not None and stat.S_ISDIR(status.st_mode) else None
                if rest and inner is not None:
                    item = self._directory(here, name, status, old, rest)
                else:
                    item = self._item(here, name, status, old)
        if item is old:
            return known
        items = {key: value for key, value in known.items.items() if key != name}
        if item is not None:
            items[name] = item
        return self._made(items, known)

    def _made(self, items: dict[str, Item], known: Folder | None) -> Folder:
        uncovered: list[tuple[str, str]] = []
        left_out = 0
        for name, item in items.items():
            if item.folder is not None:
                left_out += item.folder.left_out
                uncovered += [(f"{name}/{path}", why) for path, why in item.folder.uncovered]
            elif not item.node.covered:
                left_out += 1
                uncovered.append((name, item.node.digest))
        digest = self._store.put(encode((name, item.node) for name, item in items.items()))
        ignored = known.ignored if known is not None else None
        return Folder(items, digest, tuple(sorted(uncovered)[:MOST_UNCOVERED]), left_out, ignored)

    def _within(self, here: _Here) -> _Here:
        """`here`, with the rules of the `.gitignore` that lies there, if it is a file that can be read."""
        try:
            source = os.open(".gitignore", _FILE, dir_fd=here.fd)
        except OSError:
            return here
        with os.fdopen(source, "rb") as file:
            if not stat.S_ISREG(os.fstat(source).st_mode):
                return here
            text = file.read(MOST_BYTES + 1)
        if len(text) > MOST_BYTES:
            return here
        return replace(here, rules=here.rules.within(here.path, os.fsdecode(text)))

    # -- what a directory holds -----------------------------------------------------------------------

    def _item(self, here: _Here, name: str, status: os.stat_result, old: Item | None) -> Item | None:
        """What `name` is now; None when it has gone meanwhile, and `old` itself when it is the same."""
        try:
            if stat.S_ISDIR(status.st_mode):
                return self._directory(here, name, status, old, ())
            if stat.S_ISREG(status.st_mode):
                limit = LARGEST
                if status.st_size > LARGEST_IGNORED and here.rules.ignores(
                    _join(here.path, name), directory=False
                ):
                    limit = LARGEST_IGNORED
                return self._file(here.fd, name, status, limit)
            if stat.S_ISLNK(status.st_mode):
                target = os.fsencode(os.readlink(name, dir_fd=here.fd))
                return self._read(status, Node("link", 0o777, self._store.put(target)))
        except OSError as error:
            if error.errno in _GONE or (error.errno == errno.EINVAL and stat.S_ISLNK(status.st_mode)):
                return None
            if error.errno not in (errno.EACCES, errno.EPERM):
                raise
            return _uncovered(status, "unreadable")
        return _uncovered(status, "special")

    def _directory(
        self, here: _Here, name: str, status: os.stat_result, old: Item | None, rest: Sequence[str]
    ) -> Item:
        """The directory `name`; with `rest`, only what is at that path in it is looked at."""
        below = _join(here.path, name)
        if old is not None and old.inode == status.st_ino and old.node.digest == "ignored":
            return old  # as large as it was: it is not walked at every call
        if here.depth >= DEEPEST:
            return _uncovered(status, "deep")
        known = old.folder if old is not None else None
        ignored = known.ignored if known is not None else None
        if ignored is None:
            ignored = here.budget is not None or here.rules.ignores(below, directory=True)
        outermost = ignored and here.budget is None
        inner = os.open(name, _DIRECTORY, dir_fd=here.fd)
        try:
            there = _Here(inner, below, here.rules, _budget() if outermost else here.budget, here.depth + 1)
            if rest and known is not None:
                folder = self._along(there, known, rest)
            else:
                folder = self._folder(there, known)
        except _OverBudget:
            if not outermost:
                raise
            return _uncovered(status, "ignored")
        finally:
            os.close(inner)
        folder.ignored = ignored
        mode = permissions(status.st_mode)
        if old is not None and folder is known and old.node.mode == mode:
            return old
        return Item(status.st_ino, 0, Node("directory", mode, folder.digest), folder)

    def _file(self, fd: int, name: str, status: os.stat_result, limit: int) -> Item | None:
        if status.st_size > limit:
            return _uncovered(status, "large" if limit == LARGEST else "ignored")
        with os.fdopen(os.open(name, _FILE, dir_fd=fd), "rb", buffering=0) as source:
            before = os.fstat(source.fileno())
            if not stat.S_ISREG(before.st_mode):
                return None  # another thing by now; the next look will tell
            data = _whole(source.fileno(), before.st_size, limit)
            after = os.fstat(source.fileno())
        if data is None:
            return _uncovered(after, "large" if limit == LARGEST else "ignored")
        item = self._read(after, Node("file", permissions(after.st_mode), self._store.put(data)))
        if before.st_ctime_ns != after.st_ctime_ns:
            item.changed = 0  # somebody writes it right now
        return item

    def _read(self, status: os.stat_result, node: Node) -> Item:
        """What was read of a thing with `status`, and whether its time of change proves anything later."""
        changed = status.st_ctime_ns
        grain = _GRAIN_NS if changed % _SECOND_NS else _COARSE_NS
        return Item(status.st_ino, changed if changed < self._since - grain else 0, node)


def _whole(source: int, size: int, limit: int) -> bytes | None:
    """All that the file holds; None when it is more than `limit` bytes by now."""
    data = os.read(source, size + 1)
    if len(data) == size:
        return data
    parts = [data]
    total = len(data)
    while (part := os.read(source, 1 << 20)) and total <= limit:
        parts.append(part)
        total += len(part)
    return None if total > limit else b"".join(parts)


def _budget() -> _Budget:
    return _Budget(IGNORED_ENTRIES, IGNORED_BYTES)


def _uncovered(status: os.stat_result, reason: Reason) -> Item:
    return Item(status.st_ino, status.st_ctime_ns, Node("uncovered", 0, reason))


def _skipped(name: str) -> bool:
    """Whether `name` is git's own, or what a write of ours stages beside the file."""
    return name.casefold() == ".git" or (name.startswith(".flynn-") and bool(_STAGED.fullmatch(name)))


def _join(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name
