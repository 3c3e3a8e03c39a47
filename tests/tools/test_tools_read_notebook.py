"""Read on notebooks: cells with what they put out; what is no notebook is shown as text, and said so."""

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flynn.domain.evidence import FileRead
from flynn.domain.tool_result import Outcome, ToolResult
from flynn.tools.material import Material
from flynn.tools.notebook import MAX_IMAGES, show_notebook
from flynn.workspace.entry import Content, digest
from tests.media import image, png
from tests.tools.conftest import Conversation


def notebook(*cells: Any, **more: Any) -> str:
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": list(cells), **more})


def code(source: Any, *outputs: Any, count: int | None = 1) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "source": source,
        "execution_count": count,
        "metadata": {},
        "outputs": [*outputs],
    }


def picture(data: bytes, kind: str = "image/png") -> dict[str, Any]:
    encoded = b64encode(data).decode()
    return {
        "output_type": "display_data",
        "data": {kind: [encoded[:40] + "\n", encoded[40:]], "text/plain": ["<Figure>"]},
    }


async def test_cells_and_outputs_are_shown_in_order(talk: Conversation) -> None:
    data = notebook(
        {"cell_type": "markdown", "source": ["# Title\n", "words"]},
        code(
            ["print(1)\n", "1 + 1"],
            {"output_type": "stream", "name": "stdout", "text": ["1\n"]},
            {"output_type": "stream", "name": "stderr", "text": "careful\n"},
            {
                "output_type": "execute_result",
                "data": {"text/plain": "2", "text/html": "<b>2</b>", "application/json": {"a": 1}},
            },
            count=7,
        ),
        code(
            "1 / 0",
            {
                "output_type": "error",
                "ename": "E",
                "evalue": "v",
                "traceback": ["\x1b[0;31mZero\x1b[0m", "end"],
            },
            {"output_type": "error", "ename": "KeyError", "evalue": "'x'"},
            {"output_type": "display_data", "data": {"application/json": {"a": [1]}}},
            {"output_type": "unheard of"},
        ),
        {"cell_type": "raw", "source": ""},
        metadata={"language_info": {"name": "python"}},
    )
    talk.file("work.ipynb", data)
    assert await talk.text("Read", file_path="work.ipynb") == (
        "work.ipynb: notebook of 4 cells in python\n"
        "\n## Cell 1 (markdown)\n# Title\nwords\n"
        "\n## Cell 2 (code, run as [7])\nprint(1)\n1 + 1\n"
        "Output:\n1\nOutput (stderr):\ncareful\nOutput:\n2\n"
        "\n## Cell 3 (code, run as [1])\n1 / 0\n"
        "Error:\nZero\nend\nError:\nKeyError: 'x'\nOutput:\n{\"a\":[1]}\n"
        "\n## Cell 4 (raw)\n"
    )
    assert talk.seen == {"work.ipynb": digest(data.encode())}


async def test_pictures_of_outputs_are_shown_and_bounded(talk: Conversation) -> None:
    plots = [image(30 + number, 20) for number in range(MAX_IMAGES + 1)]
    talk.file("plots.ipynb", notebook(code("plot()", *map(picture, plots))))
    result = await talk.call("Read", file_path="plots.ipynb")
    assert isinstance(result.content, list)
    assert [block["type"] for block in result.content] == ["text", "image"] * MAX_IMAGES + ["text"]
    assert [blob.data for blob in result.blobs] == plots[:MAX_IMAGES]
    assert "an image (image/png) is left out: 5 are the most" in result.content[-1]["text"]
    (evidence,) = result.evidence
    assert isinstance(evidence, FileRead)
    assert not evidence.complete


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (picture(image(2_000, 20)), "cannot be shown: it is too large (2000x20 pixels"),
        (picture(png(100, 100, b"\0")), "it is damaged: it holds fewer pixels"),
        (picture(b"words"), "it is damaged: its header makes no sense"),
        ({"output_type": "display_data", "data": {"image/png": "no base64!"}}, "it is no valid base64"),
        ({"output_type": "display_data", "data": {"image/png": "ä"}}, "it is no valid base64"),
        (
            {"output_type": "display_data", "data": {"image/png": "A" * 4_000_000}},
            "it is too large (4,000,000",
        ),
    ],
)
async def test_pictures_that_cannot_be_shown_are_named(talk: Conversation, output: Any, words: str) -> None:
    talk.file("plots.ipynb", notebook(code("plot()", output)))
    assert words in await talk.text("Read", file_path="plots.ipynb")


