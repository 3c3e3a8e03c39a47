"""What a terminal would have left: colours, titles and progress bars are gone, words are not."""

import re

from hypothesis import given
from hypothesis import strategies as st

from flynn.tools.terminal import Terminal


def cleaned(*pieces: str) -> str:
    terminal = Terminal()
    return "".join([*(terminal.feed(piece) for piece in pieces), terminal.close()])


def test_colours_titles_links_and_cursor_moves_go() -> None:
    assert cleaned("\x1b[1;31mred\x1b[0m \x1b[38;2;1;2;3mtrue\x1b[m\n") == "red true\n"
    assert cleaned("\x1b]0;title\x07a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\\n") == "alink\n"
    assert cleaned("\x1b[2J\x1b[Htop\x1b[K\x1b(B\x1b=\x1b[?25l\n") == "top\n"
    assert cleaned("torn \x1b[3", "1mred\n") == "torn red\n"


def test_a_progress_bar_is_its_last_state() -> None:
    terminal = Terminal()
    assert terminal.feed("\r 10 %\r 50 %\r100 %\ndone\n") == "100 %\ndone\n"
    assert terminal.overwritten == 2
    assert cleaned("a\r\nb\r\n") == "a\nb\n"
    assert cleaned("half\r") == "half"
    assert cleaned("\x1b[2K\rone", "\x1b[2K\rtwo\n") == "two\n"


def test_overstrikes_are_letters_and_controls_nothing() -> None:
    assert cleaned("N\bNA\bAM\bME\bE\n") == "NAME\n"
    assert cleaned("\x07bell\x01\x7f\n") == "bell\n"
    assert cleaned("nul\0\n") == "nul\N{SYMBOL FOR NULL}\n"
    assert cleaned("tab\tform\x0cfeed\n") == "tab\tform\x0cfeed\n"


def test_an_unfinished_line_can_be_looked_at_and_stays() -> None:
    terminal = Terminal()
    assert terminal.feed("one\n 1 %\r 2 %") == "one\n"
    assert terminal.line == " 2 %"
    assert terminal.overwritten == 0
    assert terminal.feed("\r 3 %\n") == " 3 %\n"
    assert terminal.overwritten == 2
    assert terminal.line == ""


def test_a_line_without_end_does_not_wait_for_ever() -> None:
    terminal = Terminal()
    assert len(terminal.feed("x" * 200_000)) == 200_000
    assert terminal.close() == ""


LINES = st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])), max_size=8)


@given(LINES, st.lists(st.integers(1, 9), max_size=30))
def test_plain_text_passes_unchanged_however_it_is_cut(lines: list[str], cuts: list[int]) -> None:
    text = "\n".join(lines)
    pieces, at = [], 0
    for cut in cuts:
        pieces.append(text[at : at + cut])
        at += cut
    assert cleaned(*pieces, text[at:]) == text


@given(
    st.lists(st.sampled_from([*"a1;[]m\n\r\b\x1b\x07\\ü\0", "\x1b[", "\x1b]0;"]), max_size=60),
    st.integers(1, 7),
)
def test_whatever_comes_no_control_is_left_and_the_cuts_of_a_stream_do_not_matter(
    pieces: list[str], size: int
) -> None:
    text = "".join(pieces)
    once = cleaned(text)
    assert re.search(r"[\x00-\x08\x0b\x0d-\x1f]", once) is None
    assert cleaned(*(text[at : at + size] for at in range(0, len(text), size))) == once
