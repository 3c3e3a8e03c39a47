"""TaskOutput: background jobs are watched to their end, and nothing is claimed that nobody saw."""

import asyncio
import os
import re
import time
from pathlib import Path

import pytest

from flynn.domain.content import Json
from flynn.domain.evidence import CommandRan, JobStarted
from flynn.domain.tool_result import Outcome
from flynn.sandbox.command import Sandbox
from flynn.tools import bash
from flynn.tools.job import Jobs
from flynn.workspace.output_store import DIRECTORY
from tests.eventually import eventually
from tests.sandbox.census import Census
from tests.tools.conftest import Conversation

pytestmark = [pytest.mark.needs("bubblewrap"), pytest.mark.usefixtures("jobs")]

ENDED = re.compile(r"\[(?:.*\. )?It ran for \d+\.\d s\.\]")


async def start(talk: Conversation, command: str, **more: Json) -> str:
    """Start a job that does not end at once; gives its ID."""
    words = await talk.text("Bash", command=command, run_in_background=True, **more)
    found = re.match(r"Command running in background with ID: (b[0-9a-f]{10})\.", words)
    assert found, words
    assert f"/tmp/{DIRECTORY}/{found[1]}.txt" in words
    return found[1]


async def said(talk: Conversation, words: str) -> None:
    """Wait until viewers have been shown `words`."""
    await eventually(lambda: words in "".join(talk.output), what=repr(words))


async def over(talk: Conversation, task: str) -> None:
    """Wait until the job has ended, without the model looking."""
    job = talk.jobs.find(task)
    assert job is not None
    await job.wait(20)
    assert not job.running


async def test_a_job_runs_on_and_is_watched_to_its_end(talk: Conversation) -> None:
    task = await start(talk, "echo one; until [ -e go ]; do sleep 0.05; done; echo two >&2; exit 3")
    assert talk.known_jobs[task] == JobStarted(task_id=task, command=talk.jobs.running[0].text, cwd=".")
    await said(talk, "one\n")
    first = await talk.call("TaskOutput", task_id=task, block=False)
    assert first.content == (
        f"<retrieval_status>not_ready</retrieval_status>\n<task_id>{task}</task_id>\n"
        "<status>running</status>\n<output>\none\n</output>"
    )
    assert first.evidence == ()
    waited = await talk.text("TaskOutput", task_id=task, timeout=50)
    assert waited.startswith("<retrieval_status>timeout</retrieval_status>")
    assert waited.endswith("<output></output>")
    (talk.root / "go").touch()  # not by a command, whose result might tell of the end first
    last = await talk.call("TaskOutput", task_id=task)
    assert isinstance(last.content, str)
    assert last.outcome is Outcome.OK
    assert "<retrieval_status>success" in last.content
    assert "<status>failed</status>\n<exit_code>3</exit_code>\n<output>\ntwo\n</output>" in last.content
    assert ENDED.search(last.content)
    (ran,) = last.evidence
    assert isinstance(ran, CommandRan)
    assert (ran.task_id, ran.exit_code, ran.timed_out, ran.cwd_after) == (task, 3, False, None)
    again = await talk.call("TaskOutput", task_id=task)
    assert "<exit_code>3</exit_code>\n<output></output>" in str(again.content)
    assert again.evidence == (), "the end is evidence once"
    assert (talk.scratch / DIRECTORY / f"{task}.txt").read_text() == "one\ntwo\n"
    assert "".join(talk.output) == "one\ntwo\n"


async def test_the_next_result_tells_that_a_job_has_ended(talk: Conversation) -> None:
    task = await start(talk, "until [ -e go ]; do sleep 0.05; done")
    other = await start(talk, "sleep 86400")
    (talk.root / "go").touch()
    await over(talk, task)
    told = await talk.call("Bash", command="cd /; echo done")
    assert re.search(
        rf"done\n.*\n\[Background job {task} has ended\. Exit code 0\. It ran for \d+\.\d s\. "
        r"TaskOutput shows its output\.\]$",
        str(told.content),
    )
    assert [e.task_id for e in told.evidence if isinstance(e, CommandRan)] == [None, task]
    assert isinstance(talk.known_jobs[other], JobStarted)
    assert await talk.text("Bash", command="echo quiet") == "quiet"
    assert "<exit_code>0</exit_code>" in await talk.text("TaskOutput", task_id=task)


async def test_a_job_that_fails_at_once_is_told_by_the_call_that_started_it(
    talk: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bash, "_FALSE_START_SECONDS", 20)  # a busy machine is no matter here
    result = await talk.call("Bash", command="nosuchprogram", run_in_background=True)
    started, ran = result.evidence
    assert isinstance(started, JobStarted)
    assert isinstance(ran, CommandRan)
    assert (ran.exit_code, ran.task_id) == (127, started.task_id)
    assert f"[Background job {started.task_id} has ended. Exit code 127. It ran for" in str(result.content)
    shown = await talk.text("TaskOutput", task_id=started.task_id)
    assert "bash: line 1: nosuchprogram: command not found" in shown


async def test_long_output_is_whole_in_the_file(talk: Conversation) -> None:
    task = await start(talk, "seq 1 100000; sleep 86400")
    path = talk.scratch / DIRECTORY / f"{task}.txt"
    await eventually(lambda: path.read_text().endswith("100000\n"), what="the last line")
    shown = await talk.text("TaskOutput", task_id=task, block=False)
    assert len(shown) < 30_500
    assert f"[The whole output is in /tmp/{DIRECTORY}/{task}.txt" in shown
    assert path.read_text() == "".join(f"{n}\n" for n in range(1, 100_001))
    assert await talk.text("Bash", command=f"wc -l < $TMPDIR/{DIRECTORY}/{task}.txt") == "100000"


