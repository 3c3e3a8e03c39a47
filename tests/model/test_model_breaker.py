"""The breaker: who opens it, how much goes out meanwhile, and how a model is found back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from flynn.domain.errors import ModelFailure
from flynn.model.breaker import FAILURES, FIRST_PAUSE, LONGEST_ASKED, LONGEST_PAUSE, Breaker, Standing
from flynn.model.claude import Claude
from flynn.model.failures import (
    BrokenStream,
    CallFailed,
    EndpointAway,
    Permanent,
    Refused,
    RetryLater,
    Truncated,
)
from flynn.model.request import ModelRequest
from flynn.simulator import SimulatorServer, parse_scenarios
from tests.eventually import eventually

GONE = RetryLater("No connection to the provider.")


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def told() -> list[Standing]:
    return []


@pytest.fixture
def breaker(clock: Clock, told: list[Standing]) -> Breaker:
    return Breaker("claude-haiku-5-5", changed=told.append, clock=clock)


def fails(breaker: Breaker, failure: CallFailed = GONE, *, after_content: bool = False) -> None:
    """One call that fails."""
    with pytest.raises(type(failure)):
        play(breaker, failure, after_content=after_content)


def play(breaker: Breaker, failure: CallFailed, *, after_content: bool) -> None:
    with breaker.call() as attempt:
        if after_content:
            attempt.answer()
        raise failure


def answers(breaker: Breaker) -> None:
    """One call that is answered."""
    with breaker.call() as attempt:
        attempt.answer()


def rests(breaker: Breaker) -> float:
    """Seconds until the next probe."""
    away = breaker.refusal()
    assert away is not None
    return away.retry_after or 0.0


def opened(breaker: Breaker) -> None:
    for _ in range(FAILURES):
        fails(breaker)
    assert breaker.standing.state == "open"


def test_failures_in_a_row_open_it_and_then_nothing_goes_out(breaker: Breaker, told: list[Standing]) -> None:
    for _ in range(FAILURES - 1):
        fails(breaker)
    assert breaker.standing.state == "closed"
    assert told == []
    fails(breaker)
    assert [t.state for t in told] == ["open"]
    assert told[0].detail == GONE.detail
    with pytest.raises(EndpointAway) as caught, breaker.call():
        pytest.fail("a call went out")
    assert caught.value.reason == "held"
    assert 0.8 * FIRST_PAUSE <= (caught.value.retry_after or 0) <= 1.2 * FIRST_PAUSE
    assert caught.value.detail.startswith("claude-haiku-5-5 has not answered since ")
    assert caught.value.detail.endswith(GONE.detail)


def test_one_answer_begins_the_count_anew(breaker: Breaker) -> None:
    for _ in range(3):
        for _ in range(FAILURES - 1):
            fails(breaker)
        answers(breaker)
    assert breaker.standing.state == "closed"


@pytest.mark.parametrize(
    "failure",
    [
        Permanent("no such model", provider_status=404),
        Refused("no", category=None),
        Truncated("cut", stop_reason="max_tokens", content=[]),
    ],
    ids=["permanent", "refused", "truncated"],
)
def test_an_endpoint_that_rejects_is_there(breaker: Breaker, failure: CallFailed) -> None:
    for _ in range(3):
        for _ in range(FAILURES - 1):
            fails(breaker)
        fails(breaker, failure)
    assert breaker.standing.state == "closed"


def test_what_never_left_the_process_says_nothing(breaker: Breaker) -> None:
    for _ in range(FAILURES - 1):
        fails(breaker)
    fails(breaker, Permanent("no key"))
    fails(breaker)
    assert breaker.standing.state == "open"


@pytest.mark.parametrize(
    "failure",
    [
        RetryLater("529", provider_status=529),
        RetryLater("503", provider_status=503, retry_after=1.0),
        RetryLater("429", provider_status=429),
        BrokenStream("nothing but pings", provider_status=200),
    ],
    ids=["529", "503 with retry-after", "429 without", "broken before content"],
)
def test_these_count(breaker: Breaker, failure: CallFailed) -> None:
    for _ in range(FAILURES):
        fails(breaker, failure)
    assert breaker.standing.state == "open"


def test_these_do_not_count(breaker: Breaker) -> None:
    for _ in range(2 * FAILURES):
        fails(breaker, RetryLater("429", provider_status=429, retry_after=7.0))
        fails(breaker, BrokenStream("cut", provider_status=200), after_content=True)
    assert breaker.standing.state == "closed"


def test_one_probe_at_a_time_finds_the_model_back(
    breaker: Breaker, clock: Clock, told: list[Standing]
) -> None:
    opened(breaker)
    clock.now += 1.2 * FIRST_PAUSE
    with breaker.call() as probe:
        assert breaker.standing.state == "half_open"
        with pytest.raises(EndpointAway), breaker.call():
            pytest.fail("a second probe went out")
        probe.answer()
        assert breaker.standing == Standing("claude-haiku-5-5", "closed")
        answers(breaker)  # while the first answer still streams
    assert [t.state for t in told] == ["open", "half_open", "closed"]


def test_each_probe_that_fails_makes_the_next_pause_longer(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    since = breaker.standing.since
    expected = FIRST_PAUSE
    for _ in range(8):
        rest = rests(breaker)
        assert 0.8 * expected <= rest <= 1.2 * expected
        clock.now += rest
        fails(breaker)
        expected = min(2 * expected, LONGEST_PAUSE)
    assert breaker.standing.since == since, "the outage began with its first failure"


def test_a_probe_that_is_given_up_leaves_the_next_call_to_probe(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += 1.2 * FIRST_PAUSE
    with pytest.raises(asyncio.CancelledError), breaker.call():
        raise asyncio.CancelledError
    assert breaker.standing.state == "open"
    answers(breaker)
    assert breaker.refusal() is None


def test_what_the_provider_asks_for_is_kept_within_reason(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += 1.2 * FIRST_PAUSE
    fails(breaker, RetryLater("429", provider_status=429, retry_after=45.0))
    assert rests(breaker) == 45.0
    clock.now += 45.0
    fails(breaker, RetryLater("503", provider_status=503, retry_after=1e9))
    assert rests(breaker) == LONGEST_ASKED


def test_calls_that_were_out_already_do_not_put_the_probe_off(breaker: Breaker) -> None:
    def late() -> float:
        with breaker.call():
            opened(breaker)
            before.append(rests(breaker))
            raise GONE

    before: list[float] = []
    with pytest.raises(RetryLater):
        late()
    assert [rests(breaker)] == before


# -- at a client ---------------------------------------------------------------------------------------

DEAD = """
name: dead
turns:
  - faults: [{kind: overloaded}]
    blocks: [{text: never}]
