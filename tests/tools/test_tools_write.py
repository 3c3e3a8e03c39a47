"""Write: whole files, and only over what was seen."""

import asyncio
import time

import pytest

from flynn.domain.errors import LeaseLost
from flynn.domain.evidence import FileChanged
from flynn.telemetry.redaction import MARK
from flynn.tools.change import line_changes
from flynn.tools.tool import ToolContext
from flynn.tools.toolset import execute
from flynn.workspace.entry import digest
from tests.telemetry.test_telemetry_redaction import TOKENS
from tests.tools.conftest import Conversation


async def test_a_new_file_is_created_with_its_directories(talk: Conversation) -> None:
    result = await talk.call("Write", file_path="a/b/c.txt", content="one\ntwo\n")
    assert result.content == "Created a/b/c.txt: 2 lines."
    assert (talk.root / "a/b/c.txt").read_text() == "one\ntwo\n"
    assert result.evidence == (
        FileChanged(
            path="a/b/c.txt",
            before=None,
            after=digest(b"one\ntwo\n"),
            lines_added=2,
            lines_removed=0,
            kept=True,
            mode=(talk.root / "a/b/c.txt").stat().st_mode & 0o7777,
            directories_made=2,
        ),
    )
    assert result.originals == ()


async def test_what_was_replaced_is_handed_on_for_an_undo(talk: Conversation) -> None:
    file = talk.file("a/script", "grün\r\n".encode("latin-1"))
    file.chmod(0o755)
    await talk.text("Read", file_path="a/script")
    result = await talk.call("Write", file_path="a/script", content="new\n")
    (changed,) = result.evidence
    assert isinstance(changed, FileChanged)
    assert (changed.kept, changed.mode_before, changed.mode, changed.directories_made) == (
        True,
        0o755,
        0o755,
        0,
    )
    (original,) = result.originals
    assert (original.data, original.sha256) == ("grün\r\n".encode("latin-1"), changed.before)
    assert "gr" not in repr(original)


async def test_a_name_that_passes_for_a_secret_cannot_be_undone(talk: Conversation) -> None:
    name = f"{TOKENS['GitHub']}.txt"
    result = await talk.call("Write", file_path=name, content="new\n")
    (changed,) = result.evidence
    assert isinstance(changed, FileChanged)
    assert not changed.kept


async def test_what_was_written_counts_as_seen(talk: Conversation) -> None:
    await talk.text("Write", file_path="file", content="one\n")
    assert await talk.text("Write", file_path="file", content="one\ntwo\n") == "Replaced file: +1 −0 lines."


async def test_an_unread_file_is_not_replaced(talk: Conversation) -> None:
    file = talk.file("file", "precious")
    assert "has not been read yet" in await talk.error("Write", file_path="file", content="new")
    assert file.read_text() == "precious"


async def test_a_file_that_changed_since_is_not_replaced(talk: Conversation) -> None:
    file = talk.file("file", "old")
    await talk.text("Read", file_path="file")
    file.write_text("theirs")
    assert "has changed since" in await talk.error("Write", file_path="file", content="new")
    assert file.read_text() == "theirs"


async def test_reading_through_a_link_is_seeing_its_target(talk: Conversation) -> None:
    file = talk.file("real", "old")
    (talk.root / "link").symlink_to("real")
    await talk.text("Read", file_path="link")
    await talk.text("Write", file_path="real", content="new")
    assert file.read_text() == "new"


async def test_crlf_marks_and_encodings_are_kept(talk: Conversation) -> None:
    crlf = talk.file("crlf", b"a\r\nb\r\n")
    wide = talk.file("wide", "\ufeffgrün\n".encode("utf-16-le"))
    narrow = talk.file("narrow", "grün\n".encode("latin-1"))
    for name in ("crlf", "wide", "narrow"):
        await talk.text("Read", file_path=name)
    assert "CRLF, were kept" in await talk.text("Write", file_path="crlf", content="c\nd\n")
    await talk.text("Write", file_path="wide", content="blau\n")
    await talk.text("Write", file_path="narrow", content="größer\n")
    assert crlf.read_bytes() == b"c\r\nd\r\n"
    assert wide.read_bytes() == "\ufeffblau\n".encode("utf-16-le")
    assert narrow.read_bytes() == "größer\n".encode("latin-1")
    assert "is UTF-8 now" in await talk.text("Write", file_path="narrow", content="10 €\n")
    assert narrow.read_text() == "10 €\n"


async def test_a_byte_order_mark_is_not_doubled(talk: Conversation) -> None:
    marked = talk.file("marked", b"\xef\xbb\xbfa\r\n")
    await talk.text("Read", file_path="marked")
    await talk.text("Write", file_path="marked", content="\ufeffb\n")
    assert marked.read_bytes() == b"\xef\xbb\xbfb\r\n"


