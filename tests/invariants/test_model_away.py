"""The model away: attempts are few, spread and durable; the run waits, says so, and goes on by itself."""

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text

from flynn.domain import events as ev
from flynn.domain.run import RunState
from flynn.model.breaker import FAILURES
from flynn.simulator import parse_scenarios
from flynn.worker.clock import HASTE_SECONDS, Clock
from tests.eventually import eventually
from tests.house import ADMISSION, LIMITS, House, open_house

pytestmark = pytest.mark.slow

MODEL = "claude-haiku-5-5"
WELL = "name: well\nturns: [{blocks: [{text: Here I am.}]}]\n"


def faulty(fault: str) -> str:
    return f"name: faulty\nturns: [{{faults: [{fault}], blocks: [{{text: Here I am.}}]}}]\n"


def failures(log: list[ev.Recorded]) -> list[ev.StepFailed]:
    return [r.event for r in log if isinstance(r.event, ev.StepFailed)]


def waits(log: list[ev.Recorded]) -> list[ev.RunWaiting]:
    return [r.event for r in log if isinstance(r.event, ev.RunWaiting)]


def a_clock(house: House) -> Clock:
    return Clock(house.database, admission=ADMISSION, publish=house.published.extend)


async def wake_all(house: House) -> None:
    """Let the time of every waiting run come."""
    async with house.database.begin() as connection:
        await connection.execute(text("UPDATE runs SET not_before = now() WHERE state = 'waiting'"))
    await a_clock(house).wake()


async def state(house: House, conversation_id: UUID) -> tuple[RunState, str | None]:
    view = await house.views.conversation(house.owner, conversation_id)
    assert view.run is not None
    return view.run.state, view.run.reason


async def test_three_attempts_and_then_the_run_waits_in_the_database(tmp_path: Path) -> None:
    async with open_house(tmp_path, faulty("{kind: overloaded}")) as house:
        conversation = await house.converse()
        await house.say(conversation.id, "Hello?")
        await house.work()
        log = await house.log(conversation.id)
        assert [f.reason for f in failures(log)] == ["retry"] * 3
        assert await state(house, conversation.id) == (RunState.WAITING, "model")
        (wait,) = waits(log)
        assert wait.retry_at is not None
        assert not wait.asked
        pause = (wait.retry_at - log[-1].at).total_seconds()
        assert 20 < pause < 40
        assert "HTTP 529 overloaded_error" in wait.detail
        assert "attempt 3" in wait.detail
        house.simulator.stage.load(parse_scenarios(WELL), replace=True)
        await wake_all(house)
        await house.work()
        assert (await house.types(conversation.id))[-1] == "run.completed"


async def test_a_permanent_error_fails_at_once_in_the_providers_words(tmp_path: Path) -> None:
    fault = "{kind: forbidden, message: This account may not use the model.}"
    async with open_house(tmp_path, faulty(fault)) as house:
        conversation = await house.converse()
        await house.say(conversation.id, "Hello?")
        await house.work()
        log = await house.log(conversation.id)
        assert len(failures(log)) == 1
        last = log[-1].event
        assert isinstance(last, ev.RunFailed)
        assert last.detail == "HTTP 403 permission_error: This account may not use the model."


@pytest.mark.parametrize(("asked", "least"), [(30, 30), (86_400, 3_600)], ids=["half a minute", "a day"])
async def test_retry_after_is_honoured_within_an_hour(tmp_path: Path, asked: int, least: int) -> None:
    fault = f"{{kind: rate_limited, retry_after: {asked}, on_attempt: 1}}"
    async with open_house(tmp_path, faulty(fault)) as house:
        conversation = await house.converse()
        await house.say(conversation.id, "Hello?")
        await house.work()
        log = await house.log(conversation.id)
        (wait,) = waits(log)
        assert wait.asked
        assert wait.retry_at is not None
        (failed,) = failures(log)
        assert failed.retry_at == wait.retry_at
        pause = wait.retry_at - log[-1].at
        assert timedelta(seconds=least - 5) < pause < timedelta(seconds=least + 12)
        assert ("24.0 hours" in wait.detail) == (asked > 3_600)
        # The model answers others; this one is still not asked before its time.
        assert await a_clock(house).hasten() == 0


async def test_a_stream_of_nothing_but_pings_ends(tmp_path: Path) -> None:
    script = faulty("{kind: pings_only, on_attempt: 1}")
    async with open_house(tmp_path, script, model_idle_seconds=0.3) as house:
        conversation = await house.converse()
        await house.say(conversation.id, "Hello?")
        await house.work()
        log = await house.log(conversation.id)
        assert [f.reason for f in failures(log)] == ["broken_stream"]
        assert log[-1].event.type == "run.completed"


