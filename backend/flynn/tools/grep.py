"""Grep: ripgrep over file contents."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal, assert_never

from pydantic import BaseModel, Field

from flynn.domain.evidence import Searched
from flynn.domain.tool_result import ToolResult
from flynn.sandbox.command import Completed
from flynn.tools.found import counts_of, lines_of, paths_of
from flynn.tools.listing import bounded, plural
from flynn.tools.near import missing
from flynn.tools.ripgrep import TIMEOUT_SECONDS, operand, search, whole
from flynn.tools.schema import Arguments
from flynn.tools.thread import in_thread
from flynn.tools.tool import ToolContext
from flynn.workspace.path import PathMissing
from flynn.workspace.root import Workspace
from flynn.workspace.tree import newest_first

DEFAULT_HEAD_LIMIT = 250
MAX_RESULT = 30_000
"""Bytes of one result."""
_MAX_COLUMNS = 500
_MANY_CONTEXT = 1_000
_NOTHING_FOUND, _FAILED = 1, 2
"""ripgrep's exit codes beside 0, rg(1)."""

Mode = Literal["files_with_matches", "content", "count"]


class GrepArguments(Arguments):
    """What Grep takes."""

    pattern: str = Field(min_length=1, description="The regular expression to find (Rust syntax)")
    path: str | None = Field(
        default=None, description="The file or directory to search; the workspace's root unless given"
    )
    glob: str | None = Field(default=None, description="Search only files that match this glob, as *.py")
    type: str | None = Field(default=None, description="Search only files of this type, as py, yaml, docker")
    output_mode: Mode = Field(
        default="files_with_matches",
        description="files_with_matches: paths (unless given); content: lines; count: matching lines a file",
    )
    after: int | None = Field(
        default=None,
        alias="-A",
        ge=0,
        le=_MANY_CONTEXT,
        description="Lines to show after a match (content)",
    )
    before: int | None = Field(
        default=None,
        alias="-B",
        ge=0,
        le=_MANY_CONTEXT,
        description="Lines to show before a match (content)",
    )
    around: int | None = Field(
        default=None, alias="-C", ge=0, le=_MANY_CONTEXT, description="The same as context"
    )
    context: int | None = Field(
        default=None,
        ge=0,
        le=_MANY_CONTEXT,
        description="Lines to show before and after each match (content)",
    )
    numbers: bool = Field(
        default=True, alias="-n", description="Show line numbers (content); true unless given"
    )
    ignore_case: bool = Field(default=False, alias="-i", description="Ignore case; false unless given")
    only_matching: bool = Field(
        default=False,
        alias="-o",
        description="Show only the matching part (content); false unless given",
    )
    head_limit: int | None = Field(
        default=None,
        ge=0,
        description=f"Show at most so many lines or files; {DEFAULT_HEAD_LIMIT} unless given, 0 for all",
    )
    offset: int = Field(default=0, ge=0, description="Leave out so many lines or files first; 0 unless given")
    multiline: bool = Field(
        default=False, description="Let the pattern span lines and . match line feeds; false unless given"
    )


class Grep:
    """Finds text in files."""

    name: ClassVar[str] = "Grep"
    writes: ClassVar[bool] = False
    arguments: ClassVar[type[BaseModel]] = GrepArguments

    async def run(self, arguments: BaseModel, context: ToolContext) -> ToolResult:
        """Show the files, lines or counts, or explain what is wrong with the pattern."""
        asked = GrepArguments.model_validate(arguments)
        if "\0" in f"{asked.pattern}{asked.glob}{asked.type}":
            return ToolResult.error("An argument cannot hold a NUL character; in pattern write \\x00.")
        try:
            with context.workspace.locate(asked.path or ".") as entry:
                place = entry.path
                if not (entry.is_directory or entry.is_file):
                    return ToolResult.error(f"{place} is a {entry.kind}; path must be a file or directory.")
        except PathMissing:
            return ToolResult.error(missing(context.workspace, asked.path or ".", context.cwd))
        done = await search(context, (*_options(asked), *_narrowed(asked)), (operand(place),))
        if done.timed_out:
            return ToolResult.error(
                f"The search took longer than {TIMEOUT_SECONDS:g} s. Narrow it with path, glob or type."
            )
        if done.exit_code not in (0, _NOTHING_FOUND) and not done.output and done.errors:
            return ToolResult.error(_explained(done.errors.decode("utf-8", "replace")))
        return await in_thread(partial(_account, asked, done, context.workspace))


def _options(asked: GrepArguments) -> tuple[str, ...]:
    options = [f"--regexp={asked.pattern}", "--null", "--with-filename"]
    match asked.output_mode:
        case "files_with_matches":
            options += ["--files-with-matches"]
        case "count":
            options += ["--count"]
        case "content":
            options += [
                "--heading",
                "--line-number",
                f"--max-columns={_MAX_COLUMNS}",
                "--max-columns-preview",
            ]
            options += [
                f"--{flag}-context={lines}"
                for flag, lines in zip(("before", "after"), _around(asked), strict=True)
            ]
            if asked.only_matching:
                options.append("--only-matching")
    if asked.ignore_case:
        options.append("--ignore-case")
    if asked.multiline:
        options += ["--multiline", "--multiline-dotall"]
    return tuple(options)