async def test_broken_pictures_are_not_looked_at_without_end(talk: Conversation) -> None:
    bombs = [picture(png(1_568, 1_568, b"\0" * 7_000_000))] * 60
    talk.file("bombs.ipynb", notebook(code("plot()", *bombs)))
    words = await talk.text("Read", file_path="bombs.ipynb")
    assert words.count("it holds fewer pixels than its header says") == 20
    assert words.count("is left out") == 40


async def test_cells_are_paged_by_offset_and_limit(talk: Conversation) -> None:
    talk.file("long.ipynb", notebook(*(code(f"cell({number})") for number in range(1, 11))))
    words = await talk.text("Read", file_path="long.ipynb", offset=3, limit=2)
    assert "cell(3)" in words
    assert "cell(4)" in words
    assert "cell(5)" not in words
    assert words.endswith("[cells 3 to 4 of 10; go on with offset 5]")
    assert "offset 11 is past its end" in await talk.error("Read", file_path="long.ipynb", offset=11)
    assert "[cells 10 to 10 of 10]" in await talk.text("Read", file_path="long.ipynb", offset=10)


async def test_much_text_is_cut_and_said_so(talk: Conversation) -> None:
    flood = {"output_type": "stream", "name": "stdout", "text": "line of output\n" * 5_000}
    talk.file("flood.ipynb", notebook(*[code("flood()", *[flood] * 3)] * 9))
    words = await talk.text("Read", file_path="flood.ipynb")
    assert "characters left out here" in words
    assert len(words) < 130_000
    assert "of 9; go on with offset" in words
    talk.file("one.ipynb", notebook(code("flood()", *[flood] * 30)))
    words = await talk.text("Read", file_path="one.ipynb")
    assert "[further outputs of this cell are left out]" in words


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("{", "it is no valid JSON"),
        ('"words"', "it is no notebook of format 4"),
        ('{"nbformat": 3, "worksheets": []}', "it is no notebook of format 4"),
        ('{"nbformat": 4, "cells": {}}', "it has no list of cells"),
        ('{"nbformat": 4, "cells": [1]}', "it has no list of cells"),
        ("[" * 100_000, "it is no valid JSON"),
    ],
)
async def test_what_is_no_notebook_is_shown_as_text(talk: Conversation, data: str, why: str) -> None:
    talk.file("odd.ipynb", data)
    words = await talk.text("Read", file_path="odd.ipynb")
    assert words.startswith(f"1\t{data[:10]}")
    assert f"[shown as text, not as a notebook: {why}" in words


async def test_empty_notebooks_and_binary_ones(talk: Conversation) -> None:
    talk.file("none.ipynb", notebook())
    assert await talk.text("Read", file_path="none.ipynb") == "[none.ipynb is a notebook without cells]"
    talk.file("empty.ipynb", "")
    assert await talk.text("Read", file_path="empty.ipynb") == "[empty.ipynb is empty]"
    talk.file("binary.ipynb", bytes(range(256)))
    assert "is binary" in str((await talk.call("Read", file_path="binary.ipynb")).content)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["cell_type", "source", "outputs", "output_type", "data", "text", "traceback", "image/png"]
            ),
            inner | st.sampled_from(["code", "stream", "error", "display_data"]),
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(st.lists(st.dictionaries(st.sampled_from(["cell_type", "source", "outputs"]), JSON), max_size=4))
def test_no_notebook_makes_it_raise(cells: list[Any]) -> None:
    data = notebook(*cells).encode()
    result = show_notebook(Material("a.ipynb", "a.ipynb", False, Content(data, digest(data))), None, None)
    assert isinstance(result, ToolResult)
    assert result.outcome is Outcome.OK
    assert f"notebook of {len(cells)} cell" in str(result.content) or not cells
