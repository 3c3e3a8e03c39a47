"""Read beneath /tmp: the conversation's own, contained like a workspace; nothing in it counts as seen."""

import os
from pathlib import Path

import pytest

from flynn.domain.errors import WorkspaceError
from flynn.domain.tool_result import Outcome
from flynn.workspace.root import Workspace
from tests.tools.conftest import Conversation


@pytest.mark.needs("bubblewrap")
async def test_what_a_command_left_in_tmp_is_read(talk: Conversation) -> None:
    await talk.text(
        "Bash",
        command="mkdir $TMPDIR/flynn-output && cd $TMPDIR/flynn-output && seq 3000 > x.txt; ln -s x.txt l",
    )
    words = await talk.text("Read", file_path="/tmp/flynn-output/x.txt", offset=2_999)
    assert words == "2999\t2999\n3000\t3000\n\n[lines 2999 to 3000 of 3000]"
    assert (await talk.text("Read", file_path="/tmp/./flynn-output/l", limit=1)).startswith("1\t1\n")
    assert talk.seen == {}
    # Edit and Write do not go there.
    for tool, arguments in (("Write", {"content": "x"}), ("Edit", {"old_string": "1", "new_string": "2"})):
        words = await talk.error(tool, file_path="/tmp/flynn-output/x.txt", **arguments)
        assert "is not in the workspace" in words


async def test_messages_name_paths_as_commands_know_them(talk: Conversation) -> None:
    (talk.scratch / "out").mkdir()
    (talk.scratch / "out" / "report.txt").write_text("x")
    (talk.scratch / "out" / "data").write_bytes(b"\0\1\2")
    os.mkfifo(talk.scratch / "pipe")
    assert "Near names in /tmp/out: report.txt. (/tmp is the private one" in (
        await talk.error("Read", file_path="/tmp/out/reports.txt")
    )
    assert "/tmp/no/such does not exist: there is no /tmp/no. In /tmp there are: out/, pipe." in (
        await talk.error("Read", file_path="/tmp/no/such")
    )
    assert "/tmp/pipe is a named pipe" in await talk.error("Read", file_path="/tmp/pipe")
    assert "/tmp/out/data is binary" in await talk.error("Read", file_path="/tmp/out/data")
    for path in ("/tmp", "/tmp/"):
        assert "/tmp is a directory, and Read reads files. It holds: out/, pipe." in (
            await talk.error("Read", file_path=path)
        )
    assert "/tmp/out is a directory" in await talk.error("Read", file_path="/tmp/out/")


async def test_nothing_outside_is_reached_through_tmp(talk: Conversation, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret words")
    (talk.scratch / "absolute").symlink_to(tmp_path / "secret")
    (talk.scratch / "up").symlink_to("../../secret")
    (talk.scratch / "root").symlink_to("/")
    (talk.scratch / "proc").symlink_to("/proc/self/root")
    for path in (
        "absolute",
        "up",
        "../../secret",
        "root/etc/passwd",
        "proc/etc/passwd",
        "root" + str(tmp_path),
    ):
        words = await talk.error("Read", file_path=f"/tmp/{path}")
        assert "secret words" not in words
        assert "root:" not in words
        assert "leads outside" in words or "does not exist" in words


async def test_the_workspace_is_looked_for_first(talk: Conversation) -> None:
    # The workspace of these tests lies beneath /tmp itself, or wherever temporary files are.
    talk.file("note.txt", "of the workspace")
    assert await talk.text("Read", file_path=str(talk.root / "note.txt")) == "1\tof the workspace"
    result = await talk.call("Read", file_path=f"/tmp/../{talk.root}/note.txt")
    assert result.outcome is Outcome.ERROR


async def test_a_scratch_that_was_replaced_is_not_followed(talk: Conversation, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    talk.scratch.rmdir()
    talk.scratch.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(WorkspaceError, match="/tmp"):
        Workspace.open_private(talk.scratch, seen_as="/tmp")
    assert "/tmp" in await talk.error("Read", file_path="/tmp/x")


async def test_names_that_are_no_text_are_shown_all_the_same(talk: Conversation) -> None:
    (talk.root / "link.txt").symlink_to(os.fsdecode(b"\xff.txt"))
    (talk.root / os.fsdecode(b"\xff.txt")).write_text("words")
    result = await talk.call("Read", file_path="link.txt")
    assert result.content == "1\twords"
    (evidence,) = result.evidence
    assert "\N{REPLACEMENT CHARACTER}.txt" in evidence.model_dump_json()