async def test_twenty_runs_on_a_dead_endpoint_call_it_a_few_times_and_go_on_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flynn.model.breaker.FIRST_PAUSE", 1.0)
    async with open_house(tmp_path, faulty("{kind: overloaded}")) as house:
        ids = []
        for number in range(20):
            conversation = await house.converse()
            await house.say(conversation.id, f"Hello {number}?")
            ids.append(conversation.id)
        await house.work()
        calls = len(house.simulator.stage.records.after(0))
        assert calls <= FAILURES + 2, "a probe may have been due on a slow machine"
        logs = [await house.log(one) for one in ids]
        assert all(log[-1].event.type == "run.waiting" for log in logs)
        # Nobody who was held back has used up an attempt, or even begun a step.
        assert sum(len(failures(log)) for log in logs) == calls
        assert "has not answered since" in waits(logs[-1])[0].detail
        times = {w.retry_at for log in logs for w in waits(log)}
        assert len(times) == 20, "they do not wake at the same moment"

        house.simulator.stage.load(parse_scenarios(WELL), replace=True)
        await eventually(lambda: house.model.refusal(MODEL) is None, what="the time of the probe")
        clock = a_clock(house)
        async with house.database.begin() as connection:
            probe = text("UPDATE runs SET not_before = now() WHERE conversation_id = :c")
            await connection.execute(probe, {"c": ids[-1]})
        await clock.wake()
        await house.work()
        assert [s.state for s in house.standings][-1] == "closed"
        assert (await house.types(ids[-1]))[-1] == "run.completed"
        # The first ones had a long pause before them: they are woken within seconds now.
        assert await clock.hasten() > 0
        async with house.database.statement() as connection:
            last = text("SELECT max(not_before) - clock_timestamp() FROM runs WHERE state = 'waiting'")
            rest = await connection.scalar(last)
        assert rest <= timedelta(seconds=HASTE_SECONDS)
        await wake_all(house)
        await house.work()
        for one in ids:
            assert (await house.types(one))[-1] == "run.completed"


async def test_a_prompt_that_cannot_be_measured_waits_for_the_model(tmp_path: Path) -> None:
    limits = LIMITS.model_copy(update={"prompt_tokens": 10})
    async with open_house(tmp_path, WELL, limits=limits) as house:
        await house.simulator.stop()
        conversation = await house.converse()
        await house.say(conversation.id, "Hello?")
        await house.work()
        assert await state(house, conversation.id) == (RunState.WAITING, "model")


async def test_without_a_key_a_run_waits_and_goes_on_when_there_is_one(tmp_path: Path) -> None:
    key: str | None = None
    async with open_house(tmp_path, WELL, api_key=lambda: key) as house:
        conversation = await house.converse()
        await house.say(conversation.id, "Hello?")
        await house.work()
        for _ in range(4):  # as often as its time comes
            await wake_all(house)
            await house.work()
        log = await house.log(conversation.id)
        assert await state(house, conversation.id) == (RunState.WAITING, "model")
        assert failures(log) == []
        assert not [r for r in log if isinstance(r.event, ev.StepStarted)], "no attempt was made"
        for wait in waits(log):
            assert "There is no key of the model's API" in wait.detail
            assert "ANTHROPIC_API_KEY" in wait.detail
            assert wait.retry_at is not None
            assert not wait.asked
        assert house.simulator.stage.records.after(0) == []

        key = "given"
        clock = a_clock(house)
        assert await clock.hasten() == 1
        await wake_all(house)
        await house.work()
        assert await state(house, conversation.id) == (RunState.COMPLETED, "end_turn")


async def test_a_key_that_is_taken_away_in_the_midst_fails_nothing(tmp_path: Path) -> None:
    script = """\
name: two
turns:
  - blocks: [{ tool: Read, input: { file_path: notes.txt } }]
  - blocks: [{ text: Here I am. }]
"""
    back = False

    def key() -> str | None:
        second = any(isinstance(r.event, ev.StepStarted) and r.event.step == 2 for r in house.published)
        return None if second and not back else "given"

    async with open_house(tmp_path, script, api_key=key) as house:
        conversation = await house.converse()
        await house.say(conversation.id, "Hello?")
        await house.work()
        assert [f.reason for f in failures(await house.log(conversation.id))] == ["held"]
        assert await state(house, conversation.id) == (RunState.WAITING, "model")
        back = True
        await wake_all(house)
        await house.work()
        assert await state(house, conversation.id) == (RunState.COMPLETED, "end_turn")
        assert [standing.state for standing in house.model.standings()] == ["closed"]
