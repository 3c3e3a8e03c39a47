"""What a path led Read to: a file of the workspace, or of the conversation's /tmp."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flynn.domain.errors import PathEscapes
from flynn.domain.evidence import FileRead
from flynn.tools.near import missing
from flynn.tools.tool import ToolContext
from flynn.workspace.entry import Content, Entry
from flynn.workspace.path import PathMissing
from flynn.workspace.root import Workspace

PRIVATE = "/tmp"  # noqa: S108 - the sandbox's /tmp, named to say who sees it


@dataclass(frozen=True, slots=True)
class Found:
    """An open entry. `path` is how the model names it; `private` says that it is in the scratch."""

    entry: Entry
    path: str
    private: bool


@dataclass(frozen=True, slots=True)
class Material:
    """A file, read whole. `relative` is its path beneath the workspace, or beneath the scratch."""

    path: str
    relative: str
    private: bool
    content: Content

    def evidence(self, *, complete: bool) -> tuple[FileRead, ...]:
        """That it was shown. Nothing is recorded of /tmp, where Edit and Write do not go."""
        if self.private:
            return ()
        return (FileRead(path=self.relative, sha256=self.content.sha256, complete=complete),)


@contextmanager
def find(context: ToolContext, path: str) -> Iterator[Found]:
    """Hold what `path` leads to. Raises WorkspaceError, with a sentence that says what to do."""
    try:
        entry = context.workspace.locate(path)
    except PathMissing:
        raise PathMissing(missing(context.workspace, path, context.cwd)) from None
    except PathEscapes:
        if not _private(context, path):
            raise
    else:
        with entry:
            yield Found(entry, entry.path, private=False)
        return
    with Workspace.open_private(context.scratch, seen_as=PRIVATE) as scratch:
        try:
            entry = scratch.locate(path)
        except PathMissing:
            said = missing(scratch, path, ".", seen_as=PRIVATE)
            raise PathMissing(f"{said} ({PRIVATE} is the private one of your commands.)") from None
        with entry:
            shown = PRIVATE if entry.path == "." else f"{PRIVATE}/{entry.path}"
            yield Found(entry, shown, private=True)


def _private(context: ToolContext, path: str) -> bool:
    """Whether `path` is one that commands have for the scratch: /tmp, or what their TMPDIR says."""
    names = (PRIVATE, str(context.scratch), str(context.scratch.resolve()))
    return any(path == name or path.startswith(name + "/") for name in names)
