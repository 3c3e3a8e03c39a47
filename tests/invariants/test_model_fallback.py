"""The fallback model: asked while the frozen one does not answer, named in the log, and left again."""

from pathlib import Path

import pytest
from sqlalchemy import text

from flynn.domain import events as ev
from flynn.domain.run import Limits, RunState
from flynn.model.prices import cost
from flynn.simulator import Options
from flynn.worker.clock import Clock
from tests.house import ADMISSION, LIMITS, House, open_house

pytestmark = pytest.mark.slow

STRICT = Options(binding="strict", unproven="refuse")
HAIKU, SONNET = "claude-haiku-5-5", "claude-sonnet-5-5"

TWO_STEPS = """
name: two
turns:
  - blocks: [{thinking: I look.}, {tool: Glob, input: {pattern: "*"}}]
    faults: FIRST
  - blocks: [{thinking: Not much.}, {tool: Glob, input: {pattern: "*.md"}}]
    faults: SECOND
  - blocks: [{thinking: Nothing.}, {text: There is nothing.}]
---
name: later
match: And now
match_in: latest_message
turns:
  - blocks: [{thinking: Still., }, {text: Still nothing.}]
"""


def script(first: str = "[]", second: str = "[]") -> str:
    return TWO_STEPS.replace("FIRST", first).replace("SECOND", second)


def overloaded(*attempts: int) -> str:
    return f"[{{kind: overloaded, on_attempt: {list(attempts)}}}]"


def started(log: list[ev.Recorded]) -> list[ev.StepStarted]:
    return [r.event for r in log if isinstance(r.event, ev.StepStarted)]


def asked(house: House) -> list[str]:
    """The models that the API was asked for, in order."""
    records = house.simulator.stage.records.after(0)
    return [str(r.json(bodies=True)["body"]["model"]) for r in records]  # type: ignore[index]


async def test_after_three_attempts_the_fallback_answers_and_the_frozen_model_is_asked_next(
    tmp_path: Path,
) -> None:
    faults = script(second=overloaded(1, 2, 3))
    async with open_house(tmp_path, faults, options=STRICT, fallback=SONNET) as house:
        conversation = await house.converse()
        await house.say(conversation.id, "What is there?")
        await house.work()
        log = await house.log(conversation.id)
        assert log[-1].event.type == "run.completed"
        steps = started(log)
        assert [s.model for s in steps] == [HAIKU, HAIKU, HAIKU, HAIKU, SONNET, HAIKU]
        assert [s.attempt for s in steps] == [1, 1, 2, 3, 4, 1]
        assert asked(house) == [s.model for s in steps]
        said = [r.event for r in log if isinstance(r.event, ev.MessageCompleted)]
        assert [m.model for m in said] == [HAIKU, SONNET, HAIKU]
        # Each call is paid at the price of the model that was asked, and was reserved for at it.
        done = {r.event.step: r.event for r in log if isinstance(r.event, ev.StepCompleted)}
        for step in steps:
            if step.step in done:
                assert done[step.step].nanodollars == cost(step.model, done[step.step].usage)
        sonnet = steps[4]
        assert sonnet.reserved_nanodollars > 10 * steps[3].reserved_nanodollars
        assert sonnet.input_seqs == steps[3].input_seqs
        assert sonnet.request_digest != steps[3].request_digest, "it is another request"
        assert steps[1].request_digest == steps[3].request_digest
        # The transcript holds thinking of both models and goes on under either.
        await house.say(conversation.id, "And now?")
        await house.work()
        assert (await house.types(conversation.id))[-1] == "run.completed"
        statuses = [r.status for r in house.simulator.stage.records.after(0)]
        assert set(statuses) == {200, 529}


async def test_while_the_breaker_is_open_the_fallback_is_asked_at_once(tmp_path: Path) -> None:
    faults = script(first=overloaded(1, 2, 3), second=overloaded(1, 2))
    async with open_house(tmp_path, faults, options=STRICT, fallback=SONNET) as house:
        conversation = await house.converse()
        await house.say(conversation.id, "What is there?")
        await house.work()
        steps = started(await house.log(conversation.id))
        # The answer of Sonnet closes nothing at Haiku's breaker, whose fifth failure opens it.
        assert [s.model for s in steps] == [HAIKU] * 3 + [SONNET] + [HAIKU] * 2 + [SONNET, SONNET]
        assert [s.state for s in house.standings] == ["open"]
        assert house.standings[0].model == HAIKU
        assert (await house.types(conversation.id))[-1] == "run.completed"


async def test_when_both_are_away_the_run_waits_and_asks_the_frozen_model_first(tmp_path: Path) -> None:
    faults = script(first=overloaded(1, 2, 3, 4))
    async with open_house(tmp_path, faults, options=STRICT, fallback=SONNET) as house:
        conversation = await house.converse()
        await house.say(conversation.id, "What is there?")
        await house.work()
        log = await house.log(conversation.id)
        assert [s.model for s in started(log)] == [HAIKU, HAIKU, HAIKU, SONNET]
        assert log[-1].event.type == "run.waiting"
        async with house.database.begin() as connection:
            await connection.execute(text("UPDATE runs SET not_before = now() WHERE state = 'waiting'"))
        await Clock(house.database, admission=ADMISSION, publish=house.published.extend).wake()
        await house.work()
        log = await house.log(conversation.id)
        assert log[-1].event.type == "run.completed"
        assert [s.model for s in started(log)][4:] == [HAIKU] * 3


async def test_a_fallback_that_the_run_cannot_pay_is_not_asked(tmp_path: Path) -> None:
    # Enough for many calls of Haiku, not for the room that an answer of Sonnet has.
    limits = Limits(turns=LIMITS.turns, nanodollars=100_000_000, prompt_tokens=95_000)
    faults = script(first=overloaded(1, 2, 3))
    async with open_house(tmp_path, faults, limits=limits, fallback=SONNET) as house:
        conversation = await house.converse()
        await house.say(conversation.id, "What is there?")
        await house.work()
        log = await house.log(conversation.id)
        assert [s.model for s in started(log)] == [HAIKU] * 3
        view = await house.views.conversation(house.owner, conversation.id)
        assert view.run is not None
        assert (view.run.state, view.run.reason) == (RunState.WAITING, "model")


async def test_without_a_fallback_nobody_else_is_asked(tmp_path: Path) -> None:
    async with open_house(tmp_path, script(first=overloaded(1, 2, 3))) as house:
        conversation = await house.converse()
        await house.say(conversation.id, "What is there?")
        await house.work()
        assert asked(house) == [HAIKU] * 3


@pytest.mark.parametrize("attempts", [(1,), (1, 2)])
async def test_a_fallback_is_no_first_resort(tmp_path: Path, attempts: tuple[int, ...]) -> None:
    faults = script(first=overloaded(*attempts))
    async with open_house(tmp_path, faults, fallback=SONNET) as house:
        conversation = await house.converse()
        await house.say(conversation.id, "What is there?")
        await house.work()
        assert set(asked(house)) == {HAIKU}