async def test_an_unfinished_line_is_shown_as_it_stands(talk: Conversation) -> None:
    task = await start(talk, "printf 'Continue? '; sleep 86400")
    await said(talk, "Continue? ")
    assert "<output>\nContinue? \n</output>" in await talk.text("TaskOutput", task_id=task, block=False)


async def test_there_are_never_more_than_four(talk: Conversation) -> None:
    tasks = [await start(talk, f"sleep 8640{n}") for n in range(4)]
    words = await talk.error("Bash", command="touch fifth", run_in_background=True)
    assert words.startswith("4 background jobs are running, and there may be no more at once.")
    assert all(f"- {task}: sleep 8640{n}" in words for n, task in enumerate(tasks))
    assert not (talk.root / "fifth").exists()
    await talk.text("TaskStop", task_id=tasks[0])
    await start(talk, "sleep 86405")


async def test_a_jobs_time_runs_out(talk: Conversation, census: Census) -> None:
    task = await start(talk, f"exec sleep {census.mark}", timeout=600)
    said = await talk.text("TaskOutput", task_id=task)
    assert "<status>killed</status>" in said
    assert "Killed after 0.6 s: timed out. `timeout` sets how long a job may run." in said
    assert census.pids() == []
    ran = talk.known_jobs[task]
    assert isinstance(ran, CommandRan)
    assert (ran.exit_code, ran.timed_out) == (None, True)


async def test_a_job_starts_where_the_shell_is_and_moves_it_nowhere(talk: Conversation) -> None:
    (talk.root / "a/b").mkdir(parents=True)
    await talk.text("Bash", command="cd a")
    task = await start(talk, "cd b; pwd; sleep 86400")
    await said(talk, "b\n")
    assert f"{talk.root}/a/b" in await talk.text("TaskOutput", task_id=task, block=False)
    assert talk.cwd == "a"
    assert talk.known_jobs[task].cwd == "a"


async def test_what_is_gone_is_said_to_be_gone(talk: Conversation) -> None:
    """As after a resume: another worker knows the job from the log alone."""
    task = await start(talk, "echo kept; sleep 86400")
    await said(talk, "kept\n")
    await talk.jobs.end("Killed: the test ended it.")
    talk.jobs = Jobs(lambda: None)
    for tool in ("TaskOutput", "TaskStop"):
        words = await talk.error(tool, task_id=task)
        assert f"The background job {task} is gone" in words
        assert "its outcome is unknown" in words
        assert f"5 bytes of its output are in /tmp/{DIRECTORY}/{task}.txt." in words
    (talk.scratch / DIRECTORY / f"{task}.txt").unlink()
    assert "Nothing of its output is kept." in await talk.error("TaskOutput", task_id=task)
    assert await talk.error("TaskOutput", task_id="b0") == "There is no background job b0; running: none."
    assert await talk.error("TaskOutput", task_id="../../x") == (
        "There is no background job ../../x; running: none."
    )


async def test_an_end_that_was_seen_stays_known(talk: Conversation) -> None:
    task = await start(talk, "sleep 0.4; exit 9")
    await talk.text("TaskOutput", task_id=task)
    talk.jobs = Jobs(lambda: None)
    assert f"{task} ended in an earlier part of this conversation: Exit code 9." in (
        await talk.error("TaskOutput", task_id=task)
    )


async def test_a_job_does_not_outlive_the_lease(talk: Conversation, census: Census) -> None:
    """The worker is there, its loop turns, and nobody cancels anything: only the lease is over."""
    ends = [time.clock_gettime(time.CLOCK_BOOTTIME) + 1e6]
    talk.jobs = Jobs(lambda: ends[0])
    async with talk.jobs:
        task = await start(talk, f"exec sleep {census.mark}")
        await census.until(1)
        ends[0] = time.clock_gettime(time.CLOCK_BOOTTIME) - 1
        await census.until(0)
        assert "the service lost its lease" in await talk.text("TaskOutput", task_id=task)


async def test_leaving_the_run_ends_its_jobs_however_often_it_is_cancelled(
    talk: Conversation, census: Census
) -> None:
    for _ in range(3):
        await start(talk, f"setsid sleep {census.mark} & exec sleep {census.mark}")
    await census.until(6)
    ending = asyncio.create_task(talk.jobs.end("Killed."))
    for _ in range(5):
        await asyncio.sleep(0)
        ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    assert census.pids() == []


async def test_where_there_can_be_no_jobs_the_words_say_so(talk: Conversation, no_sandbox: Sandbox) -> None:
    talk.sandbox = no_sandbox
    assert "Bash is not available" in await talk.error("Bash", command="true", run_in_background=True)
    assert "has ended" not in await talk.error("Bash", command="true")


@pytest.mark.parametrize("plant", ["link", "file", "pipe"])
async def test_a_planted_directory_costs_the_file_and_nothing_else(
    talk: Conversation, tmp_path: Path, plant: str
) -> None:
    place = talk.scratch / DIRECTORY
    (tmp_path / "outside").mkdir()
    if plant == "link":
        place.symlink_to(tmp_path / "outside")
    elif plant == "file":
        place.write_text("in the way")
    else:
        os.mkfifo(place)
    said = await talk.text("Bash", command="seq 1 20000")
    assert said.startswith("1\n2\n")
    assert f"[The whole output could not be kept: /tmp/{DIRECTORY} cannot be used: " in said
    assert list((tmp_path / "outside").iterdir()) == []
