"""The capture: whatever the pieces, what is shown and what is kept add up."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flynn.tools import capture, spill
from flynn.tools.capture import Capture
from flynn.tools.job_news import whereabouts
from flynn.tools.spill import Spill, fresh_name
from flynn.tools.terminal import Terminal
from flynn.workspace.output_store import DIRECTORY

LOST = re.compile(r"\n?\[… ([\d,]+) characters left out here …\]\n")
PIECES = st.lists(
    st.binary(max_size=12) | st.sampled_from([b"\n", b"line\n", "ü€".encode(), b"\xf0\x9f"]), max_size=40
)


def through_a_terminal(pieces: list[bytes]) -> str:
    terminal = Terminal()
    return terminal.feed(b"".join(pieces).decode("utf-8", "replace")) + terminal.close()


@settings(max_examples=60, deadline=None)
@given(pieces=PIECES, whole=st.booleans(), limit=st.integers(8, 40))
async def test_shown_and_lost_are_all_and_the_file_has_all(
    pieces: list[bytes], *, whole: bool, limit: int
) -> None:
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(capture, "MAX_RESULT", 40)
        shown: list[str] = []
        kept = Spill(Path(name), fresh_name("c"), None)
        taking = Capture(shown.append, kept, whole=whole)
        for piece in pieces:
            taking.feed(piece)
        await taking.close()
        said = through_a_terminal(pieces)
        assert "".join(shown) == b"".join(pieces).decode("utf-8", "replace")
        look = taking.look(limit)
        if len(said) <= limit:
            assert (look.text, look.lost) == (said, 0)
        else:
            gap = LOST.search(look.text)
            assert gap
            assert int(gap[1].replace(",", "")) == look.lost
            assert said.startswith(look.text[: gap.start()])
            assert said.endswith(look.text[gap.end() :])
        file = Path(name) / DIRECTORY / f"{kept.name}.txt"
        assert file.exists() == bool(said and (whole or len(said) > 40))
        await taking.keep()
        assert file.read_text() == said


@settings(max_examples=40, deadline=None)
@given(pieces=PIECES, looks=st.sets(st.integers(0, 39)))
async def test_looks_one_after_the_other_show_every_finished_line(
    pieces: list[bytes], looks: set[int]
) -> None:
    with TemporaryDirectory() as name:
        taking = Capture(lambda _: None, Spill(Path(name), fresh_name("b"), None), whole=True)
        seen = ""
        for number, piece in enumerate(pieces):
            taking.feed(piece)
            if number in looks:
                text = taking.look(1_000).text
                seen += text[: text.rfind("\n") + 1]
                taking.forget()
        await taking.close()
        assert seen + taking.look(1_000).text == through_a_terminal(pieces)


async def test_a_file_that_is_full_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "LARGEST_FILE", 10)
    kept = Spill(tmp_path, fresh_name("c"), None)
    for piece in ("12345", "67890", "more", "and more"):
        kept.add(piece)
    await kept.close()
    assert (tmp_path / DIRECTORY / f"{kept.name}.txt").read_text() == "1234567890"
    assert whereabouts(kept).startswith("[The first 80,000,000 bytes of the output are in /tmp/flynn-output/")


async def test_a_file_that_cannot_be_made_costs_nothing_else(tmp_path: Path) -> None:
    kept = Spill(tmp_path / "missing", fresh_name("c"), None)
    kept.add("words")
    await kept.close()
    kept.add("later")
    await kept.close()
    assert kept.failure == "/tmp/flynn-output cannot be used: No such file or directory."
    assert whereabouts(kept) == (
        "[The whole output could not be kept: /tmp/flynn-output cannot be used: No such file or directory.]"
    )
