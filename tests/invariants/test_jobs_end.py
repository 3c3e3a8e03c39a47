"""Background jobs end with their run: however it ends, and whatever becomes of its worker."""

import asyncio
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from flynn.domain import events as ev
from flynn.domain.errors import LeaseLost
from flynn.domain.evidence import CommandRan, JobStarted
from flynn.domain.orders import InterruptOrder, TaskOrder
from flynn.domain.run import Limits
from flynn.domain.tool_result import Outcome
from tests.eventually import abandon, eventually
from tests.house import LIMITS, House, TestLease, open_house
from tests.sandbox.census import Census

pytestmark = pytest.mark.slow

WORKER = Path(__file__).with_name("job_worker.py")
TASK = "{{ result('job').regex('ID: (b[0-9a-f]+)', 1) }}"
ENDINGS = {"run.completed", "run.waiting", "run.failed", "run.cancelled"}
BACKENDS = [
    pytest.param("bubblewrap", marks=pytest.mark.needs("bubblewrap")),
    pytest.param("landlock", marks=pytest.mark.needs("landlock")),
]


@pytest.fixture
def census() -> Census:
    return Census()


def script(census: Census, *turns: object) -> str:
    """A model that starts a job of two processes, then does what `turns` say."""
    command = f"echo up; (setsid sleep {census.mark} &); exec sleep {census.mark}"
    start = {"tool": "Bash", "call": "job", "input": {"command": command, "run_in_background": True}}
    return json.dumps({"name": "jobs", "turns": [{"blocks": [start]}, *turns]})


def says(text: str) -> dict[str, object]:
    return {"blocks": [{"text": text}]}


def calls(tool: str, **arguments: Any) -> dict[str, object]:
    return {"blocks": [{"tool": tool, "call": tool, "input": arguments}]}


def starve_supervisor(census: Census) -> None:
    """Stop what would end the job's tree at once, so that ending it takes about a second."""
    pid = census.pids()[0]
    while "/proc/self/fd/" not in Path(f"/proc/{pid}/cmdline").read_text():
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        assert pid > 1
    os.kill(pid, signal.SIGSTOP)


async def watch_the_end(house: House, conversation_id: Any, census: Census, work: "asyncio.Task[Any]") -> str:
    """Until `work` is done, no ending may be in the log while a process of the job lives."""
    while not work.done():
        ended = ENDINGS & set(await house.types(conversation_id))
        assert not (ended and census.pids()), f"{ended} was committed while the job lived"
        await asyncio.sleep(0.01)
    await work
    assert census.pids() == []
    return (await house.types(conversation_id))[-1]


@pytest.mark.needs("bubblewrap")
async def test_a_job_is_dead_before_the_run_is_cancelled(tmp_path: Path, census: Census) -> None:
    waits = calls("TaskOutput", task_id=TASK, timeout=600_000)
    async with open_house(tmp_path, script(census, waits, says("I was stopped."))) as house:
        conversation = await house.converse()
        await house.say(conversation.id, "Go.")
        work = await house.start_work()
        await census.until(2)

        async def waiting() -> bool:
            log = await house.log(conversation.id)
            return isinstance(log[-1].event, ev.ToolStarted) and log[-1].event.tool == "TaskOutput"

        await eventually(waiting, what="the wait for the job")
        starve_supervisor(census)
        await house.intake.interrupt(house.owner, conversation.id, InterruptOrder(reason="enough"))
        assert await watch_the_end(house, conversation.id, census, work) == "run.cancelled"
        log = await house.log(conversation.id)
        outcomes = [r.event.outcome for r in log if isinstance(r.event, ev.ToolFinished)]
        assert outcomes == [Outcome.OK, Outcome.CANCELLED]
        await house.say(conversation.id, "What happened?")
        await house.work()
        said = await house.views.messages(house.owner, conversation.id)
        assert said.items[-1].text == "I was stopped."


@pytest.mark.needs("bubblewrap")
@pytest.mark.parametrize("ending", ["run.completed", "run.waiting", "run.failed"])
async def test_a_job_is_dead_before_the_run_ends_or_waits(
    tmp_path: Path, census: Census, ending: str
) -> None:
    hold = calls("Bash", command="until [ -e go ]; do sleep 0.05; done")
    broken = {"blocks": [{"text": "Never said."}], "faults": [{"kind": "bad_request", "on_attempt": 1}]}
    last = broken if ending == "run.failed" else says("Done, I think.")
    limits = LIMITS
    if ending == "run.waiting":
        limits = Limits(turns=2, nanodollars=LIMITS.nanodollars, prompt_tokens=95_000)
    async with open_house(tmp_path, script(census, hold, last), limits=limits) as house:
        conversation = await house.converse()
        await house.say(conversation.id, "Go.")
        work = await house.start_work()
        await census.until(2)
        starve_supervisor(census)
        (house.workspace / "go").touch()
        assert await watch_the_end(house, conversation.id, census, work) == ending


@pytest.mark.needs("bubblewrap")
async def test_a_lost_lease_ends_the_jobs_and_writes_nothing(tmp_path: Path, census: Census) -> None:
    hold = calls("Bash", command="touch held; until [ -e go ]; do sleep 0.05; done")
    async with open_house(tmp_path, script(census, hold, calls("Glob", pattern="*"))) as house:
        conversation = await house.converse()
        await house.say(conversation.id, "Go.")
        ((run_id, job_id),) = await house.jobs()
        lease = TestLease(job_id)
        work = asyncio.create_task(house.runner.run(run_id, lease))
        await census.until(2)
        await eventually((house.workspace / "held").exists, what="the second command")
        lease.gone = True
        (house.workspace / "go").touch()
        with pytest.raises(LeaseLost):
            await work
        assert census.pids() == []
        assert ENDINGS.isdisjoint(await house.types(conversation.id))


