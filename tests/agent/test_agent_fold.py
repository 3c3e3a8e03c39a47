"""The fold under any history: what it would send is always valid for the API."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flynn.agent.fold import Transcript
from flynn.domain import events as ev
from flynn.domain.content import text_block
from flynn.domain.run import Limits
from flynn.domain.tool_result import Outcome, ToolResult
from flynn.domain.usage import Usage

LIMITS = Limits(turns=10, nanodollars=1_000_000, prompt_tokens=1000)
CONVERSATION = uuid4()
FAILURES: list[ev.StepFailure] = [
    "retry",
    "permanent",
    "broken_stream",
    "truncated",
    "empty",
    "cancelled",
    "worker_lost",
    "held",
]


class History:
    """Appends events to a transcript as a worker and intake would, and remembers them."""

    def __init__(self) -> None:
        self.transcript = Transcript(prefix={"system": []}, limits=LIMITS)
        self.recorded: list[ev.Recorded] = []
        self.run: UUID | None = None
        self.calls = 0

    def append(self, *events: ev.EventData) -> None:
        """Record and apply."""
        for event in events:
            recorded = ev.Recorded(
                conversation_id=CONVERSATION,
                seq=self.transcript.seq + 1,
                at=datetime.now(UTC),
                run_id=self.run,
                event=event,
            )
            self.recorded.append(recorded)
            self.transcript.apply(recorded)

    def say(self, words: str) -> None:
        """Somebody says something."""
        sent = ev.MessageSent(message_id=uuid4(), principal="p", text=words, content=[text_block(words)])
        self.append(sent)

    def begin_run(self) -> None:
        """A run starts."""
        self.run = uuid4()
        self.append(ev.RunStarted(epoch=1, worker="w"))

    def step(self) -> ev.StepStarted:
        """A model call is announced; its request is valid, and its digest that of its bytes."""
        manifest, digest = self.transcript.preview([])
        number = self.transcript.last_step + 1
        valid(self.transcript.messages(manifest))
        started = ev.StepStarted(
            step=number,
            input_seqs=manifest,
            model="m",
            params={},
            request_digest=digest,
            reserved_nanodollars=7,
        )
        self.append(started)
        return started

    def answer(self, started: ev.StepStarted, calls: int) -> None:
        """The model answers, with `calls` tool calls."""
        uses = []
        for _ in range(calls):
            self.calls += 1
            uses.append({"type": "tool_use", "id": f"t{self.calls}", "name": "Read", "input": {}})
        self.append(
            ev.MessageCompleted(
                step=started.step,
                message_id="x",
                model="m",
                stop_reason="tool_use" if calls else "end_turn",
                content=[text_block("words"), *uses],
            ),
            ev.StepCompleted(step=started.step, usage=Usage(input=3, output=2), nanodollars=5, duration_ms=1),
        )

    def close_calls(self, outcome: Outcome) -> None:
        """Every open call gets its result."""
        for call in self.transcript.open_calls():
            result = ToolResult(content="r", outcome=outcome)
            self.append(
                ev.ToolFinished(
                    step=self.transcript.last_step,
                    call_id=call.call_id,
                    tool=call.tool,
                    outcome=outcome,
                    content=[result.block(call.call_id)],
                )
            )

    def refuse(self, started: ev.StepStarted) -> None:
        """The model refuses: what was refused is taken back."""
        kinds = self.transcript.kinds
        results = any(kinds[seq] == "result" for seq in started.input_seqs)
        self.append(
            ev.StepFailed(
                step=started.step,
                reason="refused",
                detail="no",
                withdrawn_steps=[self.transcript.steps[-1].number] if results else [],
                dropped_seqs=[seq for seq in started.input_seqs if kinds[seq] != "result"],
                content=[text_block("It was declined.")],
            )
        )


def valid(messages: list[dict[str, Any]]) -> None:
    """The rules of CLAUDE's Messages API that a transcript can break."""
    roles = [m["role"] for m in messages]
    assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"] * (len(roles) % 2)
    asked: list[str] = []
    for message in messages:
        assert message["content"]
        if message["role"] == "assistant":
            asked = [b["id"] for b in message["content"] if b["type"] == "tool_use"]
            continue
        kinds = [b["type"] for b in message["content"]]
        results = [b["tool_use_id"] for b in message["content"] if b["type"] == "tool_result"]
        assert kinds[: len(results)] == ["tool_result"] * len(results)
        assert sorted(results) == sorted(asked)


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["say", "answer", "tools", "fail", "refuse", "new run"]),
        st.integers(1, 3),
        st.sampled_from(FAILURES),
        st.sampled_from(list(Outcome)),
    ),
    max_size=40,
)


