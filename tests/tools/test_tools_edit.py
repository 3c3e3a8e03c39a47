"""Edit: the same as Python's replace, and help where the text is not there."""

import random
import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flynn.domain.evidence import FileChanged
from flynn.telemetry.redaction import MARK
from flynn.tools.match import find, substitute
from flynn.tools.text import Text, decode
from flynn.workspace.entry import digest
from tests.tools.conftest import Conversation

_ALPHABET = "ab \t\n.(*\\$é\U0001f600"
_CONTENT = st.text(_ALPHABET, max_size=60)
_PIECE = st.text(_ALPHABET, min_size=1, max_size=4)


def _edited(content: str, old: str, new: str) -> str:
    return substitute(content, find(content, old), new, Text(content).line_ending)


@given(_CONTENT, _PIECE, _PIECE)
def test_editing_lf_text_is_python_replace(content: str, old: str, new: str) -> None:
    assert len(find(content, old)) == content.count(old)
    assert _edited(content, old, new) == content.replace(old, new)


@given(_CONTENT, _PIECE, _PIECE)
def test_editing_crlf_text_with_lf_strings_keeps_crlf(content: str, old: str, new: str) -> None:
    windows = content.replace("\n", "\r\n")
    if "\n" not in content and "\n" in new:
        windows += "\r\n"
        content += "\n"
    assert len(find(windows, old)) == content.count(old)
    assert _edited(windows, old, new) == content.replace(old, new).replace("\n", "\r\n")


@given(st.text("ab\r\n", max_size=40), st.text("ab\n", min_size=1, max_size=3), st.text("ab", max_size=3))
def test_what_is_not_matched_keeps_its_line_endings(content: str, old: str, new: str) -> None:
    matches = find(content, old)
    edited = substitute(content, matches, new, "\n")
    kept = [content[a.end : b.start] for a, b in pairwise(matches)]
    if matches:
        kept += [content[: matches[0].start], content[matches[-1].end :]]
        assert len(edited) == sum(map(len, kept)) + len(new) * len(matches)
    else:
        assert edited == content
    assert all(piece in edited for piece in kept)


@given(st.binary(max_size=200))
def test_text_goes_back_to_the_same_bytes(data: bytes) -> None:
    text = decode(data)
    if text is not None:
        assert text.encode(text.content) == data


@settings(max_examples=25, deadline=None)
@given(content=_CONTENT, old=_PIECE, new=_PIECE, everywhere=st.booleans())
async def test_the_tool_does_what_python_does_or_nothing(
    talk: Conversation, content: str, old: str, new: str, everywhere: bool
) -> None:
    file = talk.file("file", content)
    await talk.call("Read", file_path="file")
    result = await talk.call("Edit", file_path="file", old_string=old, new_string=new, replace_all=everywhere)
    count = content.count(old)
    allowed = old != new and (count == 1 or (everywhere and count > 0))
    assert file.read_text() == (content.replace(old, new) if allowed else content)
    assert bool(result.evidence) is allowed


async def test_an_edit_shows_the_lines_around_it_and_proves_itself(talk: Conversation) -> None:
    before = "".join(f"line {n}\n" for n in range(1, 21))
    talk.file("file", before)
    await talk.text("Read", file_path="file")
    result = await talk.call("Edit", file_path="file", old_string="line 10\n", new_string="ten\nand a half\n")
    assert result.content == (
        "Edited file: 1 replacement. It reads now:\n"
        "6\tline 6\n7\tline 7\n8\tline 8\n9\tline 9\n10\tten\n11\tand a half\n"
        "12\tline 11\n13\tline 12\n14\tline 13\n15\tline 14\n16\tline 15"
    )
    after = before.replace("line 10\n", "ten\nand a half\n").encode()
    assert result.evidence == (
        FileChanged(
            path="file",
            before=digest(before.encode()),
            after=digest(after),
            lines_added=2,
            lines_removed=1,
            kept=True,
            mode_before=(talk.root / "file").stat().st_mode & 0o7777,
            mode=(talk.root / "file").stat().st_mode & 0o7777,
        ),
    )
    assert [original.data for original in result.originals] == [before.encode()]


async def test_several_matches_are_counted_with_their_lines(talk: Conversation) -> None:
    file = talk.file("file", "x\ny\nx\nx\n")
    await talk.text("Read", file_path="file")
    words = await talk.error("Edit", file_path="file", old_string="x", new_string="z")
    assert "occurs 3 times in file, on lines 1, 3, 4" in words
    assert "replace_all" in words
    assert file.read_text() == "x\ny\nx\nx\n"
    done = await talk.text("Edit", file_path="file", old_string="x", new_string="z", replace_all=True)
    assert "3 replacements" in done
    assert file.read_text() == "z\ny\nz\nz\n"


