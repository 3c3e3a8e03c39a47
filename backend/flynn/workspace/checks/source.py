"""The files of a tree under review: read on demand, by descriptor, never through a link, within bounds."""

import codecs
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

from flynn.domain.errors import WorkspaceError
from flynn.workspace.checks.yaml_node import Node, YamlFault, parse_yaml
from flynn.workspace.root import Workspace

LARGEST_FILE = 1 << 20
"""Bytes up to which a file is read: what people write by hand is smaller."""
MOST_CHARACTERS = 64 << 20
"""Characters that are read in all: they are kept, since many look at the same file."""
LARGEST_YAML = 256 << 10
"""Characters up to which a YAML file is looked into; longer ones are generated, or data."""
MOST_YAML = 4 << 20
"""Characters of YAML that are looked into in all."""
_HEAD = 128

_ASIDE = frozenset(
    (
        *("test", "tests", "testing", "spec", "specs", "__tests__", "e2e", "fixtures", "testdata"),
        *("example", "examples", "sample", "samples", "demo", "docs", "doc"),
        *("vendor", "third_party", "third-party"),
    )
)
"""Directories of what is not deployed: tests, examples, documents, and other people's work."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a file could not be read or looked into, as what is said of it ("is too large"), and the line where
    it begins, where that is known. `local`: all but that place could be looked into.
    """

    why: str
    line: int | None = None
    local: bool = False


class Sources:
    """The files of a tree, by paths relative to its root. Safe to use from several threads.

    `paths` are the regular files that count, in order. `tracked` are those that git tracks, None when that
    is not known. `filtered` says whether what git ignores was left out.
    """

    def __init__(
        self,
        workspace: Workspace,
        paths: Iterable[str],
        *,
        tracked: frozenset[str] | None = None,
        filtered: bool = True,
    ) -> None:
        self.workspace = workspace
        self.paths = tuple(sorted(paths))
        self.tracked = tracked
        self.filtered = filtered
        self._lock = threading.Lock()
        self._heads: dict[str, bytes] = {}
        self._texts: dict[str, str | None] = {}
        self._documents: dict[str, list[Node]] = {}
        self._obstacles: dict[str, Obstacle] = {}
        self._parsed = 0
        self._read = 0
        self._unread: set[str] = set()

    @cached_property
    def known(self) -> frozenset[str]:
        """The paths as a set."""
        return frozenset(self.paths)

    @cached_property
    def directories(self) -> frozenset[str]:
        """Every directory that holds a file, however deep; "." is the root."""
        found = {"."}
        for path in self.paths:
            found.update(map(str, PurePosixPath(path).parents))
        return frozenset(found)

    @property
    def deployed(self) -> tuple[str, ...]:
        """The files that are no tests, examples or documents."""
        return tuple(path for path in self.paths if not aside(path))

    @property
    def unread(self) -> int:
        """How many files were wanted and not read, or not looked into, for the bounds above."""
        return len(self._unread)

    def text(self, path: str) -> str | None:
        """The text of a file, without a byte order mark; None for what is no text, gone, or too large."""
        with self._lock:
            if path in self._texts:
                return self._texts[path]
            if self._read >= MOST_CHARACTERS:
                self._unread.add(path)
                self._obstacles[path] = Obstacle("was not read, since there is a bound for all files")
                return None
        text = self._decoded(path)
        with self._lock:
            if path not in self._texts:
                self._texts[path] = text
                self._read += len(text or "")
        return text

    def obstacle(self, path: str) -> Obstacle | None:
        """Why `text` or `yaml` gave nothing for a file, once they were asked; None where they did."""
        return self._obstacles.get(path)

    def raw(self, path: str) -> str:
        """What can be seen of a file that `text` does not give: its beginning, with marks for what is no
        character; "" for what cannot be opened, or once the bound for all files is reached.
        """
        with self._lock:
            if self._read >= MOST_CHARACTERS:
                return ""
        try:
            with self.workspace.locate(path, follow=False) as entry:
                data = next(entry.pieces(LARGEST_FILE), b"")
        except (WorkspaceError, OSError):
            return ""
        wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        text = data.decode("utf-16" if wide else "utf-8", "replace").replace("\0", "").replace("\r\n", "\n")
        with self._lock:
            self._read += len(text)
        return text

    def lines(self, path: str) -> list[str]:
        """The lines of a file; none for what `text` does not give."""
        return (self.text(path) or "").split("\n")

    def head(self, path: str) -> bytes:
        """The first bytes of a file; nothing for what cannot be read."""
        if path not in self._heads:
            try:
                with self.workspace.locate(path, follow=False) as entry:
                    self._heads[path] = next(entry.pieces(_HEAD), b"")
            except (WorkspaceError, OSError):
                self._heads[path] = b""
        return self._heads[path]

    def yaml(self, path: str) -> list[Node]:
        """The documents of a YAML file; none for one that has a fault, or is too large to be looked into."""
        text = self.text(path)
        if text is None:
            return []
        with self._lock:
            if path in self._documents:
                return self._documents[path]
            if len(text) > LARGEST_YAML or self._parsed + len(text) > MOST_YAML:
                self._unread.add(path)
                self._obstacles[path] = Obstacle("is too large to be looked into")
                return []
            self._parsed += len(text)
        try:
            documents = parse_yaml(text)
        except YamlFault as fault:
            documents = []
            self._obstacles[path] = Obstacle("does not parse", fault.line)
        with self._lock:
            self._documents[path] = documents
        return documents

    def _decoded(self, path: str) -> str | None:
        try:
            with self.workspace.locate(path, follow=False) as entry:
                data = entry.read(LARGEST_FILE).data
        except (WorkspaceError, OSError):
            self._obstacles[path] = Obstacle(f"is larger than {LARGEST_FILE >> 20} MiB, or cannot be opened")
            return None
        if b"\0" in data:
            self._obstacles[path] = Obstacle("is no UTF-8 text")
            return None
        try:
            return data.removeprefix(codecs.BOM_UTF8).decode().replace("\r\n", "\n")
        except UnicodeDecodeError:
            self._obstacles[path] = Obstacle("is no UTF-8 text")
            return None


def aside(path: str) -> bool:
    """Whether `path` lies in a directory of tests, examples, documents or other people's work."""
    return not _ASIDE.isdisjoint(path.lower().split("/")[:-1])


def name_of(path: str) -> str:
    """The last part of a path."""
    return path.rpartition("/")[2]


def directory_of(path: str) -> str:
    """What a path lies in; "." for the root."""
    return path.rpartition("/")[0] or "."
