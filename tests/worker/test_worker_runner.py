"""A run from its message to its end, over the real log, files, sandbox and model API."""

from pathlib import Path

from flynn.domain import events as ev
from flynn.domain.run import RunState
from tests.house import open_house

HELLO = """
name: hello
turns:
  - blocks:
      - text: Hello, I am Flynn-Dev.
"""

READ_AND_EDIT = """
name: edit
turns:
  - blocks:
      - text: I look first.
      - {tool: Read, call: a, input: {file_path: notes.txt}}
      - {tool: Glob, call: b, input: {pattern: "*.txt"}}
  - blocks:
      - {tool: Edit, call: c, input: {file_path: notes.txt, old_string: "blue", new_string: "green"}}
      - {tool: Bash, call: d, input: {command: "cat notes.txt"}}
  - blocks:
      - text: "It says {{ result('d').text }} now."
"""


async def test_a_message_is_answered(tmp_path: Path) -> None:
    async with open_house(tmp_path, HELLO) as house:
        conversation = await house.converse()
        acknowledged = await house.say(conversation.id, "Who are you?")
        assert acknowledged.run.state is RunState.QUEUED
        assert await house.work() == 1
        assert await house.types(conversation.id) == [
            "message.sent",
            "run.queued",
            "run.started",
            "step.started",
            "message.completed",
            "step.completed",
            "run.completed",
        ]
        view = await house.views.conversation(house.owner, conversation.id)
        assert view.run is not None
        assert view.run.state is RunState.COMPLETED
        assert view.run.turns == 1
        assert view.run.cost_dollars > 0
        said = await house.views.messages(house.owner, conversation.id)
        assert [m.role for m in said.items] == ["user", "assistant"]
        assert said.items[1].text == "Hello, I am Flynn-Dev."
        assert [r.seq for r in house.published] == list(range(1, 8))
        assert "".join(d.text for d in house.deltas) == "Hello, I am Flynn-Dev."


async def test_tools_act_and_are_recorded(tmp_path: Path) -> None:
    async with open_house(tmp_path, READ_AND_EDIT) as house:
        (house.workspace / "notes.txt").write_text("the sky is blue\n")
        conversation = await house.converse()
        await house.say(conversation.id, "Change the colour.")
        await house.work()
        assert (house.workspace / "notes.txt").read_text() == "the sky is green\n"
        log = await house.log(conversation.id)
        order = [r.event.type for r in log]
        started = [r.event.tool for r in log if isinstance(r.event, ev.ToolStarted)]
        assert started == ["Read", "Glob", "Edit", "Bash"]
        # Reads are announced together, writers one by one, each before it acts.
        first = order.index("tool.started")
        assert order[first : first + 4] == ["tool.started", "tool.started", "tool.finished", "tool.finished"]
        writers = order.index("tool.started", first + 4)
        assert order[writers : writers + 5] == [
            "tool.started",
            "tool.finished",
            "workspace.changed",
            "tool.started",
            "tool.finished",
        ]
        outcomes = {r.event.outcome.value for r in log if isinstance(r.event, ev.ToolFinished)}
        assert outcomes == {"ok"}
        said = await house.views.messages(house.owner, conversation.id)
        assert "the sky is green" in said.items[-1].text