@pytest.mark.needs("bubblewrap")
async def test_what_a_job_says_is_seen_while_later_steps_go_on(tmp_path: Path) -> None:
    command = "echo one; until [ -e go ]; do sleep 0.05; done; echo two"
    start = {"tool": "Bash", "call": "job", "input": {"command": command, "run_in_background": True}}
    turns = [
        {"blocks": [start]},
        calls("Bash", command="echo between; touch go"),
        calls("TaskOutput", task_id=TASK),
        says("{{ result('TaskOutput').text }}"),
    ]
    async with open_house(tmp_path, json.dumps({"name": "jobs", "turns": turns})) as house:
        conversation = await house.converse()
        await house.say(conversation.id, "Go.")
        await house.work()
        log = await house.log(conversation.id)
        assert log[-1].event.type == "run.completed"
        job = next(r.event.call_id for r in log if isinstance(r.event, ev.ToolStarted))
        shown = [d for d in house.deltas if d.call_id == job and d.kind == "output"]
        assert [(d.offset, d.text) for d in shown] == [(0, "one\n"), (4, "two\n")]
        places = [d.step for d in house.deltas]
        assert places == sorted(places), "no delta is of an earlier step than the one before it"
        said = await house.views.messages(house.owner, conversation.id)
        assert "<exit_code>0</exit_code>" in said.items[-1].text
        evidence = [e for r in log if isinstance(r.event, ev.ToolFinished) for e in r.event.evidence]
        assert [e.exit_code for e in evidence if isinstance(e, CommandRan) and e.task_id] == [0]


@pytest.mark.needs("bubblewrap")
async def test_the_next_worker_says_that_the_job_is_gone(tmp_path: Path, census: Census) -> None:
    hangs = {
        **says("A word."),
        "faults": [{"kind": "hang", "after_event": "content_block_delta", "on_attempt": 1}],
    }
    looks = {**calls("TaskOutput", task_id=TASK), "faults": hangs["faults"]}
    async with open_house(tmp_path, script(census, looks, says("{{ result('TaskOutput').text }}"))) as house:
        conversation = await house.converse()
        await house.say(conversation.id, "Go.")
        ((run_id, job_id),) = await house.jobs()
        work = await house.start_work()
        await census.until(2)

        async def asked_again() -> bool:
            return (await house.types(conversation.id)).count("step.started") == 2

        await eventually(asked_again, what="the second step")
        await abandon(work)
        assert census.pids() == []
        await house.runner.run(run_id, TestLease(job_id, worker="the next one"))
        said = (await house.views.messages(house.owner, conversation.id)).items[-1].text
        assert "is gone" in said
        assert "its outcome is unknown" in said
        assert re.search(r"3 bytes of its output are in /tmp/flynn-output/b[0-9a-f]+\.txt", said)


@pytest.mark.needs("bubblewrap")
async def test_a_report_claims_no_end_that_nobody_saw(tmp_path: Path) -> None:
    def start(name: str, command: str) -> dict[str, object]:
        return {"tool": "Bash", "call": name, "input": {"command": command, "run_in_background": True}}

    def task(name: str) -> str:
        return f"{{{{ result('{name}').regex('ID: (b[0-9a-f]+)', 1) }}}}"

    turns = [
        {"blocks": [start("a", "sleep 0.4"), start("b", "sleep 86400"), start("c", "sleep 86401")]},
        {
            "blocks": [
                {"tool": "TaskOutput", "call": "d", "input": {"task_id": task("a")}},
                {"tool": "TaskStop", "call": "e", "input": {"task_id": task("b")}},
            ]
        },
        says("All three passed."),
    ]
    async with open_house(tmp_path, json.dumps({"name": "jobs", "turns": turns})) as house:
        order = TaskOrder.model_validate({"instructions": "Go.", "workspace": "house"})
        made, _ = await house.intake.delegate_task(house.owner, order, idempotency_key=None)
        await house.work()
        log = await house.log(made.conversation_id)
        started = [
            e.command
            for r in log
            if isinstance(r.event, ev.ToolFinished)
            for e in r.event.evidence
            if isinstance(e, JobStarted)
        ]
        assert started == ["sleep 0.4", "sleep 86400", "sleep 86401"]
        report = next(r.event.report for r in log if isinstance(r.event, ev.TaskReported))
        found = [(c.command, c.exit_code, c.outcome) for c in report.evidence.commands]
        assert found == [
            ("sleep 0.4", 0, "ok"),
            ("sleep 86400", None, "cancelled"),
            ("sleep 86401", None, "unknown"),
        ]


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize("prefer", BACKENDS)
async def test_a_job_dies_with_its_worker(
    tmp_path: Path, census: Census, prefer: str, blow: signal.Signals
) -> None:
    """kill -9, or frozen: the supervisor hears no heartbeat."""
    (tmp_path / "workspace").mkdir()
    order = {
        "private_root": str(tmp_path / "private"),
        "prefer": prefer,
        "workspace": str(tmp_path / "workspace"),
        "command": f"(setsid sleep {census.mark} &); exec sleep {census.mark}",
    }
    worker = await asyncio.create_subprocess_exec(
        sys.executable, str(WORKER), json.dumps(order), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert worker.stdout is not None
        assert b"Command running in background with ID: b" in await worker.stdout.readline()
        await census.until(2)
        await asyncio.sleep(3.0)
        assert len(census.pids()) == 2, "a worker that beats keeps its job"
        worker.send_signal(blow)
        await census.until(0)
    finally:
        if worker.returncode is None:
            worker.kill()
        await worker.wait()
