"""What a failed call brings its run to is in the log: another worker sees to it, without another call."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from flynn.domain import events as ev
from flynn.domain.errors import LeaseLost
from flynn.simulator import Options
from flynn.telemetry import crash_point
from tests.house import House, TestLease, open_house

STRICT = Options(binding="strict", unproven="refuse")
ASKED_LATER = "{kind: rate_limited, retry_after: 60, on_attempt: 1}"
SOON = "{kind: server_error, on_attempt: 1}"


def script(fault: str) -> str:
    """A model that meets `fault` where it would look for files; afterwards it answers."""
    return f"""
name: later
match: And now?
match_in: latest_message
turns: [{{blocks: [{{text: Here.}}]}}]
---
name: faulty
turns:
  - faults: [{fault}]
    blocks: [{{tool: Glob, input: {{pattern: "*.txt"}}}}]
  - blocks: [{{text: All is well.}}]
"""


@contextmanager
def lost_after(reply: int) -> Iterator[None]:
    """Workers are lost as soon as the end of so many calls is committed."""
    left = reply

    def lose(name: str) -> None:
        nonlocal left
        left -= name == "reply.after-commit"
        if left == 0:
            raise LeaseLost("the worker was lost here")

    crash_point.arm(lose)
    try:
        with pytest.raises(LeaseLost):
            yield
    finally:
        crash_point.arm(None)


async def begin(house: House, *, calls: int = 1) -> tuple[UUID, TestLease]:
    """A conversation whose worker was lost after so many calls; gives what the next one holds."""
    conversation = await house.converse()
    await house.say(conversation.id, "What is here?")
    ((run_id, job_id),) = await house.jobs()
    with lost_after(calls):
        await house.runner.run(run_id, TestLease(job_id))
    assert (await house.types(conversation.id))[-1] == "step.failed"
    return conversation.id, TestLease(job_id, worker="the next one")


@pytest.mark.parametrize(
    ("fault", "calls", "end"),
    [
        ("{kind: bad_request, on_attempt: 1}", 1, {"type": "run.failed", "code": "model-permanent"}),
        ("{kind: refusal, on_attempt: 1}", 1, {"type": "run.failed", "code": "refused"}),
        ("{kind: max_tokens}", 2, {"type": "run.failed", "code": "truncated"}),
        (ASKED_LATER, 1, {"type": "run.waiting", "reason": "model", "asked": True}),
        (
            "{kind: stop_reason, value: model_context_window_exceeded}",
            1,
            {"type": "run.waiting", "reason": "context"},
        ),
    ],
    ids=["permanent", "refused", "truncated", "asked later", "context"],
)
async def test_the_next_worker_comes_to_the_same_without_another_call(
    tmp_path: Path, fault: str, calls: int, end: dict[str, Any]
) -> None:
    async with open_house(tmp_path, script(fault), options=STRICT) as house:
        conversation, lease = await begin(house, calls=calls)
        await house.work(lease=lease)
        log = await house.log(conversation)
        assert [r.event.type for r in log[-3:]] == ["step.failed", "run.started", end["type"]]
        found = log[-1].event.model_dump()
        assert {name: found[name] for name in end} == end
        failed = log[-3].event
        assert isinstance(failed, ev.StepFailed)
        if failed.retry_at is not None:
            assert found["retry_at"] == failed.retry_at
        if end["type"] == "run.failed":
            await house.say(conversation, "And now?")
            await house.work()
            assert (await house.types(conversation))[-1] == "run.completed"


async def test_words_that_came_meanwhile_are_answered_at_once(tmp_path: Path) -> None:
    async with open_house(tmp_path, script(ASKED_LATER), options=STRICT) as house:
        conversation, lease = await begin(house)
        await house.say(conversation, "And now?")
        await house.work(lease=lease)
        types = await house.types(conversation)
        assert "run.waiting" not in types
        assert types[-1] == "run.completed"


async def test_a_short_pause_is_kept_by_the_next_worker_too(tmp_path: Path) -> None:
    async with open_house(tmp_path, script(SOON), options=STRICT) as house:
        conversation, lease = await begin(house)
        await house.work(lease=lease)
        log = await house.log(conversation)
        at = next(r.event.retry_at for r in log if isinstance(r.event, ev.StepFailed))
        first, second, *_ = [r for r in log if isinstance(r.event, ev.StepStarted)]
        assert at is not None
        assert first.at < at <= second.at
        assert log[-1].event.type == "run.completed"
