"""Bash: real commands in the real sandbox."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest

from flynn.domain.errors import LeaseLost
from flynn.domain.evidence import CommandRan
from flynn.domain.tool_result import Outcome
from flynn.sandbox.command import Sandbox
from flynn.tools.toolset import execute
from tests.tools.conftest import Conversation

pytestmark = pytest.mark.needs("bubblewrap")


async def test_output_and_evidence(talk: Conversation) -> None:
    result = await talk.call("Bash", command="echo out; echo err >&2", description="Say two things")
    assert result.content == "out\nerr"
    (ran,) = result.evidence
    assert isinstance(ran, CommandRan)
    assert (ran.command, ran.cwd, ran.cwd_after, ran.exit_code) == ("echo out; echo err >&2", ".", ".", 0)
    assert ran.duration_ms > 0


async def test_a_failure_shows_its_exit_code(talk: Conversation) -> None:
    result = await talk.call("Bash", command="echo before; exit 3")
    assert (result.outcome, result.content) == (Outcome.ERROR, "Exit code 3\nbefore")
    assert await talk.error("Bash", command="nosuchprogram") == (
        "Exit code 127\nbash: line 1: nosuchprogram: command not found"
    )


async def test_a_syntax_error_shows_only_the_models_words(talk: Conversation) -> None:
    words = await talk.error("Bash", command="echo one\nif then")
    assert "line 2" in words
    assert "trap" not in words
    assert "flynn" not in words


async def test_the_directory_is_carried_and_nothing_else(talk: Conversation) -> None:
    (talk.root / "a b/ü").mkdir(parents=True)
    await talk.text("Bash", command="cd 'a b/ü'; export LEFT=behind; exit 0")
    assert talk.cwd == "a b/ü"
    assert await talk.text("Bash", command='pwd; echo "<$LEFT> <$1>"') == f"{talk.root}/a b/ü\n<> <>"
    await talk.error("Bash", command="cd ..; false")
    assert talk.cwd == "a b"
    await talk.text("Bash", command="(cd /); cd ..")
    assert talk.cwd == "."


async def test_a_directory_outside_is_not_carried(talk: Conversation) -> None:
    (talk.root / "a").mkdir()
    await talk.text("Bash", command="cd a")
    assert "outside the workspace" in await talk.text("Bash", command="cd /usr")
    assert talk.cwd == "a"


async def test_a_lying_note_leads_nowhere(talk: Conversation, tmp_path: Path) -> None:
    (tmp_path / "beyond").mkdir()
    (talk.root / "out").symlink_to("../beyond")
    for note in ("/etc", "../beyond", "out", "x" * 5000, str(tmp_path / "beyond")):
        lie = f"trap - EXIT; true; pwd() {{ printf %s '{note}'; }}"
        await talk.call("Bash", command=lie)
        assert talk.cwd == "."
    await talk.call("Bash", command="pwd() { echo /etc; }")
    assert talk.cwd == "."
    await talk.call("Bash", command="chmod 0 /tmp")
    assert talk.cwd == "."


async def test_a_directory_that_is_gone_starts_at_the_root(talk: Conversation) -> None:
    (talk.root / "a").mkdir()
    await talk.text("Bash", command="cd a")
    (talk.root / "a").rmdir()
    said = await talk.text("Bash", command="pwd")
    assert said.startswith(f"{talk.root}\n[Run from the workspace's root: a does not exist")
    assert talk.cwd == "."


async def test_scratch_is_tmp_kept_between_calls_and_left_clean(talk: Conversation) -> None:
    await talk.text("Bash", command="echo kept > $TMPDIR/file; echo $TMPDIR")
    assert await talk.text("Bash", command="cat $TMPDIR/file") == "kept"
    assert (talk.scratch / "file").read_text() == "kept\n"
    assert list(talk.scratch.glob(".flynn*")) == []


async def test_a_timeout_kills_and_says_so(talk: Conversation) -> None:
    began = time.monotonic()
    result = await talk.call("Bash", command="echo early; sleep 30", timeout=300)
    assert time.monotonic() - began < 10
    assert result.outcome is Outcome.ERROR
    assert result.content == "Killed after 0.3 s: timed out. Output until then:\nearly"
    (ran,) = result.evidence
    assert isinstance(ran, CommandRan)
    assert (ran.timed_out, ran.exit_code) == (True, None)


async def test_long_output_loses_its_middle(talk: Conversation) -> None:
    result = await talk.call("Bash", command="seq 1 100000")
    assert isinstance(result.content, str)
    assert len(result.content) < 30_200
    assert result.content.startswith("1\n2\n3\n")
    assert result.content.endswith("99999\n100000")
    assert "characters left out here" in result.content
    (ran,) = result.evidence
    assert isinstance(ran, CommandRan)
    assert ran.cut


async def test_output_comes_as_it_is_written_and_characters_stay_whole(talk: Conversation) -> None:
    said = await talk.text(
        "Bash",
        command=r"printf '\xc3'; sleep .1; printf '\xbc\n\xff'; sleep .1; echo; printf '\xe2\x82'",
    )
    assert said == "ü\n\ufffd\n\ufffd"
    assert "".join(talk.output) == "ü\n\ufffd\n\ufffd"
    assert len(talk.output) >= 2


async def test_no_input_waits_for_nobody(talk: Conversation) -> None:
    assert await talk.text("Bash", command="cat; read -r x || echo end") == "end"


async def test_what_is_no_command_is_refused(talk: Conversation) -> None:
    assert "NUL" in await talk.error("Bash", command="echo a\0b")
    assert "surrogate" in await talk.error("Bash", command="echo \ud800")
    assert "run_in_background is not a parameter" in await talk.error(
        "Bash", command="x", run_in_background=True
    )
    assert "600000" in await talk.error("Bash", command="x", timeout=600_001)


async def test_the_host_is_out_of_reach(talk: Conversation, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("unmistakable")
    result = await talk.call("Bash", command=f"cat {tmp_path}/secret ../secret; touch {tmp_path}/made; true")
    assert "unmistakable" not in str(result.content)
    assert not (tmp_path / "made").exists()


async def test_without_a_sandbox_nothing_runs(talk: Conversation, no_sandbox: Sandbox) -> None:
    talk.sandbox = no_sandbox
    assert "Bash is not available" in await talk.error("Bash", command=f"touch {talk.root}/made")
    assert list(talk.root.iterdir()) == []


async def test_a_lost_lease_starts_nothing(talk: Conversation) -> None:
    def lost() -> None:
        raise LeaseLost("gone")

    late = time.clock_gettime(time.CLOCK_BOOTTIME) - 1
    for context in (replace(talk.context(), confirm=lost), replace(talk.context(), deadline=late)):
        with pytest.raises(LeaseLost):
            await execute("Bash", {"command": "touch made"}, context)
    assert list(talk.root.iterdir()) == []


async def test_a_cancelled_command_is_dead_when_it_returns(talk: Conversation) -> None:
    up = asyncio.Event()
    context = replace(talk.context(), on_output=lambda _: up.set())
    call = asyncio.create_task(execute("Bash", {"command": "echo up; sleep 0.5; touch made"}, context))
    await up.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await asyncio.sleep(0.7)
    assert not (talk.root / "made").exists()