"""

SLOW = """
name: slow
pacing: {headers_ms: 200}
turns: [{blocks: [{text: Here.}]}]
"""


@pytest.fixture
async def dead(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[SimulatorServer, Claude]]:
    monkeypatch.setattr("flynn.model.breaker.FIRST_PAUSE", 0.5)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(SimulatorServer(parse_scenarios(DEAD)))
        claude = Claude(api_key="k", base_url=server.url)
        stack.push_async_callback(claude.close)
        yield server, claude


async def call(claude: Claude, request: ModelRequest) -> str:
    """The class of what a call came to."""
    try:
        async for _ in claude.stream(request):
            pass
    except ModelFailure as failure:
        return type(failure).__name__
    return "answered"


async def test_twenty_runs_on_a_dead_endpoint_make_a_bounded_number_of_calls(
    dead: tuple[SimulatorServer, Claude], request_: ModelRequest
) -> None:
    server, claude = dead

    async def run() -> list[str]:
        return [await call(claude, request_) for _ in range(10)]

    found = [kind for kinds in await asyncio.gather(*(run() for _ in range(20))) for kind in kinds]
    # The first twenty are out before the first answer comes; of the other 180 none is.
    assert found.count("RetryLater") == len(server.stage.records.after(0)) <= 20 + FAILURES
    assert found.count("EndpointAway") == 200 - found.count("RetryLater")
    assert [s.state for s in claude.standings()] == ["open"]


async def test_twenty_runs_send_one_probe_and_go_on_when_it_is_answered(
    dead: tuple[SimulatorServer, Claude], request_: ModelRequest
) -> None:
    server, claude = dead
    for _ in range(FAILURES):
        await call(claude, request_)
    sent = len(server.stage.records.after(0))
    server.stage.load(parse_scenarios(SLOW), replace=True)
    await eventually(lambda: claude.refusal(request_.model) is None, what="the time of the probe")
    found = await asyncio.gather(*(call(claude, request_) for _ in range(20)))
    assert sorted(found) == ["EndpointAway"] * 19 + ["answered"]
    assert len(server.stage.records.after(0)) == sent + 1
    found = await asyncio.gather(*(call(claude, request_) for _ in range(20)))
    assert found == ["answered"] * 20


async def test_one_model_may_be_away_and_another_not(
    dead: tuple[SimulatorServer, Claude], request_: ModelRequest
) -> None:
    _, claude = dead
    for _ in range(FAILURES):
        await call(claude, request_)
    assert claude.refusal("claude-haiku-5-5") is not None
    assert claude.refusal("claude-sonnet-5-5") is None
