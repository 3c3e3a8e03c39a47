"""A PDF document as the model sees it: all of it when it is short, else the pages that were asked for."""

import re
from typing import Final

from flynn.domain.blob import Blob
from flynn.domain.tool_result import ToolResult
from flynn.tools.listing import plural
from flynn.tools.material import Material
from flynn.tools.tool import ToolContext
from flynn.tools.workshop import Made, NotMade, work

MAX_PAGES: Final = 20
"""Pages that one call may name."""
UNNAMED_PAGES: Final = 10
"""Pages of a document that is shown without naming any."""
MAX_BYTES: Final = 4 * 1024 * 1024
"""Of what is sent in one call."""
MAX_TOKENS: Final = 36_000
"""Of one call; fewer pages are shown where they cost more."""
SIGNATURE: Final = b"%PDF-"

_PAGES: Final = re.compile(r"\s*(\d{1,6})\s*(?:-\s*(\d{1,6})\s*)?", re.ASCII)
_FAILURES: Final = {
    "encrypted": "it is encrypted; decrypt it first",
    "empty": "it has no pages",
    "bytes": f"one page of it has more than {MAX_BYTES:,} bytes",
    "tokens": "one page of it has too much text; get the text out with Bash, and read that",
    "memory": "it takes too much memory",
    "changed": "the file was changed meanwhile; read it again",
    "damaged": "it is damaged",
}


def page_range(pages: str) -> tuple[int, int] | str:
    """The first and the last page that `pages` names, or what is wrong with it."""
    found = _PAGES.fullmatch(pages)
    if found is None:
        return f'pages must be a number or a range, such as "3" or "1-5", not {pages[:40]!a}.'
    first = int(found[1])
    last = int(found[2] or first)
    if first < 1 or last < first:
        return f'pages counts from 1, first to last, such as "1-5"; {pages[:40]!a} does not.'
    if last - first >= MAX_PAGES:
        return f"A call may read {MAX_PAGES} pages, not {last - first + 1}: take them in several calls."
    return first, last


async def show_document(context: ToolContext, material: Material, pages: str | None) -> ToolResult:
    """Show `material`, a PDF document, or the pages of it that `pages` names."""
    wanted = (0, 0) if pages is None else page_range(pages)
    if isinstance(wanted, str):
        return ToolResult.error(wanted)
    made = await work(
        context, "pages", material, *wanted, UNNAMED_PAGES, MAX_BYTES, MAX_TOKENS, largest=MAX_BYTES
    )
    if isinstance(made, NotMade):
        return ToolResult.error(
            f"{material.path} (PDF document, {len(material.content.data):,} bytes) cannot be shown: to look "
            f"into it a program has to read it first, and {made.reason}."
        )
    if "failure" in made.answer:
        return ToolResult.error(_not_shown(material.path, made))
    data = material.content.data if made.answer.get("whole") is True else made.data
    total, first, last = (made.number(name) for name in ("pages", "first", "last"))
    sound = data.startswith(SIGNATURE) and len(data) <= MAX_BYTES
    if not (sound and 1 <= first <= last <= total and last - first < MAX_PAGES):
        return ToolResult.error(f"{material.path} cannot be shown: {_FAILURES['damaged']}.")
    blob = Blob(data, "application/pdf")
    # At least what the images of the pages cost, whatever the program says.
    tokens = max(made.number("tokens"), 1_600 * (last - first + 1))
    said = f"{material.path}: PDF document, "
    if first == 1 and last == total:
        said += plural(total, "page")
    else:
        going_on = f'; go on with pages "{last + 1}-{min(last + MAX_PAGES, total)}"' if last < total else ""
        said += f"pages {first} to {last} of {total}{going_on}"
    return ToolResult(
        content=[blob.block(tokens), {"type": "text", "text": said}],
        evidence=material.evidence(complete=first == 1 and last == total),
        blobs=(blob,),
    )


def _not_shown(path: str, made: Made) -> str:
    total = made.number("pages")
    match made.answer["failure"]:
        case "many":
            return (
                f"{path} is a PDF document of {total} pages. More than {UNNAMED_PAGES} are not shown at "
                f'once: name up to {MAX_PAGES} with pages, such as pages "1-{min(MAX_PAGES, total)}".'
            )
        case "past":
            return f"{path} has {plural(total, 'page')}; the pages that you named are past its end."
        case failure:
            why = _FAILURES.get(str(failure), _FAILURES["damaged"])
            return f"{path} (PDF document) cannot be shown: {why}."