async def test_a_crlf_file_is_edited_with_lf_strings(talk: Conversation) -> None:
    file = talk.file("file", b"a\r\nb\r\nc\r\n")
    await talk.text("Read", file_path="file")
    await talk.text("Edit", file_path="file", old_string="a\nb", new_string="a\nnew\nb")
    assert file.read_bytes() == b"a\r\nnew\r\nb\r\nc\r\n"


async def test_a_mixed_file_keeps_what_it_has(talk: Conversation) -> None:
    file = talk.file("file", b"a\r\nb\nc\r\nd\n")
    await talk.text("Read", file_path="file")
    await talk.text("Edit", file_path="file", old_string="b\nc", new_string="x\ny")
    assert file.read_bytes() == b"a\r\nx\ny\r\nd\n"


@pytest.mark.parametrize("encoding", ["utf-16-le", "latin-1"])
async def test_encodings_survive_an_edit(talk: Conversation, encoding: str) -> None:
    mark = "\ufeff" if encoding != "latin-1" else ""
    file = talk.file("file", f"{mark}grün\nblau\n".encode(encoding))
    await talk.text("Read", file_path="file")
    await talk.text("Edit", file_path="file", old_string="blau", new_string="größer")
    assert file.read_bytes() == f"{mark}grün\ngrößer\n".encode(encoding)


async def test_a_character_without_a_place_is_refused(talk: Conversation) -> None:
    file = talk.file("file", "grün\n".encode("latin-1"))
    await talk.text("Read", file_path="file")
    assert "Latin-1, which cannot hold" in await talk.error(
        "Edit", file_path="file", old_string="gr", new_string="€"
    )
    assert file.read_bytes() == "grün\n".encode("latin-1")


@pytest.mark.parametrize(
    ("old", "words"),
    [
        (
            "    return x",
            "differs in indentation (tabs against spaces), first here:\n"
            "in the file:  '\\treturn x'\nold_string:   '    return x'",
        ),
        ("say('hello')", "differs in quotes"),
        ("return  x", "differs in whitespace"),
        ("def f(arg):   \n\treturn x", "differs in the blanks at the end of a line"),
        ("\t\treturn x", "differs in indentation, first"),
        ("def f(arg):\n\n\n", "without the blanks and line breaks at its end"),
        ("def f(arg):\\n\\treturn x", "when its escapes are read"),
        ("a &lt; b", "plain characters: write < > &"),
        ("yes - no...", "characters that look alike"),
        ("cafe\u0301", "characters that look alike"),
        ("2\t\treturn x", "without the line numbers"),
        ("def f(argument):\n\treturn x + 1\n", "The closest lines are:\n1\tdef f(arg):\n2\t\treturn x"),
        ("zzzzzzzzzzzzzzzzzz", "Nothing in the file is like it"),
    ],
)
async def test_text_that_is_not_there_comes_with_what_is_near(
    talk: Conversation, old: str, words: str
) -> None:
    content = "def f(arg):\n\treturn x\nsay(\u2018hello\u2019)\na < b\nyes \u2013 no\u2026\ncaf\u00e9\n"
    talk.file("file", content)
    await talk.text("Read", file_path="file")
    said = await talk.error("Edit", file_path="file", old_string=old, new_string="new")
    assert "old_string is not in file." in said
    assert words in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"old_string": "a", "new_string": "a"}, "the same"),
        ({"old_string": "a\r\n", "new_string": "a\n"}, "the same"),
        ({"old_string": "", "new_string": "a"}, "use Write"),
    ],
)
async def test_an_edit_without_effect_is_refused(
    talk: Conversation, arguments: dict[str, str], words: str
) -> None:
    talk.file("file", "a\n")
    await talk.text("Read", file_path="file")
    assert words in await talk.error("Edit", file_path="file", **arguments)


async def test_only_what_was_seen_is_edited(talk: Conversation) -> None:
    file = talk.file("file", "a\n")
    assert "has not been read yet" in await talk.error(
        "Edit", file_path="file", old_string="a", new_string="b"
    )
    await talk.text("Read", file_path="file")
    file.write_text("a\nmore\n")
    assert "has changed since" in await talk.error("Edit", file_path="file", old_string="a", new_string="b")
    assert "does not exist" in await talk.error("Edit", file_path="fil", old_string="a", new_string="b")
    assert file.read_text() == "a\nmore\n"


