"""A Jupyter notebook as the model sees it: its cells, numbered, with what they put out.

Source: the notebook format, nbformat 4 (its JSON schema). Whatever does not look like that is not drawn
as a notebook; Read then shows the file's text.
"""

import binascii
import re
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import orjson

from flynn.domain.content import Block, Json
from flynn.domain.tool_result import ToolResult
from flynn.tools.image import MAX_BYTES, Picture
from flynn.tools.listing import middle_cut, plural
from flynn.tools.material import Material

MAX_RESULT: Final = 60_000
"""Bytes of text of one result."""
MAX_OUTPUT: Final = 10_000
"""Characters of one output; a cell's source may have twice as many."""
MAX_IMAGES: Final = 5
_TRIED: Final = 20
"""Images that are looked at: to find one broken takes time too."""
MAX_CELLS: Final = 2_000
"""Cells of one result."""
_IMAGES: Final = ("image/png", "image/jpeg", "image/gif", "image/webp")
_TEXTS: Final = ("text/markdown", "text/plain", "text/latex", "application/json", "text/html")
_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclass
class _Page:
    """What is shown so far."""

    blocks: list[Block] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    size: int = 0
    tried: int = 0
    cut: bool = False

    def say(self, words: str) -> None:
        self.text.append(words)
        self.size += len(words.encode("utf-8", "replace")) + 1

    def show(self, picture: Picture) -> None:
        self.close()
        self.pictures.append(picture)
        self.blocks.append(picture.block)

    def close(self) -> None:
        """Make a block of the words that are not in one yet."""
        if self.text:
            self.blocks.append({"type": "text", "text": "\n".join(self.text)})
            self.text = []


def show_notebook(material: Material, offset: int | None, limit: int | None) -> ToolResult | str:
    """Show cells, `offset` the first (counted from 1) and `limit` their number; or say why it is no notebook.

    It may take some hundred milliseconds.
    """
    cells, language = _cells(material.content.data)
    if isinstance(cells, str):
        return cells
    first = max(offset or 1, 1)
    if not cells:
        said = f"[{material.path} is a notebook without cells]"
        return ToolResult(content=said, evidence=material.evidence(complete=True))
    if first > len(cells):
        return ToolResult.error(
            f"{material.path} has {plural(len(cells), 'cell')}; offset {first} is past its end."
        )
    wanted = cells[first - 1 : first - 1 + min(limit or MAX_CELLS, MAX_CELLS)]
    page, last = _Page(), first - 1
    page.say(f"{material.path}: notebook of {plural(len(cells), 'cell')}{language}")
    for number, cell in enumerate(wanted, first):
        if page.size > MAX_RESULT:
            break
        _show_cell(page, number, cell)
        last = number
    if first > 1 or last < len(cells):
        going_on = f"; go on with offset {last + 1}" if last < len(cells) else ""
        page.say(f"\n[cells {first} to {last} of {len(cells)}{going_on}]")
    page.close()
    complete = first == 1 and last == len(cells) and not page.cut
    return ToolResult(
        content=page.blocks if page.pictures else page.blocks[0]["text"],
        evidence=material.evidence(complete=complete),
        blobs=tuple(picture.blob for picture in page.pictures),
    )


def _cells(data: bytes) -> tuple[list[dict[str, Json]] | str, str]:
    """The cells and the language in words, or why there are none."""
    try:
        notebook = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        return f"it is no valid JSON ({str(error)[:200]})", ""
    if not isinstance(notebook, dict) or notebook.get("nbformat") != 4:
        return "it is no notebook of format 4", ""
    cells = notebook.get("cells")
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        return "it has no list of cells", ""
    info = notebook.get("metadata")
    info = info.get("language_info") if isinstance(info, dict) else None
    name = info.get("name") if isinstance(info, dict) else None
    return cells, f" in {name[:40]}" if isinstance(name, str) else ""


def _show_cell(page: _Page, number: int, cell: dict[str, Json]) -> None:
    kind = cell.get("cell_type")
    count = cell.get("execution_count")
    run = f", run as [{count}]" if isinstance(count, int) else ""
    page.say(f"\n## Cell {number} ({kind if isinstance(kind, str) else 'unknown'}{run})")
    page.say(_bounded(page, _text(cell.get("source")), 2 * MAX_OUTPUT))
    outputs = cell.get("outputs")
    for output in outputs if isinstance(outputs, list) else ():
        if page.size > MAX_RESULT:
            page.say("[further outputs of this cell are left out]")
            page.cut = True
            return
        if isinstance(output, dict):
            _show_output(page, output)


def _show_output(page: _Page, output: dict[str, Json]) -> None:
    match output.get("output_type"):
        case "stream":
            stream = " (stderr)" if output.get("name") == "stderr" else ""
            page.say(f"Output{stream}:\n{_bounded(page, _text(output.get('text')), MAX_OUTPUT)}")
        case "error":
            trace = _text(output.get("traceback"), between="\n")
            summary = f"{output.get('ename')}: {output.get('evalue')}"
            page.say(f"Error:\n{_bounded(page, trace or summary, MAX_OUTPUT)}")
        case "execute_result" | "display_data":
            data = output.get("data")
            if isinstance(data, dict):
                _show_data(page, data)


def _show_data(page: _Page, data: dict[str, Json]) -> None:
    """One output in many forms: its picture where there is one that can be shown, and its plainest text."""
    for kind, encoded in _pictures(data):
        page.tried += 1
        if len(page.pictures) == MAX_IMAGES or page.tried > _TRIED:
            page.say(f"[an image ({kind}) is left out: {MAX_IMAGES} are the most of one call]")
            page.cut = True
            continue
        picture = _picture(encoded)
        if isinstance(picture, str):
            page.say(f"[an image ({kind}) cannot be shown: {picture}]")
            page.cut = True
        else:
            page.say(f"Output, an image ({kind}):")
            page.show(picture)
    for kind in _TEXTS:
        if kind in data:
            value = data[kind]
            text = _text(value) if isinstance(value, str | list) else orjson.dumps(value).decode()
            page.say(f"Output:\n{_bounded(page, text, MAX_OUTPUT)}")
            return


def _pictures(data: dict[str, Json]) -> Iterator[tuple[str, str]]:
    return ((kind, _text(data[kind])) for kind in _IMAGES if kind in data)


def _picture(encoded: str) -> Picture | str:
    if len(encoded) > MAX_BYTES * 3 // 2:
        return f"it is too large ({len(encoded):,} characters)"
    try:
        return Picture.of(b64decode("".join(encoded.split()), validate=True))
    except (binascii.Error, ValueError):
        return "it is no valid base64"


def _text(value: Json, between: str = "") -> str:
    """A text of a notebook: a string, or its lines in a list. Colours of terminals are left out."""
    parts = value if isinstance(value, list) else [value]
    return _COLOURS.sub("", between.join(part for part in parts if isinstance(part, str)))


def _bounded(page: _Page, text: str, limit: int) -> str:
    shown, lost = middle_cut(text.rstrip("\n"), limit)
    page.cut = page.cut or lost > 0
    return shown
