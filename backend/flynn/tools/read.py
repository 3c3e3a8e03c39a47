"""Read: a file as the model can see it: lines of text, an image, pages of a document, cells of a notebook."""

from functools import partial
from typing import ClassVar

from pydantic import BaseModel, Field

from flynn.domain.tool_result import ToolResult
from flynn.tools.change import MAX_FILE
from flynn.tools.document import MAX_PAGES, SIGNATURE, show_document
from flynn.tools.image import show_image
from flynn.tools.image_header import read_header
from flynn.tools.long_file import LongFile
from flynn.tools.material import Found, Material, find
from flynn.tools.notebook import show_notebook
from flynn.tools.schema import Arguments
from flynn.tools.text import decode, kind
from flynn.tools.text_page import DEFAULT_LINES, show_text
from flynn.tools.thread import by_size, in_thread
from flynn.tools.tool import ToolContext

_NAMES_SHOWN = 20
_HEAD = 64
"""Bytes that tell what sort of file it is."""


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
    pages: str | None = Field(
        default=None, description=f'Pages of a PDF, such as "3" or "1-5"; at most {MAX_PAGES}'
    )


class Read:
    """Shows a file; the model has then seen its present content and may change it."""

    name: ClassVar[str] = "Read"
    writes: ClassVar[bool] = False
    arguments: ClassVar[type[BaseModel]] = ReadArguments

    async def run(self, arguments: BaseModel, context: ToolContext) -> ToolResult:
        """Show what was asked for, or say why there is nothing to show."""
        asked = ReadArguments.model_validate(arguments)
        with find(context, asked.file_path) as found:
            refusal = _unreadable(found)
            if refusal is not None:
                return ToolResult.error(refusal)
            size = found.entry.status.st_size
            if size > MAX_FILE:
                return await _show_long(found, asked)
            content = await by_size(size, partial(found.entry.read, MAX_FILE))
            material = Material(found.path, found.entry.path, found.private, content)
        return await _show(context, material, asked)


async def _show(context: ToolContext, material: Material, asked: ReadArguments) -> ToolResult:
    data = material.content.data
    if data.startswith(SIGNATURE):
        return await show_document(context, material, asked.pages)
    if asked.pages is not None:
        return ToolResult.error(
            f"{material.path} is no PDF document, so it has no pages: leave pages out, and name lines with "
            "offset and limit."
        )
    what = kind(data)
    if what is not None and what.endswith(" image") and (read_header(data) or b"\0" in data):
        return await show_image(context, material, what)
    if material.relative.endswith(".ipynb") and data:
        shown = await in_thread(partial(show_notebook, material, asked.offset, asked.limit))
        if isinstance(shown, ToolResult):
            return shown
        result = await by_size(len(data), partial(_show_text, material, asked))
        note = f"\n\n[shown as text, not as a notebook: {shown}]"
        return result.model_copy(update={"content": f"{result.content}{note}"})
    return await by_size(len(data), partial(_show_text, material, asked))


def _show_text(material: Material, asked: ReadArguments) -> ToolResult:
    text = decode(material.content.data)
    if text is None:
        return ToolResult.error(_binary(material))
    return show_text(material, text, asked.offset, asked.limit)


async def _show_long(found: Found, asked: ReadArguments) -> ToolResult:
    head = next(found.entry.pieces(_HEAD), b"")
    what = kind(head)
    if what is not None and (head.startswith(SIGNATURE) or what.endswith(" image")):
        return ToolResult.error(
            f"{found.path} ({what}) has {found.entry.status.st_size:,} bytes, more than the {MAX_FILE:,} "
            "that can be shown. Make a smaller file of it with Bash, and read that."
        )
    file = LongFile(found.entry, found.path)
    return await in_thread(partial(file.show, asked.offset, asked.limit), file.stop)


def _unreadable(found: Found) -> str | None:
    entry, path = found.entry, found.path
    if entry.is_directory:
        names = entry.names(_NAMES_SHOWN + 1)
        more = ", …" if len(names) > _NAMES_SHOWN else ""
        held = f"It holds: {', '.join(names[:_NAMES_SHOWN])}{more}." if names else "It is empty."
        return f"{path} is a directory, and Read reads files. {held}"
    if not entry.is_file:
        return f"{path} is a {entry.kind}; only regular files can be read."
    return None


def _binary(material: Material) -> str:
    what = kind(material.content.data) or "not text in UTF-8, UTF-16 or Latin-1"
    return (
        f"{material.path} is binary ({what}, {len(material.content.data):,} bytes). "
        "Look at it with Bash, for example with `head -c 256 FILE | od -c`."
    )
