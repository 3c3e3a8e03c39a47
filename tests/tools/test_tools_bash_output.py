"""Bash's output: in order, as a terminal would have left it, cut honestly, and whole in a file."""

import asyncio
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from flynn.domain.evidence import CommandRan
from flynn.sandbox.opening import Preference, open_sandbox
from flynn.tools.toolset import execute
from flynn.workspace.output_store import DIRECTORY, LARGEST_FILE
from flynn.workspace.root import Workspace
from tests.eventually import eventually
from tests.tools.conftest import Conversation

pytestmark = pytest.mark.needs("bubblewrap")

WHERE = re.compile(
    r"\[The (?:whole output is|first 80,000,000 bytes of the output are) in "
    r"/tmp/flynn-output/(c[0-9a-f]{10}\.txt): Read it with offset and"
)


def whole(talk: Conversation, said: object) -> str:
    found = WHERE.search(str(said))
    assert found, str(said)[-300:]
    return (talk.scratch / DIRECTORY / found[1]).read_text()


@pytest.fixture
def walkable() -> Iterator[Path]:
    """A directory to which every uid can walk, which pytest's own are not."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def open_files() -> set[str]:
    return {str(path) for path in Path("/proc/self/fd").iterdir()}


async def test_both_streams_come_in_the_order_they_were_written(talk: Conversation) -> None:
    said = await talk.text("Bash", command="for n in $(seq 300); do echo o$n; echo e$n >&2; done")
    assert said.splitlines() == [f"{stream}{n}" for n in range(1, 301) for stream in "oe"]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("kill -9 $$", "Exit code 137 (killed by signal 9, SIGKILL)"),
        ("bash -c 'kill -SEGV $$'; exit $?", "Exit code 139 (killed by signal 11, SIGSEGV)"),
        ("kill -TERM $$", "Exit code 143 (killed by signal 15, SIGTERM)"),
        ("exit 128", "Exit code 128"),
        ("exit 255", "Exit code 255"),
        ("exit 1", "Exit code 1"),
    ],
)
async def test_an_exit_code_says_which_signal_it_stands_for(
    talk: Conversation, command: str, words: str
) -> None:
    # The shell may say a word of its own about a child that was killed.
    assert (await talk.error("Bash", command=command)).splitlines()[0] == words


async def test_the_model_reads_what_a_terminal_would_show_and_viewers_get_it_raw(talk: Conversation) -> None:
    command = r"printf '\033[32mgreen\033[0m\n'; printf ' 1%%\r 50%%\r100%%\n'; printf 'nul\0\xff\n'"
    said = await talk.text("Bash", command=command)
    assert said == (
        "green\n100%\nnul\N{SYMBOL FOR NULL}\N{REPLACEMENT CHARACTER}\n"
        "[Lines that were written over with \\r are shown in their last state (2 earlier states left out); "
        "`| tr '\\r' '\\n'` shows all.]"
    )
    assert "".join(talk.output) == ("\x1b[32mgreen\x1b[0m\n 1%\r 50%\r100%\nnul\0\N{REPLACEMENT CHARACTER}\n")


async def test_short_output_makes_no_file(talk: Conversation) -> None:
    await talk.text("Bash", command="seq 1 5000")
    assert not (talk.scratch / DIRECTORY).exists()


async def test_what_was_cut_is_whole_in_the_file(talk: Conversation) -> None:
    result = await talk.call("Bash", command="seq 1 50000; printf 'no end'")
    assert whole(talk, result.content) == "".join(f"{n}\n" for n in range(1, 50_001)) + "no end"
    (ran,) = result.evidence
    assert isinstance(ran, CommandRan)
    assert ran.cut
    lost = re.search(r"\[… ([\d,]+) characters left out here …\]\n", str(result.content))
    assert lost
    shown = str(result.content).replace(lost[0], "")
    shown = shown[: shown.index("\n[The whole output")]
    assert len(shown) + int(lost[1].replace(",", "")) == len(whole(talk, result.content))


async def test_one_line_without_end_is_whole_in_the_file_too(talk: Conversation) -> None:
    result = await talk.call("Bash", command="head -c 40000 /dev/zero | tr '\\0' x; sleep 0.1; printf y")
    assert whole(talk, result.content) == "x" * 40_000 + "y"


async def test_a_failure_shows_less_and_keeps_all(talk: Conversation) -> None:
    result = await talk.call("Bash", command="seq 1 4000; exit 1")
    assert isinstance(result.content, str)
    assert result.content.startswith("Exit code 1\n1\n2\n")
    assert 9_000 < len(result.content) < 10_400
    assert whole(talk, result.content) == "".join(f"{n}\n" for n in range(1, 4_001))
    assert await talk.text("Bash", command="seq 1 4000") == "\n".join(map(str, range(1, 4_001)))


async def test_commands_read_the_file_where_the_model_was_told(talk: Conversation) -> None:
    said = await talk.text("Bash", command="seq 1 50000")
    found = WHERE.search(said)
    assert found
    assert await talk.text("Bash", command=f"grep -c 7 $TMPDIR/flynn-output/{found[1]}") == "17195"
    await talk.text("Bash", command="rm -r $TMPDIR/flynn-output")
    assert "50000" in whole(talk, await talk.text("Bash", command="seq 1 50000"))


@pytest.mark.needs("root")
async def test_files_belong_to_the_uid_that_commands_have(talk: Conversation, walkable: Path) -> None:
    (walkable / "workspace").mkdir()
    os.chown(walkable / "workspace", 20001, 20001)
    # This workspace lies beneath /tmp, which inside is the scratch: the way to it leads through there.
    talk.scratch.chmod(0o711)
    with Workspace.open(walkable / "workspace") as workspace:
        talk.workspace = workspace
        said = await talk.text("Bash", command="seq 1 50000; stat -c %u .")
        found = WHERE.search(said)
        assert found
        assert "\n20001\n[The whole output" in said
        assert await talk.text("Bash", command=f"tail -2 $TMPDIR/flynn-output/{found[1]}") == "50000\n20001"
        async with talk.jobs:
            words = await talk.text("Bash", command="echo up; sleep 86400", run_in_background=True)
            task = re.search(r"ID: (b\w+)", words)
            assert task
            kept = talk.scratch / DIRECTORY / f"{task[1]}.txt"
            await eventually(lambda: kept.exists() and kept.read_text() == "up\n", what="the job's file")
            assert await talk.text("Bash", command=f"cat $TMPDIR/flynn-output/{task[1]}.txt") == "up"
        await talk.text("Bash", command="rm -r $TMPDIR/flynn-output")


@pytest.mark.slow
async def test_a_flood_is_kept_up_to_its_end(talk: Conversation) -> None:
    words = await talk.error("Bash", command="yes 0123456789012345678901234567890123456789")
    assert words.startswith("Killed: it wrote far too much output.")
    assert "Output until then:\n0123456789" in words
    assert 64_000_000 <= len(whole(talk, words)) <= LARGEST_FILE


@pytest.mark.slow
async def test_the_loop_turns_while_a_flood_is_written(talk: Conversation) -> None:
    """Counted, not timed: others get their turn between the pieces."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.create_task(others())
    try:
        await talk.text("Bash", command="head -c 20000000 /dev/zero | tr '\\0' x")
    finally:
        counting.cancel()
    assert turns > 200


