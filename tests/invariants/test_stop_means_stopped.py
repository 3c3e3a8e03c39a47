"""Stop means stopped: nothing of the run is alive, its calls are closed, and only then it is cancelled."""

from pathlib import Path

import pytest

from flynn.domain import events as ev
from flynn.domain.orders import InterruptOrder
from flynn.domain.run import RunState
from flynn.domain.tool_result import Outcome
from tests.eventually import eventually
from tests.house import open_house

COMMAND = """
name: command
turns:
  - blocks:
      - {tool: Bash, input: {command: "echo begun > began.txt; sleep 2; echo late > late.txt"}}
      - {tool: Bash, input: {command: "echo x > second.txt"}}
  - blocks: [{text: I was stopped.}]
"""

WORDS = """
name: words
turns: [{blocks: [{text: Hello.}]}]
"""


@pytest.mark.needs("bubblewrap")
async def test_a_command_is_ended_and_every_call_closed(tmp_path: Path) -> None:
    async with open_house(tmp_path, COMMAND) as house:
        conversation = await house.converse()
        await house.say(conversation.id, "Go.")
        worker = await house.start_work()
        await eventually((house.workspace / "began.txt").exists, what="the command")
        await house.intake.interrupt(house.owner, conversation.id, InterruptOrder(reason="enough"))
        await worker
        log = await house.log(conversation.id)
        outcomes = [r.event.outcome for r in log if isinstance(r.event, ev.ToolFinished)]
        assert outcomes == [Outcome.CANCELLED, Outcome.CANCELLED]
        last = log[-1].event
        assert isinstance(last, ev.RunCancelled)
        assert last.reason == "enough"
        await house.say(conversation.id, "What happened?")
        await house.work()
        said = await house.views.messages(house.owner, conversation.id)
        assert said.items[-1].text == "I was stopped."
        assert not (house.workspace / "late.txt").exists()
        assert not (house.workspace / "second.txt").exists()


async def test_a_queued_run_ends_where_it_stands(tmp_path: Path) -> None:
    async with open_house(tmp_path, WORDS) as house:
        conversation = await house.converse()
        await house.say(conversation.id, "Go.")
        view = await house.intake.interrupt(house.owner, conversation.id, InterruptOrder())
        assert view is not None
        assert view.state is RunState.CANCELLED
        assert await house.work() == 0
        await house.say(conversation.id, "Go on.")
        await house.work()
        log = await house.log(conversation.id)
        assert log[-1].event.type == "run.completed"
        said = [r.seq for r in log if isinstance(r.event, ev.MessageSent)]
        manifest = next(r.event.input_seqs for r in log if isinstance(r.event, ev.StepStarted))
        assert set(said) < set(manifest)