async def test_the_final_newline_is_kept(talk: Conversation) -> None:
    closed, crlf, open_ended = (
        talk.file(name, content)
        for name, content in (("closed", b"a\n"), ("crlf", b"a\r\n"), ("open", b"a\nb"))
    )
    for name in ("closed", "crlf", "open"):
        await talk.text("Read", file_path=name)
        said = await talk.text("Write", file_path=name, content="c\nd")
        assert ("Its final newline was kept." in said) == (name != "open")
    assert closed.read_bytes() == b"c\nd\n"
    assert crlf.read_bytes() == b"c\r\nd\r\n"
    assert open_ended.read_bytes() == b"c\nd"
    await talk.text("Write", file_path="closed", content="")
    assert closed.read_bytes() == b""


async def test_a_redaction_mark_is_not_written(talk: Conversation) -> None:
    file = talk.file("file", "password: geheim\nhost: db\n")
    await talk.text("Read", file_path="file")
    words = await talk.error("Write", file_path="file", content=f"password: {MARK}\nhost: other\n")
    assert "file was not changed." in words
    assert "change the rest with Edit" in words
    assert "was not created" in await talk.error("Write", file_path="new/file", content=MARK)
    assert file.read_text() == "password: geheim\nhost: db\n"
    assert not (talk.root / "new").exists()
    source = talk.file("source.py", f'MARK = "{MARK}"\n')
    await talk.text("Read", file_path="source.py")
    await talk.text("Write", file_path="source.py", content=f'MARK = "{MARK}"\nother = 1\n')
    assert source.read_text().endswith("other = 1\n")
    await talk.error("Write", file_path="source.py", content=MARK * 2)


async def test_the_same_content_writes_nothing(talk: Conversation) -> None:
    file = talk.file("file", "same\n")
    await talk.text("Read", file_path="file")
    before = file.stat().st_mtime_ns
    result = await talk.call("Write", file_path="file", content="same\n")
    assert "nothing was written" in str(result.content)
    assert result.evidence == ()
    assert file.stat().st_mtime_ns == before


async def test_what_cannot_be_written_says_why(talk: Conversation) -> None:
    (talk.root / "directory").mkdir()
    talk.file(".git/config", "[core]\n")
    await talk.text("Read", file_path=".git/config")
    assert "directory" in await talk.error("Write", file_path="directory", content="x")
    assert "surrogate" in await talk.error("Write", file_path="half", content="\ud800")
    assert "protected" in await talk.error("Write", file_path=".git/config", content="x")
    assert "protected" in await talk.error("Write", file_path=".git/hooks/pre-commit", content="x")
    assert "outside the workspace" in await talk.error("Write", file_path="../x", content="x")
    assert "not in the workspace" in await talk.error("Write", file_path="/etc/cron.d/x", content="x")


async def test_a_binary_file_is_not_written_over(talk: Conversation) -> None:
    file = talk.file("file", b"\x7fELF\0")
    assert "is binary; remove it" in await talk.error("Write", file_path="file", content="x")
    assert file.read_bytes() == b"\x7fELF\0"


async def test_a_lost_lease_leaves_the_tools(talk: Conversation) -> None:
    context = ToolContext(
        workspace=talk.workspace,
        sandbox=talk.sandbox,
        scratch=talk.scratch,
        deadline=time.clock_gettime(time.CLOCK_BOOTTIME) - 1,
    )
    with pytest.raises(LeaseLost):
        await execute("Write", {"file_path": "file", "content": "x"}, context)
    assert list(talk.root.iterdir()) == []


async def test_a_cancelled_write_is_over_when_it_returns(talk: Conversation) -> None:
    talk.file("file", "old")
    await talk.text("Read", file_path="file")
    held = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hold() -> None:
        loop.call_soon_threadsafe(held.set)
        time.sleep(0.2)

    context = ToolContext(
        workspace=talk.workspace, sandbox=talk.sandbox, scratch=talk.scratch, seen=talk.seen, confirm=hold
    )
    call = asyncio.create_task(execute("Write", {"file_path": "file", "content": "new"}, context))
    await held.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert [path.name for path in talk.root.iterdir()] == ["file"]
    assert (talk.root / "file").read_text() == "old"


@pytest.mark.parametrize(
    ("before", "after", "counts"),
    [
        (b"", b"a\nb\n", (2, 0)),
        (b"a\nb\n", b"", (0, 2)),
        (b"a\nb\nc\n", b"a\nx\nc\n", (1, 1)),
        (b"a\nb\nc\n", b"a\nc\n", (0, 1)),
        (b"a\nb\nc\nd\n", b"x\nb\ny\nd\n", (2, 2)),
        (b"a", b"a\n", (1, 1)),
        (
            b"".join(b"%d\n" % n for n in range(5000)),
            b"".join(b"%d\n" % (n + n % 2) for n in range(5000)),
            (2500, 2500),
        ),
    ],
)
def test_lines_are_counted_as_a_diff_counts_them(
    before: bytes, after: bytes, counts: tuple[int, int]
) -> None:
    assert line_changes(before, after) == counts
