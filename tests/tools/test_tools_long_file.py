"""Read on text that is too long to be read whole: lines stream past, and nothing counts as seen."""

import pytest

from flynn.tools import long_file
from flynn.tools.change import MAX_FILE
from flynn.tools.long_file import LongFile
from flynn.workspace.entry import Entry
from tests.media import image
from tests.tools.conftest import Conversation

LINES = 2_600_000


@pytest.fixture(scope="module")
def lines() -> bytes:
    data = b"".join(b"line %07d\n" % number for number in range(1, LINES + 1))
    assert len(data) > MAX_FILE
    return data


@pytest.mark.slow
async def test_lines_are_found_anywhere(talk: Conversation, lines: bytes) -> None:
    talk.file("log", lines)
    size = len(lines)
    assert await talk.text("Read", file_path="log", offset=2_599_999, limit=5) == (
        "2599999\tline 2599999\n2600000\tline 2600000\n\n"
        f"[lines 2599999 to 2600000 of a file of {size:,} bytes. it counts as not read for Edit]"
    )
    first = await talk.text("Read", file_path="log", limit=3)
    assert first.startswith("1\tline 0000001\n2\tline 0000002\n3\tline 0000003\n\n[lines 1 to 3 of")
    whole = await talk.text("Read", file_path="log", offset=80_659)  # where the second piece begins
    assert whole.startswith("80659\tline 0080659\n80660\tline 0080660\n")
    assert "82658\tline 0082658\n\n[lines 80659 to 82658 of" in whole
    assert "has about 2,600,000 lines; offset 3000000 is past" in (
        await talk.error("Read", file_path="log", offset=3_000_000)
    )
    assert "give offset and limit" in await talk.error("Read", file_path="log")
    assert talk.seen == {}


async def test_monstrous_lines_are_cut_and_odd_bytes_shown(talk: Conversation) -> None:
    monster = b"\xc3\xa4" * (MAX_FILE // 2)
    talk.file("log", b"first\r\n" + monster + b"\nL\xe4tin\nlast")
    words = await talk.text("Read", file_path="log", offset=1, limit=9)
    number, monstrous, latin, last = words.split("\n\n[")[0].split("\n")
    assert number == "1\tfirst"
    assert monstrous == "2\t" + "ä" * 1_980 + " […the line goes on]"
    assert (latin, last) == ("3\tLätin", "4\tlast")
    assert "shown as Latin-1" in words
    assert "lines end in CRLF" in words
    assert "long lines are cut" in words


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (image(9, 9), "(PNG image) has"),
        (b"%PDF-1.7\n", "(PDF document) has"),
        (b"\x7fELF\0", "is program (ELF); files of that size are shown when they are text"),
        ("words\n".encode("utf-16"), "is UTF-16; convert it with Bash first"),
        (b"\0", "is no text"),
    ],
)
async def test_long_files_of_other_kinds_are_named(talk: Conversation, head: bytes, words: str) -> None:
    tail = "x\n".encode("utf-16-le") if head[:2] == b"\xff\xfe" else b"x\n\0x"
    talk.file("huge", head + tail * (MAX_FILE // 4))
    assert words in await talk.error("Read", file_path="huge", limit=5)


async def test_a_look_can_be_stopped_and_goes_only_so_far(
    talk: Conversation, lines: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk.file("log", lines)

    def held() -> Entry:
        return talk.workspace.locate("log")

    with held() as entry:
        stopped = LongFile(entry, "log")
        stopped.stop()
        assert "past its end" in str(stopped.show(9, None).content)
    monkeypatch.setattr(long_file, "MAX_SCANNED", 1 << 20)
    with held() as entry:
        words = str(LongFile(entry, "log").show(2_000_000, None).content)
        assert "is not within its first 1,048,576 bytes. Show it with Bash: `sed -n '2000000,+100p'`" in words
