"""Glob: files by name, the newest first."""

import re
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from typing import ClassVar

from pydantic import BaseModel, Field

from flynn.domain.errors import SandboxUnavailable
from flynn.domain.evidence import Searched
from flynn.domain.tool_result import ToolResult
from flynn.tools.found import paths_of
from flynn.tools.listing import bounded, plural
from flynn.tools.near import missing
from flynn.tools.pattern import BadPattern, compile_glob
from flynn.tools.ripgrep import TIMEOUT_SECONDS, operand, search, whole
from flynn.tools.schema import Arguments
from flynn.tools.thread import in_thread
from flynn.tools.tool import ToolContext
from flynn.workspace.path import PathMissing
from flynn.workspace.root import Workspace
from flynn.workspace.tree import newest_first, walk

MAX_FILES = 100
MAX_RESULT = 30_000
_WALKED = 200_000
"""Files that a walk in process meets before it gives up."""


class GlobArguments(Arguments):
    """What Glob takes."""

    pattern: str = Field(min_length=1, description="The glob that file paths are to match")
    path: str | None = Field(
        default=None, description="The directory to search; the workspace's root unless given"
    )


class Glob:
    """Finds files by a pattern of their paths."""

    name: ClassVar[str] = "Glob"
    writes: ClassVar[bool] = False
    arguments: ClassVar[type[BaseModel]] = GlobArguments

    async def run(self, arguments: BaseModel, context: ToolContext) -> ToolResult:
        """List the files that match, relative to the workspace."""
        asked = GlobArguments.model_validate(arguments)
        try:
            start, pattern = _start(context.workspace, asked)
            with context.workspace.locate(start) as entry:
                directory = entry.path
                if not entry.is_directory:
                    return ToolResult.error(f"{directory} is a {entry.kind}; path must be a directory.")
        except PathMissing:
            return ToolResult.error(missing(context.workspace, asked.path or ".", context.cwd))
        try:
            expression = compile_glob(pattern)
        except BadPattern as error:
            return ToolResult.error(f"Nothing was searched: {error}.")
        try:
            done = await search(context, ("--files", "--null"), (operand(directory),))
        except SandboxUnavailable:
            found = await in_thread(partial(_walked, context.workspace, directory, expression))
            return _account(found, "Without a sandbox .gitignore was not applied")
        if done.timed_out:
            return ToolResult.error(
                f"The search took longer than {TIMEOUT_SECONDS:g} s. Give a path that narrows it."
            )
        # ripgrep would look at every file to order them, with one thread; only those that match matter.
        found = await in_thread(partial(_ordered, context.workspace, whole(done), directory, expression))
        return _account(found, "The tree is too large to be listed whole" if done.output_cut else None)


def _start(workspace: Workspace, asked: GlobArguments) -> tuple[str, str]:
    """Where to search for what; an absolute pattern names its directory itself."""
    if not asked.pattern.startswith("/"):
        return asked.path or ".", asked.pattern
    parts = asked.pattern.split("/")
    fixed = next((i for i, part in enumerate(parts) if re.search(r"[*?\[{\\]", part)), len(parts) - 1)
    directory = "/".join(parts[:fixed]) or "/"
    rest = "/".join(parts[fixed:])
    return workspace.relative(directory), f"./{rest}"


def _ordered(workspace: Workspace, output: bytes, directory: str, expression: re.Pattern[str]) -> list[str]:
    return newest_first(workspace, _matching(paths_of(output), directory, expression))


def _matching(paths: Iterable[str], directory: str, expression: re.Pattern[str]) -> Iterator[str]:
    skipped = 0 if directory == "." else len(directory) + 1
    return (path for path in paths if expression.fullmatch(path, skipped))


def _walked(workspace: Workspace, directory: str, expression: re.Pattern[str]) -> list[str]:
    leaves = islice(walk(workspace, directory, skip=frozenset({".git"})), _WALKED)
    newest = sorted(leaves, key=lambda leaf: leaf.modified_ns, reverse=True)
    return list(_matching((leaf.path for leaf in newest), directory, expression))


def _account(found: list[str], note: str | None) -> ToolResult:
    paths, left = bounded(found[:MAX_FILES], MAX_RESULT)
    left += max(len(found) - MAX_FILES, 0)
    notes = [note] if note else []
    if left:
        notes.append(
            f"{plural(left, 'older match')} left out of {len(found):,}: narrow the pattern or give a path"
        )
    said = "\n".join(paths) if paths else "No files match."
    if notes:
        said += f"\n\n[{'. '.join(notes)}]"
    evidence = Searched(matches=len(found), cut=bool(left or note))
    return ToolResult(content=said, evidence=(evidence,))
