"""TaskStop: a job is dead when the call returns."""

import pytest

from flynn.domain.evidence import CommandRan
from flynn.domain.tool_result import Outcome
from tests.sandbox.census import Census
from tests.tools.conftest import Conversation
from tests.tools.test_tools_task_output import start

pytestmark = [pytest.mark.needs("bubblewrap"), pytest.mark.usefixtures("jobs")]


async def test_a_stopped_job_is_dead_with_all_it_started(talk: Conversation, census: Census) -> None:
    task = await start(
        talk, f"echo up; trap '' TERM; (setsid sleep {census.mark} &); exec sleep {census.mark}"
    )
    await census.until(2)
    result = await talk.call("TaskStop", task_id=task)
    assert census.pids() == []
    assert result.outcome is Outcome.OK
    assert str(result.content).startswith(f"{task}: Stopped by TaskStop. It ran for ")
    assert f"Its output is in /tmp/flynn-output/{task}.txt." in str(result.content)
    (ran,) = result.evidence
    assert isinstance(ran, CommandRan)
    assert (ran.exit_code, ran.task_id) == (None, task)
    said = await talk.text("TaskOutput", task_id=task)
    assert "<status>killed</status>" in said
    assert "<output>\nup\n</output>" in said


async def test_a_job_that_had_ended_is_said_to_have(talk: Conversation) -> None:
    task = await start(talk, "sleep 0.3; exit 4")
    job = talk.jobs.find(task)
    assert job is not None
    await job.wait(10)
    result = await talk.call("TaskStop", task_id=task)
    assert str(result.content).startswith(f"{task} had ended before. Exit code 4. It ran for ")
    (ran,) = result.evidence
    assert isinstance(ran, CommandRan)
    assert ran.exit_code == 4


async def test_an_unknown_job_is_an_error(talk: Conversation) -> None:
    task = await start(talk, "sleep 86400")
    assert await talk.error("TaskStop", task_id="bnone") == (
        f"There is no background job bnone; running: {task}."
    )
