"""The store of a workspace's snapshots: contents and directories by digest, in packs that never change.

A pack appears whole, under a name of its own, and what it holds is named by its digest: writers need no lock
and a process that dies leaves nothing that anybody waits for. Roots mark the trees that are kept. Raises
OSError where the disk does; whoever takes a snapshot turns that into words.
"""

import errno
import fcntl
import mmap
import os
import re
import secrets
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from time import sleep
from typing import Final
from uuid import UUID

from flynn.workspace.snapshots.pack import PackWriter, Place, places

_STALE_SECONDS: Final = 86_400.0
_PATIENCE: Final = 100
_PAUSE_SECONDS: Final = 0.1
_NAME: Final = re.compile(r"[0-9a-f]{32}\.pack")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class StoreFull(Exception):
    """The store would hold more than it may."""


class Store:
    """The snapshots in one directory, made on the way (mode 0700). Not for several threads at once.

    `most_bytes` are those that all packs together may have.
    """

    def __init__(self, directory: Path, *, most_bytes: int) -> None:
        self.directory = directory
        self._packs = directory / "packs"
        self._roots = directory / "roots"
        self._bases = directory / "bases"
        self._stats = directory / "stats"
        for path in (directory, self._packs, self._roots, self._bases, self._stats):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._most = most_bytes
        self._index: dict[str, Place] = {}
        self._known: set[str] = set()
        self._bytes = 0
        self._writer: PackWriter | None = None
        self._look()

    # -- reading -------------------------------------------------------------------------------------

    def has(self, digest: str) -> bool:
        """Whether the store holds `digest`, as far as this process knows."""
        return digest in self._index or (self._writer is not None and digest in self._writer.offsets)

    def get(self, digest: str) -> bytes | None:
        """What `digest` names, once it was flushed; None when it is not kept (any more)."""
        place = self._index.get(digest)
        if place is None:
            self._look()
            place = self._index.get(digest)
        if place is None:
            return None
        try:
            with (self._packs / place.pack).open("rb") as pack:
                pack.seek(place.offset)
                stored = pack.read(place.length)
            data = zlib.decompress(stored) if place.deflated else stored
        except (FileNotFoundError, zlib.error):
            return None
        return data if sha256(data).hexdigest() == digest else None

    # -- writing -------------------------------------------------------------------------------------

    def put(self, data: bytes) -> str:
        """Take `data`; gives its digest. It is there for others after `flush`. Raises StoreFull."""
        digest = sha256(data).hexdigest()
        if not self.has(digest):
            if self._writer is None:
                self._writer = PackWriter(self._packs)
            if self._bytes + self._writer.size + len(data) > self._most:
                raise StoreFull
            self._writer.add(digest, data)
        return digest

    def flush(self) -> None:
        """Make what was put durable: on the disk, under the pack's own name."""
        writer, self._writer = self._writer, None
        if writer is not None:
            name = writer.finish()
            self._take(name)

    def forget(self) -> None:
        """Drop what was put since the last flush."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.drop()

    # -- what is kept, and what a run began with ---------------------------------------------------------

    def anchor(self, tree: str) -> None:
        """Keep `tree`, from now on for as long as trees are kept."""
        (self._roots / tree).touch(mode=0o600)

    def anchored(self) -> Iterator[tuple[str, float]]:
        """Each tree that is kept, and the second since 1970 at which it was anchored last."""
        with os.scandir(self._roots) as entries:
            for entry in entries:
                if _DIGEST.fullmatch(entry.name):
                    with suppress(FileNotFoundError):
                        yield entry.name, entry.stat(follow_symlinks=False).st_mtime

    def release(self, tree: str) -> None:
        """Do not keep `tree` any more."""
        (self._roots / tree).unlink(missing_ok=True)

    def begin(self, run_id: UUID, tree: str, seq: int) -> None:
        """Note that the run found `tree` when the log had come to `seq`."""
        self._replace(self._bases / str(run_id), f"{seq} {tree}".encode())

    def began(self, run_id: UUID) -> tuple[str, int] | None:
        """What `begin` noted last: the tree and the seq."""
        try:
            seq, tree = (self._bases / str(run_id)).read_text("ascii").split()
            return tree, int(seq)
        except (FileNotFoundError, ValueError):
            return None

    def save_stats(self, key: str, data: bytes) -> None:
        """Keep what is known of the files' states under `key`: a hint, which may be lost."""
        self._replace(self._stats / key, data)

    def load_stats(self, key: str) -> bytes | None:
        """What `save_stats` kept."""
        try:
            return (self._stats / key).read_bytes()
        except FileNotFoundError:
            return None

    def clock(self) -> int:
        """Now, in nanoseconds, by the clock of the file system that the store is on."""
        mark = self.directory / "clock"
        mark.touch(mode=0o600)
        return mark.stat().st_mtime_ns

    # -- sweeping ------------------------------------------------------------------------------------

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Hold the store against being swept meanwhile. Raises OSError when a sweep does not end.

        A lock of the kernel's, which ends with its process, however that ends.
        """
        with (self.directory / "lock").open("ab") as lock:
            for _ in range(_PATIENCE):
                with suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                    break
                sleep(_PAUSE_SECONDS)
            else:
                raise OSError(errno.EBUSY, "the store of its snapshots is being swept")
            yield

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Hold the store for a sweep; False when somebody uses it, and the sweep has to wait."""
        with (self.directory / "lock").open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    @property
    def size(self) -> int:
        """Bytes of all packs that this process knows."""
        return self._bytes

    @property
    def limit(self) -> int:
        """Bytes that all packs may have."""
        return self._most

    def retain(self, wanted: set[str], *, most_packs: int) -> int:
        """Remove every object that is not in `wanted`; nobody else may use the store. Gives bytes freed.

        Packs that hold little else are written anew, and so are all when there are more than `most_packs`.
        """
        self._look()
        before = self._bytes
        held: dict[str, list[str]] = {name: [] for name in self._known}
        for digest, place in self._index.items():
            if digest in wanted:
                held[place.pack].append(digest)
        merge = len(held) > most_packs
        old = [
            name
            for name, digests in held.items()
            if merge or sum(self._index[digest].length for digest in digests) * 2 < self._packed(name)
        ]
        writer = PackWriter(self._packs)
        try:
            for name in old:
                for digest in held[name]:
                    data = self.get(digest)
                    if data is not None:
                        writer.add(digest, data)
            if writer.offsets:
                writer.finish()
            else:
                writer.drop()
        except BaseException:
            writer.drop()
            raise
        for name in old:
            (self._packs / name).unlink(missing_ok=True)
        self._index, self._known, self._bytes = {}, set(), 0
        self._look()
        self._tidy()
        return before - self._bytes

    def _packed(self, name: str) -> int:
        try:
            return (self._packs / name).stat().st_size
        except FileNotFoundError:
            return 0

    def _tidy(self) -> None:
        """Remove what processes left that died while they wrote, and what ended runs began with."""
        for directory in (self._packs, self._bases, self._stats):
            with os.scandir(directory) as entries:
                for entry in entries:
                    staged = entry.name.endswith(".tmp")
                    age = datetime.now(UTC).timestamp() - entry.stat(follow_symlinks=False).st_mtime
                    limit = _STALE_SECONDS if staged else 90 * _STALE_SECONDS
                    if age > limit and (staged or directory != self._packs):
                        Path(entry.path).unlink(missing_ok=True)

    # -- packs ---------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Take in the packs that others have written since."""
        found = {path.name for path in self._packs.iterdir() if _NAME.fullmatch(path.name)}
        if gone := self._known - found:
            self._index = {d: place for d, place in self._index.items() if place.pack not in gone}
            self._known -= gone
            self._bytes = sum(map(self._packed, self._known))
        for name in found - self._known:
            self._take(name)

    def _take(self, name: str) -> None:
        try:
            with (
                (self._packs / name).open("rb") as pack,
                mmap.mmap(pack.fileno(), 0, access=mmap.ACCESS_READ) as data,
            ):
                self._index.update(places(name, data))
                self._bytes += len(data)
        except (FileNotFoundError, ValueError):
            return  # swept meanwhile, or none of ours
        self._known.add(name)

    def _replace(self, path: Path, data: bytes) -> None:
        staged = path.with_name(f"{path.name}-{secrets.token_hex(8)}.tmp")
        try:
            staged.write_bytes(data)
            staged.replace(path)
        except BaseException:
            staged.unlink(missing_ok=True)
            raise
