"""What comes back from the sandbox is believed no more than the file was: programs that lie, flood, hang."""

import json
from pathlib import Path

import pytest

from flynn.tools import workshop
from flynn.workspace.entry import digest
from tests.media import image, pdf, png
from tests.tools.conftest import Conversation

WIDE = image(3_136, 200)
BOOK = pdf(["one", "two"])


def lie(directory: Path, monkeypatch: pytest.MonkeyPatch, script: str, *, answer: object = None) -> None:
    """Put programs in the place of ours, as a hostile file might that took one over."""
    line = (
        "" if answer is None else f"sys.stdout.buffer.write({json.dumps(answer).encode() + bytes([10])!r})\n"
    )
    for program in ("picture", "pages"):
        (directory / f"{program}.py").write_text(f"import sys\n{line}{script}")
    monkeypatch.setattr(workshop, "_INSIDE", directory)


@pytest.mark.needs("bubblewrap")
@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("print('no json')", "what came of it makes no sense"),
        ("print('[1]')", "what came of it makes no sense"),
        ("print('{' * 100_000)", "what came of it makes no sense"),
        ("sys.stdout.buffer.write(b'{}\\n' + bytes(3_000_000))", "what came of it makes no sense"),
        ("sys.stdout.buffer.write(bytes(90_000_000))", "cannot be shown"),
        ("print('{}')", "the file was changed meanwhile; read it again"),
        ("sys.exit(3)", "does not run in the sandbox of this machine"),
        ('print(\'{"failure": ["words"]}\')', "it is damaged"),
        ("import time; time.sleep(60)", "it was not done after 0.5 s; ask for less of it"),
    ],
)
async def test_a_program_that_makes_no_sense_is_not_believed(
    talk: Conversation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, words: str
) -> None:
    if "sleep" in script:
        monkeypatch.setattr(workshop, "TIMEOUT_SECONDS", 0.5)
    lie(tmp_path, monkeypatch, script)
    talk.file("wide.png", WIDE)
    assert words in await talk.error("Read", file_path="wide.png")
    assert talk.seen == {}


@pytest.mark.needs("bubblewrap")
@pytest.mark.parametrize(
    ("made", "words"),
    [
        (image(2_000, 20), "it is too large (2000x20 pixels"),
        (png(65_535, 65_535, b""), "it is too large"),
        (png(100, 100, b""), "it is damaged: it holds fewer pixels"),
        (b"", "it is damaged: its header makes no sense"),
        (BOOK, "it is damaged: its header makes no sense"),
    ],
)
async def test_a_picture_is_looked_at_again(
    talk: Conversation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: bytes, words: str
) -> None:
    answer = {"sha256": digest(WIDE), "width": -1, "height": "high", "frames": 10**20}
    lie(tmp_path, monkeypatch, f"sys.stdout.buffer.write({made!r})", answer=answer)
    talk.file("wide.png", WIDE)
    assert words in await talk.error("Read", file_path="wide.png")


@pytest.mark.needs("bubblewrap")
@pytest.mark.parametrize(
    ("answer", "made"),
    [
        ({"pages": 2, "first": 1, "last": 2}, b"no document"),
        ({"pages": 2, "first": 2, "last": 1}, BOOK),
        ({"pages": 2, "first": 0, "last": 2}, BOOK),
        ({"pages": 2, "first": 1, "last": 3}, BOOK),
        ({"pages": 900, "first": 1, "last": 900}, BOOK),
        ({"pages": "two", "first": True, "last": 2.0}, BOOK),
        ({}, BOOK),
    ],
)
async def test_a_document_is_looked_at_again(
    talk: Conversation,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answer: dict[str, object],
    made: bytes,
) -> None:
    said = {"sha256": digest(BOOK), "tokens": 1, **answer}
    lie(tmp_path, monkeypatch, f"sys.stdout.buffer.write({made!r})", answer=said)
    talk.file("book.pdf", BOOK)
    assert "cannot be shown: it is damaged" in await talk.error("Read", file_path="book.pdf")


@pytest.mark.needs("bubblewrap")
async def test_pages_cost_what_their_images_do_whatever_the_program_says(
    talk: Conversation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = {"sha256": digest(BOOK), "tokens": 1, "pages": 2, "first": 1, "last": 2, "whole": True}
    lie(tmp_path, monkeypatch, "", answer=answer)
    talk.file("book.pdf", BOOK)
    result = await talk.call("Read", file_path="book.pdf")
    assert isinstance(result.content, list)
    assert result.content[0]["source"]["tokens"] == 3_200
