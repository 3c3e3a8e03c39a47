"""A side effect is never repeated in silence.

A worker is lost in the middle of something; the run is delivered again. What may have acted is closed as
outcome unknown and told to the model; what only reads runs again; an open model call is closed as lost.
"""

from pathlib import Path
from uuid import UUID

import pytest

from flynn.domain import events as ev
from flynn.domain.errors import LeaseLost
from flynn.domain.run import RunState
from flynn.domain.tool_result import Outcome
from tests.eventually import abandon, eventually
from tests.house import House, TestLease, open_house

BASH = """
name: append
turns:
  - blocks:
      - {tool: Bash, call: a, input: {command: "echo once >> effects.txt; sleep 30"}}
      - {tool: Bash, call: b, input: {command: "echo second >> effects.txt"}}
  - blocks:
      - text: "I was told: {{ result('a').text }}"
"""

STREAM = """
name: stream
turns:
  - blocks:
      - text: Some words come, and then no more of them for a long time.
    faults:
      - {kind: hang, after_event: content_block_delta, on_attempt: 1}
"""

READ = """
name: read
turns:
  - blocks:
      - {tool: Read, call: a, input: {file_path: pipe.txt}}
      - {tool: Read, call: b, input: {file_path: other.txt}}
  - blocks:
      - text: "{{ result('a').text }} {{ result('b').text }}"
"""


async def deliver_again(house: House, run_id: UUID, job_id: int) -> None:
    """What the queue engine does once a lease has run out."""
    await house.runner.run(run_id, TestLease(job_id, worker="the next one"))


def finished(log: list[ev.Recorded]) -> dict[str, list[Outcome]]:
    """The outcomes of each call, by the command or path it was asked for."""
    started = {r.event.call_id: r.event for r in log if isinstance(r.event, ev.ToolStarted)}
    found: dict[str, list[Outcome]] = {}
    for recorded in log:
        if isinstance(recorded.event, ev.ToolFinished):
            asked = started[recorded.event.call_id].input
            found.setdefault(asked.get("command") or asked["file_path"], []).append(recorded.event.outcome)
    return found


@pytest.mark.needs("bubblewrap")
async def test_a_command_cut_off_by_a_lost_worker_is_not_run_again(tmp_path: Path) -> None:
    async with open_house(tmp_path, BASH) as house:
        effects = house.workspace / "effects.txt"
        conversation = await house.converse()
        await house.say(conversation.id, "Append.")
        ((run_id, job_id),) = await house.jobs()
        worker = await house.start_work()
        await eventually(
            lambda: effects.exists() and effects.read_text() == "once\n", what="the command's effect"
        )
        await abandon(worker)
        before = await house.types(conversation.id)
        assert before[-1] == "tool.started"

        await deliver_again(house, run_id, job_id)

        assert effects.read_text() == "once\nsecond\n"
        log = await house.log(conversation.id)
        assert finished(log) == {
            "echo once >> effects.txt; sleep 30": [Outcome.UNKNOWN],
            "echo second >> effects.txt": [Outcome.OK],
        }
        unknown = next(r.event for r in log if isinstance(r.event, ev.ToolFinished))
        advice = unknown.content[0]["content"]
        said = await house.views.messages(house.owner, conversation.id)
        # The scenario quotes what the model was sent as the call's result.
        assert str(advice)[:40] in said.items[-1].text
        view = await house.views.conversation(house.owner, conversation.id)
        assert view.run is not None
        assert view.run.state is RunState.COMPLETED
        epochs = [r.event.epoch for r in log if isinstance(r.event, ev.RunStarted)]
        assert epochs == sorted(set(epochs))
        assert len(epochs) == 2