async def test_emptying_a_file_says_so(talk: Conversation) -> None:
    file = talk.file("file", "a\n")
    await talk.text("Read", file_path="file")
    assert "empty now" in await talk.text("Edit", file_path="file", old_string="a\n", new_string="")
    assert file.read_bytes() == b""


async def test_help_takes_a_bounded_time(talk: Conversation) -> None:
    random.seed(7)
    talk.file("file", "".join("".join(random.choices("ab", k=200)) + "\n" for _ in range(20_000)))
    await talk.text("Read", file_path="file")
    began = time.monotonic()
    await talk.error(
        "Edit", file_path="file", old_string="".join(random.choices("ab", k=200)), new_string="x"
    )
    assert time.monotonic() - began < 20


async def test_a_large_file_is_edited_like_a_small_one(talk: Conversation) -> None:
    file = talk.file("file", "line\n" * 100_000 + "end\n")
    await talk.text("Read", file_path="file")
    result = await talk.call("Edit", file_path="file", old_string="end", new_string="END")
    assert "100001\tEND" in str(result.content)
    assert file.read_text().endswith("line\nEND\n")


async def test_new_text_with_a_redaction_mark_is_refused(talk: Conversation) -> None:
    file = talk.file("file", "user: octo\npassword: geheim\nhost: db\n")
    await talk.text("Read", file_path="file")
    words = await talk.error("Edit", file_path="file", old_string="host: db", new_string=f"key: {MARK}")
    assert "file was not changed." in words
    assert "would destroy the secret" in words
    words = await talk.error(
        "Edit", file_path="file", old_string=f"password: {MARK}\nhost: db", new_string="host: other"
    )
    assert "a secret is there" in words
    assert "Choose an old_string without it" in words
    assert file.read_text() == "user: octo\npassword: geheim\nhost: db\n"
    await talk.text("Edit", file_path="file", old_string="host: db", new_string="host: other")
    assert file.read_text() == "user: octo\npassword: geheim\nhost: other\n"


async def test_a_file_that_holds_the_mark_itself_can_be_edited(talk: Conversation) -> None:
    file = talk.file("source.py", f'MARK = "{MARK}"\nother = 1\n')
    await talk.text("Read", file_path="source.py")
    await talk.text("Edit", file_path="source.py", old_string="other = 1", new_string="other = 2")
    await talk.text("Edit", file_path="source.py", old_string=f'MARK = "{MARK}"', new_string=f"M = '{MARK}'")
    assert file.read_text() == f"M = '{MARK}'\nother = 2\n"
    assert "would destroy" in await talk.error(
        "Edit", file_path="source.py", old_string=MARK, new_string=MARK * 2
    )


@pytest.mark.parametrize("content", [b"a\nb", b"a\r\nb", b"b", b"b\n", b"b\r\n", b"x\nb\r\n"])
async def test_the_end_of_a_file_stays_as_it_is(talk: Conversation, content: bytes) -> None:
    file = talk.file("file", content)
    await talk.text("Read", file_path="file")
    await talk.text("Edit", file_path="file", old_string="b", new_string="c")
    assert file.read_bytes() == content.replace(b"b", b"c")


async def test_what_was_seen_is_forgotten_when_nobody_knows_what_a_call_did(talk: Conversation) -> None:
    talk.file("file", "a\n")
    await talk.text("Read", file_path="file")
    talk.seen.clear()  # as the fold does at an unknown outcome
    assert "has not been read" in await talk.error("Edit", file_path="file", old_string="a", new_string="b")


async def test_mode_and_owner_stay_and_hard_links_part(talk: Conversation) -> None:
    file = talk.file("script", "echo a\n")
    file.chmod(0o750)
    before = file.stat()
    (talk.root / "other").hardlink_to(file)
    await talk.text("Read", file_path="script")
    await talk.text("Edit", file_path="script", old_string="a", new_string="b")
    after = file.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert (talk.root / "other").read_text() == "echo a\n"


async def test_utf_16_without_a_mark_stays_what_it_is(talk: Conversation) -> None:
    path = talk.file("plain.txt", "some words\nand more\n".encode("utf-16-be"))
    await talk.text("Read", file_path="plain.txt")
    await talk.text("Edit", file_path="plain.txt", old_string="words", new_string="wörds ✓")
    assert path.read_bytes() == "some wörds ✓\nand more\n".encode("utf-16-be")
