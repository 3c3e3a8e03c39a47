"""What a path led to: one thing of the workspace, held by an O_PATH descriptor.

Whoever holds an entry holds the thing itself: renaming, replacing or linking the path changes nothing
about it. Content is opened again through /proc/self/fd, after fstat has said that it is a regular file,
so FIFOs, devices and sockets never block or act.
"""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType

from flynn.domain.errors import WorkspaceError
from flynn.workspace.path import refusal

_CHUNK = 1 << 20
_KINDS = (
    (stat.S_ISDIR, "directory"),
    (stat.S_ISREG, "file"),
    (stat.S_ISLNK, "symbolic link"),
    (stat.S_ISFIFO, "named pipe"),
    (stat.S_ISSOCK, "socket"),
    (stat.S_ISCHR, "character device"),
    (stat.S_ISBLK, "block device"),
)


@dataclass(frozen=True, slots=True)
class Content:
    """The whole of a file: its bytes and their sha256 in hexadecimal."""

    data: bytes
    sha256: str


class Entry:
    """One thing of the workspace. A context manager: leaving it closes the descriptor.

    `path` is the resolved path, relative to the workspace, without links; `status` what fstat said.
    """

    __slots__ = ("_descriptor", "path", "status")

    def __init__(self, descriptor: int, path: str, status: os.stat_result) -> None:
        self._descriptor = descriptor
        self.path = path
        self.status = status

    def __enter__(self) -> "Entry":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the thing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def fileno(self) -> int:
        """The O_PATH descriptor, for calls that take a `dir_fd`."""
        return self._descriptor

    @property
    def kind(self) -> str:
        """What it is, in a word: "file", "directory", "named pipe" …"""
        return kind_of(self.status.st_mode)

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return stat.S_ISREG(self.status.st_mode)

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return stat.S_ISDIR(self.status.st_mode)

    def read(self, limit: int) -> Content:
        """Read the whole file, at most `limit` bytes.

        Raises WorkspaceError when it is no regular file, is longer, or may not be read.
        """
        with self._readable() as source:
            pieces: list[bytes] = []
            total = 0
            while total <= limit:
                piece = os.read(source, min(_CHUNK, limit + 1 - total))
                if not piece:
                    data = b"".join(pieces)
                    return Content(data, digest(data))
                pieces.append(piece)
                total += len(piece)
        raise WorkspaceError(f"{self.path} is longer than {limit:,} bytes.")

    def reopen(self) -> int:
        """A descriptor to read this regular file with; the caller closes it.

        Raises WorkspaceError when it is no regular file or may not be read.
        """
        with self._readable() as source:
            return os.dup(source)

    def pieces(self, size: int = _CHUNK) -> Iterator[bytes]:
        """The content of this regular file, `size` bytes at a time, as it is while it is read.

        Raises WorkspaceError when it is no regular file or may not be read.
        """
        with self._readable() as source:
            while piece := os.read(source, size):
                yield piece

    def names(self, limit: int) -> list[str]:
        """The names in this directory, sorted; at most `limit` of them, whichever come first.

        Directories end in `/`. Raises WorkspaceError when it is no directory or may not be read.
        """
        return sorted(
            entry.name + ("/" if entry.is_dir(follow_symlinks=False) else "")
            for entry, _ in zip(self.children(), range(limit), strict=False)
        )

    def children(self) -> Iterator[os.DirEntry[str]]:
        """The entries of this directory, in the file system's order.

        Use each before taking the next, and `stat` without following links.
        """
        with self._opened(os.O_RDONLY | os.O_DIRECTORY) as source, os.scandir(source) as entries:
            yield from entries

    @contextmanager
    def _readable(self) -> Iterator[int]:
        if not self.is_file:
            raise WorkspaceError(f"{self.path} is a {self.kind}, not a regular file.")
        with self._opened(os.O_RDONLY | os.O_NONBLOCK) as source:
            yield source

    @contextmanager
    def _opened(self, flags: int) -> Iterator[int]:
        try:
            source = os.open(f"/proc/self/fd/{self._descriptor}", flags | os.O_CLOEXEC)
        except OSError as error:
            raise refusal(error, self.path) from error
        try:
            yield source
        finally:
            os.close(source)


def kind_of(mode: int) -> str:
    """What a file of this `st_mode` is, in a word."""
    return next((word for test, word in _KINDS if test(mode)), "special file")


def digest(data: bytes) -> str:
    """The sha256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()