async def test_a_cancelled_command_leaves_no_note_and_no_open_file(talk: Conversation) -> None:
    before = open_files()
    up = asyncio.Event()
    context = replace(talk.context(), on_output=lambda text: up.set() if "50000" in text else None)
    arguments = {"command": "touch $TMPDIR/.flynn-cwd-x; seq 1 50000; sleep 60"}
    call = asyncio.create_task(execute("Bash", arguments, context))
    await up.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert open_files() <= before
    (kept,) = (talk.scratch / DIRECTORY).iterdir()
    assert kept.read_text().endswith("50000\n")
    # A note of a name that nobody chose here is left to the next one who takes the scratch up.
    assert [path.name for path in talk.scratch.glob(".flynn*")] == [".flynn-cwd-x"]


async def test_a_command_that_is_killed_leaves_no_note(talk: Conversation) -> None:
    spy = "name=$(grep -ao '[.]flynn-cwd-[0-9a-f]*' /proc/$$/cmdline | head -1); "
    await talk.error("Bash", command=spy + "mkfifo $TMPDIR/$name && touch planted; sleep 60", timeout=1_000)
    assert (talk.root / "planted").exists()
    assert list(talk.scratch.glob(".flynn*")) == []


@pytest.mark.parametrize("change", ["gone", "link outside", "file", "circle"])
async def test_the_carried_directory_is_looked_at_anew(
    talk: Conversation, tmp_path: Path, change: str
) -> None:
    place = talk.root / "a/b"
    place.mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    await talk.text("Bash", command="cd a/b")
    place.rmdir()
    match change:
        case "link outside":
            place.symlink_to(tmp_path / "outside")
        case "file":
            place.write_text("now a file")
        case "locked":
            (talk.root / "a").rmdir()
            (talk.root / "a").symlink_to("a")
        case _:
            pass
    said = await talk.text("Bash", command="pwd")
    assert said.startswith(f"{talk.root}\n[Run from the workspace's root: ")
    assert "a/b" in said.splitlines()[1]
    assert talk.cwd == "."


async def test_a_directory_that_became_a_link_within_is_followed(talk: Conversation) -> None:
    (talk.root / "a").mkdir()
    (talk.root / "c").mkdir()
    await talk.text("Bash", command="cd a")
    (talk.root / "a").rmdir()
    (talk.root / "a").symlink_to("c")
    assert await talk.text("Bash", command="pwd") == f"{talk.root}/c"
    assert talk.cwd == "c"


async def test_nobody_answers_a_question(talk: Conversation) -> None:
    said = await talk.text(
        "Bash", command="read -r x; echo $?; python3 -c 'import sys; print(sys.stdin.read())'"
    )
    assert said == "1"


@pytest.mark.needs("landlock")
@pytest.mark.parametrize("prefer", ["landlock"])
async def test_the_other_backend_keeps_outputs_and_jobs_as_well(
    talk: Conversation, tmp_path: Path, prefer: Preference
) -> None:
    talk.sandbox = await open_sandbox(private_root=tmp_path / "private", prefer=prefer)
    assert whole(talk, await talk.text("Bash", command="seq 1 50000")).endswith("50000\n")
    async with talk.jobs:
        said = await talk.text("Bash", command="echo up; sleep 0.4; exit 5", run_in_background=True)
        found = re.search(r"ID: (b\w+)", said)
        assert found
        shown = await talk.text("TaskOutput", task_id=found[1])
        assert "<exit_code>5</exit_code>\n<output>\nup\n</output>" in shown