def _around(asked: GrepArguments) -> tuple[int, int]:
    """How many lines to show before and after a match."""
    both = asked.context if asked.context is not None else asked.around or 0
    return (
        asked.before if asked.before is not None else both,
        asked.after if asked.after is not None else both,
    )


def _narrowed(asked: GrepArguments) -> tuple[str, ...]:
    """The options that choose files.

    ripgrep lets a --glob overrule .gitignore, so that `*` would search all that is ignored; a type does
    not. So a glob of names becomes a type of its own, unless a type is asked for as well.
    """
    options = [f"--type={asked.type}"] if asked.type else []
    wanted = asked.glob
    if wanted:
        name = wanted.removeprefix("**/")
        if asked.type or "/" in name or wanted.startswith("!"):
            options.append(f"--glob={wanted}")
        else:
            options += [f"--type-add=wanted:{name}", "--type=wanted"]
    return tuple(options)


@dataclass(frozen=True, slots=True)
class _Page:
    """What is shown of what was found: `lines` of `total`; `matches` lines or files in all."""

    lines: list[str]
    total: int
    matches: int


def _account(asked: GrepArguments, done: Completed, workspace: Workspace) -> ToolResult:
    found = _page(asked, whole(done), workspace)
    lines, left = bounded(found.lines, MAX_RESULT)
    if found.lines and not lines:
        lines, left = [found.lines[0][:MAX_RESULT] + "…"], len(found.lines) - 1
    unit = "line" if asked.output_mode == "content" else "file"
    next_offset = asked.offset + len(lines)
    notes: list[str] = []
    if next_offset < found.total:
        why = f" (cut at {MAX_RESULT:,} bytes)" if left else ""
        notes.append(
            f"{plural(len(lines), unit)} of {found.total:,} shown{why}; go on with offset {next_offset}"
        )
    elif asked.offset and not lines and found.total:
        notes.append(f"There are only {plural(found.total, unit)}; offset is past the end")
    if done.output_cut or done.flooded:
        notes.append("There was too much to find all of it: narrow the search")
    if done.exit_code == _FAILED:
        notes.append("Some files could not be read")
    said = "\n".join(_summary(asked, found, lines))
    if notes:
        said += f"\n\n[{'. '.join(notes)}]"
    cut = bool(done.output_cut or done.flooded or asked.offset or len(lines) < found.total)
    return ToolResult(content=said, evidence=(Searched(matches=found.matches, cut=cut),))


def _page(asked: GrepArguments, output: bytes, workspace: Workspace) -> _Page:
    """The part of ripgrep's output that was asked for."""
    limit = (DEFAULT_HEAD_LIMIT if asked.head_limit is None else asked.head_limit) or None
    part = slice(asked.offset, asked.offset + limit if limit else None)
    match asked.output_mode:
        case "files_with_matches":
            paths = newest_first(workspace, paths_of(output))
            return _Page(paths[part], len(paths), len(paths))
        case "count":
            counts = counts_of(output)
            lines = [f"{path}:{count}" for path, count in counts[part]]
            return _Page(lines, len(counts), sum(count for _, count in counts))
        case "content":
            found = lines_of(output, apart=any(_around(asked)) and not asked.only_matching)
            lines = found.page(asked.offset, limit, numbers=asked.numbers)
            return _Page(lines, found.count, found.matches)
        case _:
            assert_never(asked.output_mode)


def _summary(asked: GrepArguments, found: _Page, lines: list[str]) -> list[str]:
    if not found.total:
        return ["No matches."]
    match asked.output_mode:
        case "content":
            return lines
        case "files_with_matches":
            return [f"{plural(found.total, 'file')} with matches:", *lines]
        case "count":
            total = f"{plural(found.matches, 'matching line')} in {plural(found.total, 'file')}:"
            return [total, *lines]
        case _:
            assert_never(asked.output_mode)


def _explained(errors: str) -> str:
    """ripgrep's complaint, with advice where it has a usual cause."""
    said = errors.replace("rg: ", "").strip()
    if "look-around" in said:
        return "Look-around and backreferences are not supported: write the pattern without them."
    if "regex parse error" in said:
        return (
            f"The pattern is no regular expression:\n{said}\n"
            "To find a character such as ( [ { . * literally, put a backslash before it."
        )
    if "unrecognized file type" in said:
        return f"{said}. Use glob instead, as *.ext."
    if "multiline" in said:
        return "The pattern spans lines: set multiline, or write it for one line."
    return f"The search failed: {said}"
