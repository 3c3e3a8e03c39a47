"""Read: numbered lines, and a sentence to act on where there are none."""

import codecs
import os
from pathlib import Path

import pytest

from flynn.domain.evidence import FileRead
from flynn.workspace.entry import digest
from tests.tools.conftest import Conversation


async def test_lines_are_numbered_and_the_whole_file_hashed(talk: Conversation) -> None:
    talk.file("a/b.txt", "one\n\n  three\n")
    result = await talk.call("Read", file_path="a/../a/b.txt")
    assert result.content == "1\tone\n2\t\n3\t  three"
    assert result.evidence == (FileRead(path="a/b.txt", sha256=digest(b"one\n\n  three\n"), complete=True),)


async def test_absolute_paths_are_taken_and_links_resolved(talk: Conversation) -> None:
    talk.file("real.txt", "x")
    (talk.root / "link.txt").symlink_to("real.txt")
    result = await talk.call("Read", file_path=str(talk.root / "link.txt"))
    assert result.content == "1\tx"
    assert isinstance(result.evidence[0], FileRead)
    assert result.evidence[0].path == "real.txt"


async def test_offset_and_limit_page_through_and_say_where_they_are(talk: Conversation) -> None:
    talk.file("long", "".join(f"line {n}\n" for n in range(1, 3001)))
    first = await talk.call("Read", file_path="long")
    assert isinstance(first.content, str)
    assert "2000\tline 2000\n\n[lines 1 to 2000 of 3000; go on with offset 2001]" in first.content
    assert isinstance(first.evidence[0], FileRead)
    assert not first.evidence[0].complete
    assert await talk.text("Read", file_path="long", offset=2999) == (
        "2999\tline 2999\n3000\tline 3000\n\n[lines 2999 to 3000 of 3000]"
    )
    assert await talk.text("Read", file_path="long", offset="5", limit=1) == (
        "5\tline 5\n\n[lines 5 to 5 of 3000; go on with offset 6]"
    )
    assert (await talk.text("Read", file_path="long", offset=0, limit=1)).startswith("1\tline 1\n")
    assert "3,000 lines" in await talk.error("Read", file_path="long", offset=3001)


async def test_long_lines_and_long_results_are_cut_and_say_so(talk: Conversation) -> None:
    talk.file("wide", "x" * 5_000 + "\nend\n")
    wide = await talk.call("Read", file_path="wide")
    assert isinstance(wide.content, str)
    assert "x" * 2_000 + " […3,000 more characters]\n2\tend" in wide.content
    assert "long lines are cut" in wide.content
    talk.file("big", ("ä" * 1_000 + "\n") * 200)
    big = await talk.text("Read", file_path="big")
    assert len(big.encode()) < 101_000
    assert "cut at 100,000 bytes" in big
    assert "lines 1 to 49 of 200; go on with offset 50" in big


@pytest.mark.parametrize(
    ("data", "shown", "note"),
    [
        ("grün\n".encode(), "1\tgrün", None),
        (codecs.BOM_UTF8 + "grün\n".encode(), "1\tgrün", "encoded in UTF-8 with a byte order mark"),
        (codecs.BOM_UTF16_LE + "grün\n".encode("utf-16-le"), "1\tgrün", "encoded in UTF-16 (little endian)"),
        (codecs.BOM_UTF16_BE + "grün\n".encode("utf-16-be"), "1\tgrün", "encoded in UTF-16 (big endian)"),
        ("grün\n".encode("latin-1"), "1\tgrün", "encoded in Latin-1"),
        (
            "some words\n".encode("utf-16-le"),
            "1\tsome words",
            "encoded in UTF-16 (little endian) without a byte order mark",
        ),
        (
            "some words\n".encode("utf-16-be"),
            "1\tsome words",
            "encoded in UTF-16 (big endian) without a byte order mark",
        ),
        (
            codecs.BOM_UTF8,
            "[file is empty but for a byte order mark (encoded in UTF-8 with a byte order mark)]",
            None,
        ),
        (b"a\r\nb\r\n", "1\ta\n2\tb", "lines end in CRLF"),
        (b"a\r\nb\n", "1\ta\n2\tb", "some lines end in CRLF"),
        ("a\u2028b\x0bc\n".encode(), "1\ta\u2028b\x0bc", None),
    ],
)
async def test_encodings_and_line_endings(
    talk: Conversation, data: bytes, shown: str, note: str | None
) -> None:
    talk.file("file", data)
    assert await talk.text("Read", file_path="file") == (f"{shown}\n\n[{note}]" if note else shown)


