"""The budget before each call: every scope's limit holds, whatever came before, and says which it is."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flynn.agent.budget import GRACE_SECONDS, Budget
from flynn.agent.fold import Transcript
from flynn.agent.reached import day_full
from flynn.agent.turns import DayFull, Waits
from flynn.domain import events as ev
from flynn.domain.content import text_block
from flynn.domain.run import Limits, TaskLimits
from flynn.domain.usage import Usage
from flynn.model.claude import Claude
from flynn.model.prices import settled_tokens
from flynn.model.request import ModelRequest

MODEL = "claude-haiku-5-5"
ROOM = 1_000
FRAME = ModelRequest(model=MODEL, max_tokens=ROOM, system=[], tools=[], messages=[], effort=None)
WIDE = Limits(turns=1_000, nanodollars=10**12, prompt_tokens=95_000)
CONVERSATION = uuid4()


@pytest.fixture
async def model() -> AsyncIterator[Claude]:
    """A client that is never used: nothing here measures a prompt."""
    client = Claude(api_key=lambda: "key", base_url="http://127.0.0.1:1")
    yield client
    await client.close()


class Ledger:
    """A log of runs and calls, and the budget that is asked before each call."""

    def __init__(
        self, model: Claude, *, run: Limits = WIDE, task: TaskLimits | None = None, worked: float = 0
    ) -> None:
        self.transcript = Transcript(prefix={}, limits=run, task=task)
        self.day_left: int | None = None
        self.worked = worked
        self.budget = Budget(
            model=model, frame=FRAME, at_work=lambda: self.worked, day_left=lambda: self.day_left
        )
        self.run_id = uuid4()
        self.append(ev.RunStarted(epoch=1, worker="w"))
        self.append(ev.MessageSent(message_id=uuid4(), principal="p", text="go", content=[text_block("go")]))

    def append(self, *events: ev.EventData) -> None:
        """Record and apply."""
        for event in events:
            self.transcript.apply(
                ev.Recorded(
                    conversation_id=CONVERSATION,
                    seq=self.transcript.seq + 1,
                    at=datetime.now(UTC),
                    run_id=self.run_id,
                    event=event,
                )
            )

    def affords(self) -> bool:
        """Whether the next call is within every limit."""
        return self.budget.affords(self.transcript, model=MODEL, max_tokens=ROOM)

    async def exceeded(self) -> Waits | None:
        """What stands against the next call."""
        return await self.budget.exceeded(self.transcript, [], model=MODEL, max_tokens=ROOM)

    def start(self) -> ev.StepStarted:
        """Begin a call as a query does."""
        prompt = self.budget.prompt_estimate(self.transcript)
        manifest, digest = self.transcript.preview([])
        started = ev.StepStarted(
            step=self.transcript.last_step + 1,
            input_seqs=manifest,
            model=MODEL,
            params={"max_tokens": ROOM},
            request_digest=digest,
            reserved_nanodollars=self.budget.reservation(MODEL, prompt, ROOM),
            reserved_tokens=prompt + ROOM,
        )
        self.append(started)
        return started

    def complete(self, started: ev.StepStarted, share: float) -> None:
        """End a call well, which took this share of what was reserved."""
        tokens = int(started.reserved_tokens * share)
        self.append(
            ev.MessageCompleted(
                step=started.step,
                message_id="m",
                model=MODEL,
                stop_reason="pause_turn",
                content=[text_block("so")],
            ),
            ev.StepCompleted(
                step=started.step,
                usage=Usage(input=tokens),
                nanodollars=int(started.reserved_nanodollars * share),
                duration_ms=1,
            ),
        )

    def fail(self, started: ev.StepStarted, reason: ev.StepFailure) -> None:
        """End a call badly: a lost one at its worst, another for nothing."""
        lost = reason == "worker_lost"
        self.append(
            ev.StepFailed(
                step=started.step,
                reason=reason,
                detail="",
                nanodollars=started.reserved_nanodollars if lost else 0,
                tokens=started.reserved_tokens if lost else 0,
                settlement="worst_case" if lost else "usage",
            )
        )


@pytest.mark.parametrize(
    ("run", "task", "worked", "reason", "scope", "limit"),
    [
        ({"turns": 1}, {}, 0, "turns", "run", "turns"),
        ({"nanodollars": 10}, {}, 0, "dollars", "run", "dollars"),
        ({}, {"turns": 1}, 0, "task_turns", "task", "turns"),
        ({}, {"tokens": ROOM}, 0, "task_tokens", "task", "tokens"),
        ({}, {"nanodollars": 10}, 0, "task_dollars", "task", "dollars"),
        ({}, {"seconds": 60}, 60, "task_minutes", "task", "minutes"),
        ({"nanodollars": 10}, {"nanodollars": 5}, 0, "dollars", "run", "dollars"),
        ({"turns": 9}, {"turns": 1, "nanodollars": 5}, 0, "task_turns", "task", "turns"),
    ],
)
async def test_each_limit_is_named_with_its_figures(
    model: Claude,
    run: dict[str, int],
    task: dict[str, int],
    worked: float,
    reason: str,
    scope: str,
    limit: str,
) -> None:
    ledger = Ledger(model, run=WIDE.model_copy(update=run), task=TaskLimits(**task), worked=worked)
    if limit == "turns":
        assert await ledger.exceeded() is None or "nanodollars" in task
        ledger.complete(ledger.start(), 0.0)
    stop = await ledger.exceeded()
    assert stop is not None
    assert stop.reached is not None
    assert not ledger.affords()
    assert (stop.reason, stop.reached.scope, stop.reached.limit) == (reason, scope, limit)
    assert stop.reached.used + stop.reached.wanted >= stop.reached.allowed
    assert (stop.limits is None) == (scope == "task")
    assert (stop.task is None) == (scope == "run")
    assert "limit" in stop.detail


async def test_what_is_wide_enough_is_in_nobodys_way(model: Claude) -> None:
    ledger = Ledger(model, task=TaskLimits(turns=5, tokens=10**6, nanodollars=10**9, seconds=60), worked=59)
    assert await ledger.exceeded() is None
    assert ledger.affords()


async def test_the_day_counts_as_far_as_it_is_known(model: Claude) -> None:
    ledger = Ledger(model)
    wanted = ledger.budget.reservation(MODEL, ledger.budget.prompt_estimate(ledger.transcript), ROOM)
    ledger.day_left = wanted
    assert ledger.affords()
    ledger.day_left = wanted - 1
    assert not ledger.affords()
    assert await ledger.exceeded() is None  # others spend of it too: it is asked when the call is reserved
    full = day_full(DayFull("quorra", datetime(2026, 12, 31, tzinfo=UTC).date(), 40, 20, 50))
    assert full.retry_at == datetime(2027, 1, 1, tzinfo=UTC)
    assert "quorra has spent or reserved" in full.detail


async def test_a_tool_has_what_is_left_and_a_little_more(model: Claude) -> None:
    ledger = Ledger(model, task=TaskLimits(seconds=60), worked=20)
    assert ledger.budget.seconds_left(ledger.transcript) == 40 + GRACE_SECONDS
    assert ledger.budget.time_up(ledger.transcript) is None
    ledger.worked = 75
    assert ledger.budget.seconds_left(ledger.transcript) == GRACE_SECONDS
    assert ledger.budget.time_up(ledger.transcript) is not None
    assert Ledger(model).budget.seconds_left(ledger.transcript.__class__(prefix={}, limits=WIDE)) is None


def test_tokens_follow_what_the_money_follows() -> None:
    usage = Usage(input=10, cache_read=5, output=3)
    assert settled_tokens(usage, "usage", max_tokens=100, reserved=500) == 18
    assert settled_tokens(usage, "prompt", max_tokens=100, reserved=500) == 115
    assert settled_tokens(Usage(), "worst_case", max_tokens=100, reserved=500) == 500


def test_a_log_from_before_counts_what_its_calls_reported() -> None:
    old = ev.EVENT.validate_python(
        {
            "type": "step.failed",
            "step": 1,
            "reason": "truncated",
            "detail": "",
            "usage": {"input": 7, "output": 2},
            "nanodollars": 11,
        }
    )
    begun = ev.EVENT.validate_python(
        {
            "type": "step.started",
            "step": 1,
            "input_seqs": [],
            "model": MODEL,
            "params": {},
            "request_digest": "",
            "reserved_nanodollars": 20,
        }
    )
    transcript = Transcript(prefix={}, limits=WIDE)
    for seq, event in enumerate((begun, old), start=1):
        transcript.apply(
            ev.Recorded(conversation_id=CONVERSATION, seq=seq, at=datetime.now(UTC), run_id=None, event=event)
        )
    task = transcript.task
    assert (task.turns, task.tokens, task.nanodollars) == (1, 9, 11)


ACTIONS = st.one_of(
    st.tuples(st.just("complete"), st.floats(0, 1)),
    st.tuples(st.just("crash"), st.just(0.0)),
    st.tuples(st.just("unanswered"), st.just(0.0)),
    st.tuples(st.just("raise"), st.floats(1, 3)),
    st.tuples(st.just("run"), st.just(0.0)),
)


@settings(max_examples=60, deadline=None)
@given(
    dollars=st.integers(0, 60_000_000),
    tokens=st.integers(0, 12_000),
    turns=st.integers(1, 6),
    actions=st.lists(ACTIONS, max_size=25),
)
async def test_nothing_that_happens_takes_more_than_is_allowed(
    dollars: int, tokens: int, turns: int, actions: list[tuple[str, float]]
) -> None:
    client = Claude(api_key=lambda: "key", base_url="http://127.0.0.1:1")
    ledger = Ledger(client, task=TaskLimits(turns=turns, tokens=tokens, nanodollars=dollars))
    task = ledger.transcript.task
    for action, how in actions:
        if action == "raise":
            held = task.limits.nanodollars or 0
            raised = TaskLimits(nanodollars=int(held * how))
            ledger.append(ev.BudgetRaised(principal="p", task=raised))
            assert task.limits == TaskLimits(turns=turns, tokens=tokens, nanodollars=int(held * how))
            continue
        if action == "run":
            ledger.run_id = uuid4()
            ledger.append(ev.RunStarted(epoch=2, worker="w"))
            continue
        fits = ledger.affords()
        assert fits == (await ledger.exceeded() is None)
        if not fits:
            continue
        started = ledger.start()
        # What is reserved and spent together is within every limit, so whatever becomes of the call is.
        assert task.nanodollars + started.reserved_nanodollars <= (task.limits.nanodollars or 0)
        assert task.tokens + started.reserved_tokens <= tokens
        match action:
            case "complete":
                ledger.complete(started, how)
            case "crash":
                ledger.fail(started, "worker_lost")
            case _:
                ledger.fail(started, "retry")
        assert task.nanodollars <= (task.limits.nanodollars or 0)
        assert task.tokens <= tokens
        assert task.turns <= turns
    await client.close()
