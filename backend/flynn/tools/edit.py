"""Edit: one exact piece of text for another."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from pydantic import BaseModel, Field

from flynn.domain.tool_result import ToolResult
from flynn.telemetry.redaction import MARK
from flynn.tools.change import change, load, unseen
from flynn.tools.listing import numbered, plural
from flynn.tools.mark import mark_in_old, new_marks
from flynn.tools.match import Match, explain_absence, find, line_of, substitute
from flynn.tools.near import missing
from flynn.tools.schema import Arguments
from flynn.tools.text import Text, decode
from flynn.tools.thread import by_size
from flynn.tools.tool import ToolContext
from flynn.workspace.path import PathMissing

_AROUND = 4
"""Lines of the result shown before and after the change."""
_SHOWN_LINES = 60
_SHOWN_BYTES = 8_000
_PLACES = 10


class EditArguments(Arguments):
    """What Edit takes."""

    file_path: str = Field(
        min_length=1, description="The file to change: absolute, or relative to the workspace"
    )
    old_string: str = Field(description="The text to replace, exactly as it is in the file")
    new_string: str = Field(description="The text to put in its place; must differ from old_string")
    replace_all: bool = Field(
        default=False, description="Replace every occurrence of old_string; false unless given"
    )


class Edit:
    """Replaces text in a file whose present content the model has seen."""

    name: ClassVar[str] = "Edit"
    writes: ClassVar[bool] = True
    arguments: ClassVar[type[BaseModel]] = EditArguments

    async def run(self, arguments: BaseModel, context: ToolContext) -> ToolResult:
        """Make the replacement, and show what came of it."""
        asked = EditArguments.model_validate(arguments)
        old, new = (piece.replace("\r\n", "\n") for piece in (asked.old_string, asked.new_string))
        if not old:
            return ToolResult.error("old_string is empty. To create a file or replace all of it use Write.")
        if old == new:
            return ToolResult.error(
                "old_string and new_string are the same, so there is nothing to change. "
                "(Line endings are kept as the file has them; to convert them use Bash.)"
            )
        try:
            with context.workspace.locate(asked.file_path) as entry:
                if not entry.is_file:
                    return ToolResult.error(f"{entry.path} is a {entry.kind}, not a file to edit.")
                path, before = entry.path, await load(entry)
        except PathMissing:
            return ToolResult.error(missing(context.workspace, asked.file_path, context.cwd))
        refusal = unseen(context, path, before)
        if refusal is not None:
            return ToolResult.error(refusal)
        prepare = partial(_prepare, path, before.data, old, new, everywhere=asked.replace_all)
        ready = await by_size(len(before.data), prepare)
        if isinstance(ready, str):
            return ToolResult.error(ready)
        done = await change(context, path, before, ready.data)
        return ToolResult(content=ready.account, evidence=(done.evidence,), originals=done.originals)


@dataclass(frozen=True, slots=True)
class _Ready:
    """A change that can be made: the new bytes, and what the model is told when they are written."""

    data: bytes
    account: str


def _prepare(path: str, data: bytes, old: str, new: str, *, everywhere: bool) -> _Ready | str:
    """Work out the change, or the sentence that says why there is none."""
    text = decode(data)
    if text is None:
        return f"{path} is binary; Edit changes text only."
    matches = find(text.content, old)
    if not matches and MARK in old:
        return mark_in_old(path)
    if len(matches) != 1 and not (everywhere and matches):
        return _mismatch(path, text, old, matches)
    if refusal := new_marks(old, new):
        return f"{path} was not changed. {refusal}"
    content = substitute(text.content, matches, new, text.line_ending)
    try:
        return _Ready(text.encode(content), _account(path, content, matches, len(new)))
    except ValueError as error:
        return f"{path} was not changed. {error}"


def _mismatch(path: str, text: Text, old: str, matches: list[Match]) -> str:
    if not matches:
        return f"old_string is not in {path}. {explain_absence(text.lines, old)}"
    places = ", ".join(str(line_of(text.content, match.start)) for match in matches[:_PLACES])
    more = ", …" if len(matches) > _PLACES else ""
    return (
        f"old_string occurs {len(matches)} times in {path}, on lines {places}{more}. Add lines around it "
        "until it is unique, or set replace_all to change every occurrence."
    )


def _account(path: str, content: str, matches: list[Match], length: int) -> str:
    """What was done, and the lines around the first place, as they are now."""
    first = line_of(content, matches[0].start)
    last = line_of(content, min(matches[0].start + length, len(content)))
    lines = Text(content).lines
    begin = max(first - _AROUND, 1)
    wanted = lines[begin - 1 : last + _AROUND][:_SHOWN_LINES]
    page = numbered(wanted, begin, limit=_SHOWN_BYTES)
    done = plural(len(matches), "replacement")
    if not page.shown:
        return f"Edited {path}: {done}. The file is empty now."
    which = "It reads now:" if len(matches) == 1 else "Around the first it reads now:"
    return f"Edited {path}: {done}. {which}\n{page.text}"