async def test_an_empty_file_says_so_and_counts_as_seen(talk: Conversation) -> None:
    talk.file("empty", b"")
    assert await talk.text("Read", file_path="empty") == "[empty is empty]"
    assert talk.seen == {"empty": digest(b"")}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0", "file (PNG image, 10 bytes) cannot be shown"),
        (b"%PDF-1.7\n\xe2\xe3\xcf\xd3\n\0", "file (PDF document, 15 bytes) cannot be shown"),
        (b"\x7fELF\0\1", "binary (program (ELF)"),
        (bytes(range(256)), "binary"),
        (b"\xff\xfe\0\0x\0\0\0", "binary"),
        (b"\0a\0b\0c\0", "binary"),
        (b"a\0\0\xd8b\0c\0", "binary"),
        (b"".join(bytes((1 + n % 31, 0)) for n in range(400)), "binary"),
        (b"words\0and words", "binary"),
        (b"\x1f\x8b\x08" + b"\x01\x02\x03\x04\x05\x06" * 20 + b"\xff", "gzip"),
    ],
)
async def test_what_is_not_text_is_named(talk: Conversation, data: bytes, words: str) -> None:
    talk.file("file", data)
    assert words in await talk.error("Read", file_path="file")
    assert talk.seen == {}


async def test_what_is_no_file_is_named_and_nothing_blocks(talk: Conversation) -> None:
    os.mkfifo(talk.root / "pipe")
    talk.file("directory/inner.txt", "")
    assert "pipe is a named pipe" in await talk.error("Read", file_path="pipe")
    assert "It holds: inner.txt." in await talk.error("Read", file_path="directory")


@pytest.mark.needs("root")
async def test_a_device_is_not_read(talk: Conversation) -> None:
    os.mknod(talk.root / "zero", 0o20666, os.makedev(1, 5))
    assert "character device" in await talk.error("Read", file_path="zero")


async def test_a_missing_file_comes_with_near_names(talk: Conversation) -> None:
    for name in ("docker-compose.yml", "Dockerfile", "src/main.py", "src/util.py"):
        talk.file(name, "")
    assert "Near names in the workspace: docker-compose.yml." in await talk.error(
        "Read", file_path="docker-compose.yaml"
    )
    assert "there is no srv. Near names in the workspace: src/" in await talk.error(
        "Read", file_path="srv/main.py"
    )
    assert "In src there are: main.py, util.py" in await talk.error("Read", file_path="src/xyz")
    talk.cwd = "src"
    assert "use src/main.py" in await talk.error("Read", file_path="main.py")


async def test_a_huge_file_is_refused_with_advice(talk: Conversation) -> None:
    talk.file("huge", b"some line\n" * 3_400_000)
    assert "search it with Grep" in await talk.error("Read", file_path="huge")
    with (talk.root / "hole").open("wb") as file:
        file.truncate(33 * 1024 * 1024)
    assert "is no text" in await talk.error("Read", file_path="hole")


async def test_a_file_beyond_the_inline_limit_reads_the_same(talk: Conversation) -> None:
    line = "some line of a log\n"
    talk.file("log", line * 20_000)
    text = await talk.text("Read", file_path="log", offset=20_000)
    assert text.startswith("20000\tsome line of a log")
    assert talk.seen["log"] == digest((line * 20_000).encode())


async def test_outside_is_refused(talk: Conversation, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (talk.root / "out").symlink_to("../secret")
    for path in ("../secret", "out", str(tmp_path / "secret"), "/etc/passwd"):
        words = await talk.error("Read", file_path=path)
        assert "workspace" in words or "/tmp is the private one of your commands" in words
        assert "secret\n" not in words
