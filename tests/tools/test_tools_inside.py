"""The programs that run in the sandbox, by themselves: what they answer, and that they answer always."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pypdf import PdfReader

from flynn.tools import inside
from flynn.tools.image_body import flaw
from flynn.tools.image_header import read_header
from flynn.tools.inside import pages, picture
from tests.media import animation, image, pdf, png

PROGRAMS = Path(inside.__file__).parent
EDGE, LARGEST, PIXELS = 200, 20_000, 1_000_000


def run(program: str, directory: Path, *arguments: str) -> tuple[dict[str, object], bytes]:
    """Run a program as the service does, but for the sandbox."""
    source = (PROGRAMS / f"{program}.py").read_text()
    done = subprocess.run(
        [sys.executable, "-I", "-c", source, *arguments],
        cwd=directory,
        env={"TMPDIR": str(directory / "tmp")},
        capture_output=True,
        timeout=60,
        check=True,
    )
    line, _, data = done.stdout.partition(b"\n")
    return json.loads(line), data


@pytest.mark.parametrize(
    "made_of",
    [
        partial(image, 900, 300, noise=True),
        partial(image, 900, 300, "JPEG", noise=True),
        partial(image, 300, 900, "WEBP", mode="RGBA", lossless=True),
        partial(image, 900, 300, mode="RGBA", noise=True),
        partial(image, 400, 400, mode="1"),
        partial(image, 400, 400, mode="P"),
        partial(image, 400, 400, mode="LA"),
        partial(image, 400, 400, "JPEG", mode="CMYK"),
        partial(image, 10, 10),
        partial(animation, 3, "WEBP"),
    ],
)
def test_a_picture_is_small_whole_and_of_a_known_type(made_of: Callable[[], bytes]) -> None:
    data = made_of()
    answer, made = picture.convert(data, EDGE, LARGEST, PIXELS)
    header = read_header(made)
    assert header is not None
    assert flaw(made, header) is None
    assert max(header.width, header.height) <= EDGE
    assert len(made) <= LARGEST
    assert (answer["width"], answer["height"]) == Image.open(io.BytesIO(data)).size


def test_a_picture_that_does_not_fit_is_none() -> None:
    with pytest.raises(picture.Failure, match="bytes"):
        picture.convert(image(900, 900, noise=True), EDGE, 500, PIXELS)
    with pytest.raises(picture.Failure, match="pixels"):
        picture.convert(png(60_000, 60_000, b""), EDGE, LARGEST, PIXELS)
    with pytest.raises(picture.Failure, match="unknown"):
        picture.convert(b"%!PS-Adobe-3.0 EPSF-3.0\n", EDGE, LARGEST, PIXELS)


def test_pages_are_taken_within_bytes_and_tokens() -> None:
    data = pdf([f"page {number} " + "words " * 100 for number in range(1, 9)])
    answer, made = pages.take(data, 0, 0, 10, 100_000, 50_000)
    assert (answer["whole"], answer["first"], answer["last"], made) == (True, 1, 8, b"")
    answer, made = pages.take(data, 2, 9, 10, 100_000, 6_000)
    assert (answer["whole"], answer["pages"], answer["first"], answer["last"]) == (False, 8, 2, 4)
    assert [page.extract_text()[:6] for page in PdfReader(io.BytesIO(made)).pages] == [
        "page 2",
        "page 3",
        "page 4",
    ]
    answer, made = pages.take(data, 0, 0, 10, 2_500, 50_000)
    assert len(made) <= 2_500
    assert 1 <= int(str(answer["last"])) < 8
    for arguments, failure in (
        ((0, 0, 7, 100_000, 50_000), ("many", 8)),
        ((9, 9, 10, 100_000, 50_000), ("past", 8)),
        ((1, 1, 10, 100, 50_000), ("bytes", 8)),
        ((1, 1, 10, 100_000, 1_000), ("tokens", 8)),
    ):
        with pytest.raises(pages.Failure) as caught:
            pages.take(data, *arguments)
        assert caught.value.args == failure


@pytest.mark.parametrize("program", [picture, pages])
def test_only_regular_files_are_read(
    program: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"bytes")
    assert program.read("workspace", "file") == b"bytes"  # type: ignore[attr-defined]  # a module
    with pytest.raises(program.Failure, match="changed"):  # type: ignore[attr-defined]
        program.read("workspace", "pipe")  # type: ignore[attr-defined]
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(65 << 20)
    with pytest.raises(program.Failure, match="changed"):  # type: ignore[attr-defined]
        program.read("workspace", "huge")  # type: ignore[attr-defined]


@pytest.mark.slow
def test_the_programs_answer_with_a_line_and_bytes(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp" / "a.png").write_bytes(image(400, 100))
    answer, made = run("picture", tmp_path, "tmp", "a.png", "200", "20000", "1000000")
    assert (answer["width"], answer["height"], answer["frames"]) == (400, 100, 1)
    assert Image.open(io.BytesIO(made)).size == (200, 50)
    (tmp_path / "b.pdf").write_bytes(pdf(["one", "two"]))
    answer, made = run("pages", tmp_path, "workspace", "b.pdf", "2", "2", "10", "100000", "50000")
    assert (answer["pages"], answer["first"], answer["last"], answer["whole"]) == (2, 2, 2, False)
    assert len(PdfReader(io.BytesIO(made)).pages) == 1
    for program, numbers in (("picture", "200 9 9"), ("pages", "0 0 1 9 9")):
        answer, made = run(program, tmp_path, "workspace", "absent", *numbers.split())
        assert (answer, made) == ({"failure": "damaged"}, b"")
    answer, _ = run("pages", tmp_path, "workspace", "b.pdf", *["0", "0", "1", "9", "9"])
    assert answer == {"failure": "many", "pages": 2}
    answer, _ = run("picture", tmp_path, "workspace", "b.pdf", *["9", "9", "9"])
    assert answer == {"failure": "unknown"}


@pytest.mark.slow
def test_memory_that_a_file_asks_for_is_not_given(tmp_path: Path) -> None:
    # A header within the limit of pixels that here is far above the memory.
    (tmp_path / "tmp").mkdir()
    (tmp_path / "bomb.png").write_bytes(png(60_000, 60_000, b"\0" * 60_000))
    answer, _ = run("picture", tmp_path, "workspace", "bomb.png", "200", "20000", str(10**11))
    assert answer["failure"] in ("memory", "damaged")


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_damaged_documents_make_no_more_pages_than_there_are(data: st.DataObject) -> None:
    whole = bytearray(pdf(["one", "two", "three"]))
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        answer, made = pages.take(bytes(whole), 0, 0, 10, 50_000, 50_000)
    except Exception:  # which the program turns into a word
        return
    assert 1 <= int(str(answer["last"])) <= int(str(answer["pages"])) <= 10
    assert answer["whole"] or made.startswith(b"%PDF-")
