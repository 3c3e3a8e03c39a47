"""The transcript is always valid for the API, and no conversation can be bricked.

The simulator refuses what the API refuses, thinking blocks of a changed conversation included. Whatever
goes wrong in a first message, a second one in the same conversation is answered.
"""

from pathlib import Path
from uuid import UUID

import pytest

from flynn.domain import events as ev
from flynn.domain.orders import InterruptOrder
from flynn.domain.run import RunState
from flynn.simulator import Options
from tests.eventually import eventually
from tests.house import House, open_house

STRICT = Options(binding="strict", unproven="refuse")


async def answers(house: House, conversation_id: UUID) -> None:
    """Say something more; the run comes to a good end, and the API had nothing to refuse meanwhile."""
    before = len(await house.log(conversation_id))
    await house.say(conversation_id, "And now?")
    await house.work()
    view = await house.views.conversation(house.owner, conversation_id)
    assert view.run is not None
    assert view.run.state is RunState.COMPLETED, view.run.detail
    after = (await house.log(conversation_id))[before:]
    assert "message.completed" in [r.event.type for r in after]


def script(fault: str, *, read_first: bool) -> str:
    """A model that thinks, perhaps reads, then meets `fault`; afterwards it answers."""
    read = "  - blocks: [{thinking: I look.}, {tool: Read, input: {file_path: notes.txt}}]\n"
    return (
        "name: later\nmatch: And now?\nmatch_in: latest_message\n"
        "turns: [{blocks: [{thinking: Later.}, {text: Here.}]}]\n---\n"
        "name: faulty\nturns:\n"
        + (read if read_first else "")
        + f"""  - faults: [{fault}]
    blocks:
      - thinking: About the sky.
      - text: It is blue.
      - {{tool: Glob, input: {{pattern: "*.txt"}}}}
  - blocks: [{{thinking: So it is.}}, {{text: All is well.}}]
loop: true
"""
    )


# What goes wrong, the reason of the failed step (None: either of two), and where the run is afterwards.
FAULTS = [
    ("{kind: rate_limited, retry_after: 0, on_attempt: 1}", "retry", RunState.COMPLETED),
    ("{kind: overloaded, on_attempt: 1}", "retry", RunState.COMPLETED),
    ("{kind: server_error, on_attempt: 1}", "retry", RunState.COMPLETED),
    ("{kind: rate_limited, retry_after: 60, on_attempt: 1}", "retry", RunState.WAITING),
    (
        "{kind: stream_cut, after_event: content_block_delta, on_attempt: 1}",
        "broken_stream",
        RunState.COMPLETED,
    ),
    ("{kind: connection_reset, after_event: message_start, on_attempt: 1}", None, RunState.COMPLETED),
    ("{kind: error_event, after_event: content_block_delta, on_attempt: 1}", None, RunState.COMPLETED),
    ("{kind: empty_stream, on_attempt: 1}", "broken_stream", RunState.COMPLETED),
    ("{kind: max_tokens, on_attempt: 1}", "truncated", RunState.COMPLETED),
    ("{kind: max_tokens, on_attempt: [1, 2]}", "truncated", RunState.COMPLETED),
    ("{kind: refusal, category: cyber, on_attempt: 1}", "refused", RunState.FAILED),
    ("{kind: bad_request, on_attempt: 1}", "permanent", RunState.FAILED),
]


@pytest.mark.parametrize("read_first", [False, True], ids=["words", "results"])
@pytest.mark.parametrize(("fault", "reason", "state"), FAULTS, ids=[f[0][7:45] for f in FAULTS])
async def test_a_fault_ends_in_its_event_and_bricks_nothing(
    tmp_path: Path, fault: str, reason: str | None, state: RunState, *, read_first: bool
) -> None:
    async with open_house(tmp_path, script(fault, read_first=read_first), options=STRICT) as house:
        (house.workspace / "notes.txt").write_text("the sky is blue\n")
        conversation = await house.converse()
        await house.say(conversation.id, "What colour is the sky?")
        await house.work()
        failed = [r.event for r in await house.log(conversation.id) if isinstance(r.event, ev.StepFailed)]
        assert failed
        assert reason is None or {f.reason for f in failed} == {reason}
        view = await house.views.conversation(house.owner, conversation.id)
        assert view.run is not None
        assert view.run.state is state
        await answers(house, conversation.id)


async def test_a_model_that_says_nothing_ends_the_run_and_hears_the_words_again(tmp_path: Path) -> None:
    silence = """
name: silent
turns:
  - {stop_reason: end_turn}
"""
    async with open_house(tmp_path, silence, options=STRICT) as house:
        conversation = await house.converse()
        await house.say(conversation.id, "Say something.")
        await house.work()
        types = await house.types(conversation.id)
        assert types[-3:] == ["step.started", "step.failed", "run.completed"]
        await house.say(conversation.id, "Please.")
        await house.work()
        log = await house.log(conversation.id)
        said = [r.seq for r in log if isinstance(r.event, ev.MessageSent)]
        manifests = [r.event.input_seqs for r in log if isinstance(r.event, ev.StepStarted)]
        assert manifests == [said[:1], said]
        assert log[-1].event.type == "run.completed"


async def test_a_model_that_hangs_is_stopped_by_an_interrupt_and_answers_later(tmp_path: Path) -> None:
    hang = "{kind: hang, after_event: 'content_block_delta:text_delta', on_attempt: 1}"
    async with open_house(tmp_path, script(hang, read_first=True), options=STRICT) as house:
        (house.workspace / "notes.txt").write_text("the sky is blue\n")
        conversation = await house.converse()
        await house.say(conversation.id, "What colour is the sky?")
        worker = await house.start_work()
        await eventually(lambda: any(d.step == 2 for d in house.deltas), what="the second step")
        await house.intake.interrupt(house.owner, conversation.id, InterruptOrder())
        await worker
        assert (await house.types(conversation.id))[-2:] == ["step.failed", "run.cancelled"]
        await answers(house, conversation.id)
