"""Lines of a text file as the model sees them: numbered, bounded, with what is peculiar about the file."""

from typing import Final

from flynn.domain.tool_result import ToolResult
from flynn.tools.listing import numbered, plural
from flynn.tools.material import Material
from flynn.tools.text import Text

MAX_RESULT: Final = 100_000
"""Bytes of one result."""
DEFAULT_LINES: Final = 2_000
LONG_LINES: Final = "long lines are cut: show them whole with Bash (`cut -c 2000-`)"


def show_text(material: Material, text: Text, offset: int | None, limit: int | None) -> ToolResult:
    """Show `limit` lines of `text` from the line `offset` on, counted from 1."""
    path, lines = material.path, text.lines
    first = max(offset or 1, 1)
    if not lines:
        peculiarity = f" but for a byte order mark ({text.peculiarity})" if text.mark else ""
        said = f"[{path} is empty{peculiarity}]"
        return ToolResult(content=said, evidence=material.evidence(complete=True))
    if first > len(lines):
        return ToolResult.error(f"{path} has {plural(len(lines), 'line')}; offset {first} is past its end.")
    wanted = lines[first - 1 : first - 1 + (limit or DEFAULT_LINES)]
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
        notes.append(LONG_LINES)
    said = page.text + (f"\n\n[{'. '.join(notes)}]" if notes else "")
    complete = first == 1 and last == len(lines) and not page.cut
    return ToolResult(content=said, evidence=material.evidence(complete=complete))
