"""Write: the whole of a file."""

from typing import ClassVar

from pydantic import BaseModel, Field

from flynn.domain.tool_result import ToolResult
from flynn.tools.change import change, load, unseen
from flynn.tools.listing import plural
from flynn.tools.mark import new_marks
from flynn.tools.schema import Arguments
from flynn.tools.text import decode
from flynn.tools.tool import ToolContext
from flynn.workspace.entry import Content
from flynn.workspace.path import PathMissing


class WriteArguments(Arguments):
    """What Write takes."""

    file_path: str = Field(
        min_length=1, description="The file to write: absolute, or relative to the workspace"
    )
    content: str = Field(description="The whole new content of the file")


class Write:
    """Creates a file, or replaces one whose present content the model has seen."""

    name: ClassVar[str] = "Write"
    writes: ClassVar[bool] = True
    arguments: ClassVar[type[BaseModel]] = WriteArguments

    async def run(self, arguments: BaseModel, context: ToolContext) -> ToolResult:
        """Write the file whole or not at all."""
        asked = WriteArguments.model_validate(arguments)
        try:
            with context.workspace.locate(asked.file_path) as entry:
                if not entry.is_file:
                    return ToolResult.error(f"{entry.path} is a {entry.kind}, not a file to write.")
                path, before = entry.path, await load(entry)
        except PathMissing:
            return await _create(asked, context)
        return await _replace(path, before, asked.content, context)


async def _create(asked: WriteArguments, context: ToolContext) -> ToolResult:
    if refusal := new_marks("", asked.content):
        return ToolResult.error(f"{asked.file_path} was not created. {refusal}")
    done = await change(context, asked.file_path, None, asked.content.encode())
    made = done.evidence
    return ToolResult(content=f"Created {made.path}: {plural(made.lines_added, 'line')}.", evidence=(made,))


async def _replace(path: str, before: Content, content: str, context: ToolContext) -> ToolResult:
    old = decode(before.data)
    if old is None:
        return ToolResult.error(f"{path} is binary; remove it with Bash before you write text there.")
    refusal = unseen(context, path, before)
    if refusal is not None:
        return ToolResult.error(refusal)
    if marks := new_marks(old.content, content):
        return ToolResult.error(f"{path} was not changed. {marks}")
    note = ""
    if old.mark:
        content = content.removeprefix("\ufeff")  # it is kept apart from the text, and would be there twice
    if old.content.endswith("\n") and content and not content.endswith("\n"):
        content += "\n"
        note = " Its final newline was kept."
    if old.line_ending == "\r\n" and "\r" not in content:
        content = content.replace("\n", "\r\n")
        note += " Its line endings, CRLF, were kept."
    try:
        data = old.encode(content)
    except ValueError:
        data = content.encode()
        note += " It was Latin-1 and is UTF-8 now, because Latin-1 cannot hold all of it."
    if data == before.data:
        return ToolResult(content=f"{path} holds exactly this already; nothing was written.{note}")
    done = await change(context, path, before, data)
    lines = f"+{done.evidence.lines_added} −{done.evidence.lines_removed} lines"
    return ToolResult(
        content=f"Replaced {path}: {lines}.{note}", evidence=(done.evidence,), originals=done.originals
    )