async def test_a_model_call_of_a_lost_worker_is_closed_and_made_again(tmp_path: Path) -> None:
    async with open_house(tmp_path, STREAM) as house:
        conversation = await house.converse()
        await house.say(conversation.id, "Speak.")
        ((run_id, job_id),) = await house.jobs()
        worker = await house.start_work()
        await eventually(lambda: len(house.deltas) > 0, what="the first words")
        await abandon(worker)

        await deliver_again(house, run_id, job_id)

        log = await house.log(conversation.id)
        assert [r.event.type for r in log] == [
            "message.sent",
            "run.queued",
            "run.started",
            "step.started",
            "run.started",
            "step.failed",
            "step.started",
            "message.completed",
            "step.completed",
            "run.completed",
        ]
        first, second = (r.event for r in log if isinstance(r.event, ev.StepStarted))
        lost = next(r.event for r in log if isinstance(r.event, ev.StepFailed))
        assert lost.reason == "worker_lost"
        # Nobody saw the bill of the lost call, so what was reserved for it counts as spent.
        assert lost.nanodollars == first.reserved_nanodollars > 0
        assert lost.settlement == "worst_case"
        assert first.input_seqs == second.input_seqs
        assert first.request_digest == second.request_digest
        assert second.step == first.step + 1
        ended = log[-1].event
        assert isinstance(ended, ev.RunCompleted)
        assert ended.nanodollars > lost.nanodollars


async def test_a_read_of_a_lost_worker_runs_again(tmp_path: Path) -> None:
    async with open_house(tmp_path, READ) as house:
        (house.workspace / "pipe.txt").write_text("the first version\n")
        (house.workspace / "other.txt").write_text("another file\n")
        conversation = await house.converse()
        await house.say(conversation.id, "Read.")
        ((run_id, job_id),) = await house.jobs()
        # The lease is gone just when the announced reads are about to act.
        with pytest.raises(LeaseLost):
            await house.runner.run(run_id, TestLease(job_id, gone=True))
        assert (await house.types(conversation.id))[-2:] == ["tool.started", "tool.started"]
        (house.workspace / "pipe.txt").write_text("the second version\n")

        await deliver_again(house, run_id, job_id)

        log = await house.log(conversation.id)
        said = await house.views.messages(house.owner, conversation.id)
        assert list(finished(log).values()) == [[Outcome.OK], [Outcome.OK]]
        assert [r.event.type for r in log].count("tool.started") == 2
        assert "the second version" in said.items[-1].text


@pytest.mark.needs("bubblewrap")
async def test_a_run_that_loses_worker_after_worker_is_failed_and_can_be_spoken_to(tmp_path: Path) -> None:
    script = """
name: poison
turns:
  - blocks:
      - {tool: Bash, input: {command: "sleep 31"}}
      - {tool: Bash, input: {command: "sleep 32"}}
      - {tool: Bash, input: {command: "sleep 33"}}
      - {tool: Bash, input: {command: "echo x >> ran.txt"}}
  - blocks: [{text: Here I am.}]
"""
    async with open_house(tmp_path, script) as house:
        conversation = await house.converse()
        await house.say(conversation.id, "poison")
        ((run_id, job_id),) = await house.jobs()
        for count in (1, 2, 3):
            task = await house.start_work()

            async def acting(count: int = count) -> bool:
                types = await house.types(conversation.id)
                return types.count("run.started") == count and types[-1] == "tool.started"

            await eventually(acting, what=f"command {count}")
            await abandon(task)
        await deliver_again(house, run_id, job_id)
        view = await house.views.conversation(house.owner, conversation.id)
        assert view.run is not None
        assert (view.run.state, view.run.reason) == (RunState.FAILED, "worker-lost")
        await house.say(conversation.id, "Are you there?")
        await house.work()
        said = await house.views.messages(house.owner, conversation.id)
        assert said.items[-1].text == "Here I am."
        # What the failed run had not begun is not begun by its successor.
        assert not (house.workspace / "ran.txt").exists()
        log = await house.log(conversation.id)
        outcomes = [r.event.outcome for r in log if isinstance(r.event, ev.ToolFinished)]
        assert outcomes == [Outcome.UNKNOWN] * 3 + [Outcome.CANCELLED]
