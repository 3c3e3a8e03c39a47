"""Money is bounded: a run that reaches a limit waits, says why, and goes on when the limit is raised.

Every call is charged, also one that came to nothing: by its usage where the provider has said it, else by
the most that it can have cost.
"""

from pathlib import Path

import pytest

from flynn.domain import events as ev
from flynn.domain.orders import BudgetOrder, InterruptOrder
from flynn.domain.run import Limits, RunState
from flynn.model.prices import cost, worst_case
from tests.eventually import eventually
from tests.house import LIMITS, House, open_house

SCRIPT = """
name: reads
turns:
  - blocks: [{tool: Glob, input: {pattern: "*"}}]
  - blocks: [{text: Done.}]
"""

CASES = [
    ("turns", Limits(turns=1, nanodollars=LIMITS.nanodollars, prompt_tokens=95_000), BudgetOrder(turns=5), 1),
    ("dollars", Limits(turns=9, nanodollars=1_000, prompt_tokens=95_000), BudgetOrder(dollars=1), 0),
    (
        "context",
        Limits(turns=9, nanodollars=LIMITS.nanodollars, prompt_tokens=10),
        BudgetOrder(prompt_tokens=95_000),
        0,
    ),
]


@pytest.mark.parametrize(("reason", "limits", "order", "steps"), CASES, ids=[c[0] for c in CASES])
async def test_a_limit_makes_the_run_wait_until_it_is_raised(
    tmp_path: Path, reason: str, limits: Limits, order: BudgetOrder, steps: int
) -> None:
    async with open_house(tmp_path, SCRIPT, limits=limits) as house:
        conversation = await house.converse()
        await house.say(conversation.id, "Look.")
        await house.work()
        view = await house.views.conversation(house.owner, conversation.id)
        assert view.run is not None
        assert (view.run.state, view.run.reason, view.run.turns) == (RunState.WAITING, reason, steps)
        await house.intake.raise_budget(house.owner, conversation.id, order)
        await house.work()
        log = await house.log(conversation.id)
        assert log[-1].event.type == "run.completed"
        started = [r.event for r in log if isinstance(r.event, ev.StepStarted)]
        done = [r.event for r in log if isinstance(r.event, ev.StepCompleted)]
        assert len(done) == 2
        assert all(s.reserved_nanodollars >= d.nanodollars for s, d in zip(started, done, strict=True))


MODEL = "claude-haiku-5-5"


def faulty(fault: str) -> str:
    return f"name: faulty\nturns: [{{faults: [{fault}], blocks: [{{text: It is a long story.}}]}}]\n"


async def failed(house: House, *, answers: bool) -> tuple[ev.StepStarted, ev.StepFailed, ev.RunCancelled]:
    """Say something, stop the call once it hangs, and give what the log has of it."""
    conversation = await house.converse()
    await house.say(conversation.id, "Tell me.")
    worker = await house.start_work()
    await eventually(lambda: len(house.simulator.stage.records.after(0)) == 1, what="the call")
    if answers:
        await eventually(lambda: bool(house.deltas), what="the first words")
    await house.intake.interrupt(house.owner, conversation.id, InterruptOrder())
    await worker
    log = await house.log(conversation.id)
    started = next(r.event for r in log if isinstance(r.event, ev.StepStarted))
    stopped = next(r.event for r in log if isinstance(r.event, ev.StepFailed))
    ended = log[-1].event
    assert isinstance(ended, ev.RunCancelled)
    return started, stopped, ended


async def test_a_call_that_is_stopped_while_it_answers_costs_its_prompt_and_a_longest_answer(
    tmp_path: Path,
) -> None:
    async with open_house(tmp_path, faulty("{kind: hang, after_event: content_block_delta}")) as house:
        started, stopped, ended = await failed(house, answers=True)
        assert stopped.reason == "cancelled"
        assert stopped.settlement == "prompt"
        assert stopped.usage.prompt > 0
        longest = stopped.usage.model_copy(update={"output": started.params["max_tokens"]})
        assert stopped.nanodollars == cost(MODEL, longest) < started.reserved_nanodollars
        assert stopped.request_id is not None
        assert ended.nanodollars == stopped.nanodollars
        assert ended.usage == stopped.usage


async def test_a_call_that_is_stopped_before_it_answers_costs_what_was_reserved(tmp_path: Path) -> None:
    async with open_house(tmp_path, faulty("{kind: hang}")) as house:
        started, stopped, _ = await failed(house, answers=False)
        assert stopped.settlement == "worst_case"
        assert stopped.nanodollars == started.reserved_nanodollars


@pytest.mark.parametrize(
    ("fault", "settlement"),
    [
        ("{kind: overloaded, on_attempt: 1}", "usage"),
        ("{kind: stream_cut, after_event: content_block_delta, on_attempt: 1}", "prompt"),
        ("{kind: stream_cut, after_event: message_delta, on_attempt: 1}", "usage"),
        ("{kind: error_event, after_event: content_block_start, on_attempt: 1}", "prompt"),
        ("{kind: empty_stream, on_attempt: 1}", "worst_case"),
        ("{kind: max_tokens, on_attempt: 1}", "usage"),
    ],
    ids=["never begun", "cut", "cut behind its bill", "error on the way", "empty", "truncated"],
)
async def test_a_failed_attempt_is_charged_by_what_is_known_of_it(
    tmp_path: Path, fault: str, settlement: str
) -> None:
    async with open_house(tmp_path, faulty(fault)) as house:
        conversation = await house.converse()
        await house.say(conversation.id, "Tell me.")
        await house.work()
        log = await house.log(conversation.id)
        started = next(r.event for r in log if isinstance(r.event, ev.StepStarted))
        lost = next(r.event for r in log if isinstance(r.event, ev.StepFailed))
        assert lost.settlement == settlement
        match settlement:
            case "usage":
                assert lost.nanodollars == cost(MODEL, lost.usage)
            case "prompt":
                assert cost(MODEL, lost.usage) < lost.nanodollars < started.reserved_nanodollars
            case _:
                assert lost.nanodollars == started.reserved_nanodollars
        done = next(r.event for r in log if isinstance(r.event, ev.StepCompleted))
        ended = log[-1].event
        assert isinstance(ended, ev.RunCompleted)
        assert ended.nanodollars == lost.nanodollars + done.nanodollars


async def test_the_call_after_a_truncated_one_is_reserved_with_its_own_room(tmp_path: Path) -> None:
    # Enough for an answer of 1,000 tokens after the first, not for one of 32,000.
    limits = Limits(turns=9, nanodollars=10_000_000, prompt_tokens=95_000)
    script = faulty("{kind: max_tokens, on_attempt: 1}")
    async with open_house(tmp_path, script, limits=limits, output=(1_000, 32_000)) as house:
        conversation = await house.converse()
        await house.say(conversation.id, "Tell me.")
        await house.work()
        log = await house.log(conversation.id)
        assert [r.event.type for r in log][-3:] == ["step.failed", "budget.reached", "run.waiting"]
        view = await house.views.conversation(house.owner, conversation.id)
        assert view.run is not None
        assert (view.run.state, view.run.reason) == (RunState.WAITING, "dollars")
        assert worst_case(MODEL, prompt_tokens=1, max_tokens=32_000) > limits.nanodollars