def play(actions: list[tuple[str, int, Any, Outcome]]) -> History:
    history = History()
    history.say("first")
    history.begin_run()
    for action, number, failure, outcome in actions:
        history.close_calls(outcome)
        match action:
            case "say":
                history.say(f"words {number}")
                continue
            case "new run":
                history.begin_run()
                continue
            case _:
                pass
        if not history.transcript.pending:
            history.say("more")
        started = history.step()
        match action:
            case "answer":
                history.answer(started, 0)
            case "tools":
                history.answer(started, number)
            case "refuse":
                history.refuse(started)
            case _:
                history.append(ev.StepFailed(step=started.step, reason=failure, detail="d"))
    history.close_calls(Outcome.OK)
    return history


@settings(max_examples=300, deadline=None)
@given(ACTIONS)
def test_every_request_of_every_history_is_valid(actions: list[tuple[str, int, Any, Outcome]]) -> None:
    history = play(actions)
    history.say("last")
    valid(history.transcript.messages(history.transcript.manifest()))


@settings(max_examples=100, deadline=None)
@given(ACTIONS)
def test_folding_the_log_again_gives_the_same_state(actions: list[tuple[str, int, Any, Outcome]]) -> None:
    history = play(actions)
    again = Transcript(prefix={"system": []}, limits=LIMITS)
    for recorded in history.recorded:
        again.apply(ev.Recorded.model_validate_json(recorded.model_dump_json()))
    assert again.messages(again.manifest()) == history.transcript.messages(history.transcript.manifest())
    assert again.preview([]) == history.transcript.preview([])
    assert again.run.nanodollars == history.transcript.run.nanodollars


def test_a_gap_is_refused() -> None:
    history = History()
    history.say("first")
    skipped = history.recorded[0].model_copy(update={"seq": 3})
    with pytest.raises(ValueError, match="does not follow"):
        history.transcript.apply(skipped)


def test_the_digest_follows_the_bytes() -> None:
    one, two, other = History(), History(), History()
    for history, words in ((one, "same"), (two, "same"), (other, "else")):
        history.say(words)
        history.begin_run()
    assert one.step().request_digest == two.step().request_digest != other.step().request_digest


def test_only_attempts_that_were_made_count() -> None:
    history = History()
    history.say("first")
    history.begin_run()
    for reason in FAILURES:
        started = history.step()
        history.append(ev.StepFailed(step=started.step, reason=reason, detail="d"))
    assert history.transcript.run.failures == 2, "retry and broken_stream"
    assert history.transcript.run.failed_model == "m"


def test_another_model_is_another_digest() -> None:
    history = History()
    history.say("first")
    frozen, other = history.transcript.preview([]), history.transcript.preview([], other={"model": "n"})
    assert frozen[0] == other[0]
    assert frozen[1] != other[1]


def test_a_late_word_comes_behind_the_results() -> None:
    history = History()
    history.say("first")
    history.begin_run()
    history.answer(history.step(), 2)
    history.say("late")
    history.close_calls(Outcome.OK)
    sent = history.transcript.messages(history.transcript.manifest())[-1]["content"]
    assert [b["type"] for b in sent] == ["tool_result", "tool_result", "text"]
