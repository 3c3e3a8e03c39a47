"""Read: the lines of a text file, numbered."""

from functools import partial
from typing import ClassVar

from pydantic import BaseModel, Field

from flynn.domain.errors import PathEscapes
from flynn.domain.evidence import FileRead
from flynn.domain.tool_result import ToolResult
from flynn.tools.change import MAX_FILE
from flynn.tools.listing import numbered, plural
from flynn.tools.near import missing
from flynn.tools.schema import Arguments
from flynn.tools.text import Text, decode, kind
from flynn.tools.thread import by_size
from flynn.tools.tool import ToolContext
from flynn.workspace.entry import Content, Entry
from flynn.workspace.path import PathMissing

MAX_RESULT = 100_000
"""Bytes of one result."""
DEFAULT_LINES = 2_000
_NAMES_SHOWN = 20
_PRIVATE = "/tmp/"  # noqa: S108 - the sandbox's /tmp, named to say who sees it


class ReadArguments(Arguments):
    """What Read takes."""

    file_path: str = Field(
        min_length=1, description="The file to read: absolute, or relative to the workspace"
    )
    offset: int | None = Field(
        default=None, ge=0, description="The first line to read, counted from 1; 1 unless given"
    )
    limit: int | None = Field(
        default=None, ge=1, description=f"How many lines to read; {DEFAULT_LINES} unless given"
    )


class Read:
    """Shows a file; the model has then seen its present content and may change it."""

    name: ClassVar[str] = "Read"
    writes: ClassVar[bool] = False
    arguments: ClassVar[type[BaseModel]] = ReadArguments

    async def run(self, arguments: BaseModel, context: ToolContext) -> ToolResult:
        """Show the lines that were asked for, or say why there are none."""
        asked = ReadArguments.model_validate(arguments)
        try:
            entry = context.workspace.locate(asked.file_path)
        except PathMissing:
            return ToolResult.error(missing(context.workspace, asked.file_path, context.cwd))
        except PathEscapes as error:
            if asked.file_path.startswith(_PRIVATE):
                return ToolResult.error(f"Only Bash sees {asked.file_path}: use `cat` there.")
            return ToolResult.error(error.detail)
        with entry:
            refusal = _unreadable(entry)
            if refusal is not None:
                return ToolResult.error(refusal)
            return await by_size(entry.status.st_size, partial(_present, entry, asked))


def _present(entry: Entry, asked: ReadArguments) -> ToolResult:
    content = entry.read(MAX_FILE)
    text = decode(content.data)
    if text is None:
        return ToolResult.error(_binary(entry.path, content.data))
    return _show(entry.path, content, text, asked)


def _unreadable(entry: Entry) -> str | None:
    if entry.is_directory:
        names = entry.names(_NAMES_SHOWN + 1)
        more = ", …" if len(names) > _NAMES_SHOWN else ""
        held = f"It holds: {', '.join(names[:_NAMES_SHOWN])}{more}." if names else "It is empty."
        return f"{entry.path} is a directory, and Read reads files. {held}"
    if not entry.is_file:
        return f"{entry.path} is a {entry.kind}; only regular files can be read."
    if entry.status.st_size > MAX_FILE:
        return (
            f"{entry.path} has {entry.status.st_size:,} bytes, more than the {MAX_FILE:,} that Read takes. "
            "Search it with Grep, or show a part with Bash (`sed -n '1,200p'`, `head`, `tail`)."
        )
    return None


def _binary(path: str, data: bytes) -> str:
    what = kind(data)
    if what is not None and ("image" in what or "PDF" in what):
        return f"{path} is a {what}; reading images and PDF documents is not supported yet."
    return (
        f"{path} is binary ({what or 'not text in UTF-8, UTF-16 or Latin-1'}, {len(data):,} bytes). "
        "Look at it with Bash, for example with `head -c 256 FILE | od -c`."
    )


def _show(path: str, content: Content, text: Text, asked: ReadArguments) -> ToolResult:
    lines = text.lines
    first = max(asked.offset or 1, 1)
    if not lines:
        evidence = FileRead(path=path, sha256=content.sha256)
        return ToolResult(content=f"[{path} is empty]", evidence=(evidence,))
    if first > len(lines):
        return ToolResult.error(
            f"{path} has {plural(len(lines), 'line')}; offset {first} is past its end.",
        )
    wanted = lines[first - 1 : first - 1 + (asked.limit or DEFAULT_LINES)]
    page = numbered(wanted, first, limit=MAX_RESULT)
    last = first + page.shown - 1
    notes: list[str] = []
    if text.peculiarity:
        notes.append(text.peculiarity)
    if page.shown < len(wanted):
        notes.append(f"cut at {MAX_RESULT:,} bytes")
    if first > 1 or last < len(lines):
        going_on = f"; go on with offset {last + 1}" if last < len(lines) else ""
        notes.append(f"lines {first} to {last} of {len(lines)}{going_on}")
    if page.cut:
        notes.append("long lines are cut: show them whole with Bash (`cut -c 2000-`)")
    said = page.text + (f"\n\n[{'. '.join(notes)}]" if notes else "")
    complete = first == 1 and last == len(lines) and not page.cut
    return ToolResult(content=said, evidence=(FileRead(path=path, sha256=content.sha256, complete=complete),))
