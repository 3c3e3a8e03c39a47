"""The model fails in every way and at every point of a stream, and nothing is lost, doubled or bricked.

For each fault a conversation of its own: its first call fails once, the next one is answered. The strict
simulator judges every transcript, each command's effect stands in a file once, and the run's bill is the
sum of its calls.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from flynn.domain import events as ev
from flynn.domain.run import RunState
from flynn.simulator import Options, Scenario, parse_scenarios
from tests.house import House, open_house

pytestmark = [pytest.mark.slow, pytest.mark.needs("bubblewrap")]

STRICT = Options(binding="strict", unproven="refuse")

POINTS = [
    "message_start",
    "content_block_start:thinking",
    "content_block_delta:signature_delta",
    "content_block_stop",
    "content_block_start:text",
    "content_block_delta:text_delta",
    "content_block_start:tool_use",
    "content_block_delta:input_json_delta",
    "message_delta",
]
"""Every class of event in an answer that thinks unseen (display `omitted`), speaks and calls a tool."""

STATUSES: list[dict[str, Any]] = [
    {"kind": "rate_limited"},
    {"kind": "rate_limited", "retry_after": 0.2},
    {"kind": "overloaded"},
    {"kind": "server_error"},
    {"kind": "unavailable"},
    {"kind": "timeout"},
    {"kind": "conflict"},
    {"kind": "connection_reset"},
    {"kind": "hang"},
    {"kind": "empty_stream"},
    {"kind": "pings_only"},
]


def scenario(name: str, fault: dict[str, Any]) -> Scenario:
    """A conversation whose first call meets `fault` once."""
    command = json.dumps(f"echo {name} >> effects.txt")
    (made,) = parse_scenarios(f"""
name: {name}
match: "please do {name}."
turns:
  - faults: [{json.dumps({**fault, "on_attempt": 1})}]
    blocks:
      - thinking: "I think about {name} for a while."
      - text: "I shall do {name} now."
      - {{tool: Bash, input: {{command: {command}}}}}
  - blocks: [{{thinking: It is done.}}, {{text: Done.}}]
loop: true
""")
    return made


async def drill(house: House, faults: dict[str, dict[str, Any]]) -> None:
    """Play every fault in a conversation of its own, and look at what came of each."""
    reasons: Counter[str] = Counter()
    for name in faults:
        conversation = await house.converse()
        await house.say(conversation.id, f"Would you please do {name}.")
        await house.work()
        log = await house.log(conversation.id)
        view = await house.views.conversation(house.owner, conversation.id)
        assert view.run is not None
        assert view.run.state is RunState.COMPLETED, (name, view.run.detail)
        assert [r.seq for r in log] == list(range(1, len(log) + 1))
        failed = [r.event for r in log if isinstance(r.event, ev.StepFailed)]
        assert len(failed) == 1, name
        reasons[failed[0].reason] += 1
        done = [r.event for r in log if isinstance(r.event, ev.StepCompleted)]
        ended = log[-1].event
        assert isinstance(ended, ev.RunCompleted)
        bills = [e.nanodollars for e in failed] + [e.nanodollars for e in done]
        assert ended.nanodollars == sum(bills)
        # What was streamed of the broken answer is in nobody's transcript: it goes on without.
        await house.say(conversation.id, "Thank you.")
        await house.work()
        assert (await house.types(conversation.id))[-1] == "run.completed", name
    effects = Counter((house.workspace / "effects.txt").read_text().split())
    # Thanks are answered by the same scenario, which begins again: one effect a run.
    assert effects == dict.fromkeys(faults, 2)
    assert set(reasons) <= {"retry", "broken_stream"}
    refused = [r for r in house.simulator.stage.records.after(0) if r.status == 400]
    assert not refused, [r.error for r in refused]


@pytest.mark.parametrize("kind", ["stream_cut", "connection_reset", "error_event", "hang"])
async def test_an_answer_that_breaks_off_at_any_event(tmp_path: Path, kind: str) -> None:
    faults = {f"{kind}-{number}": {"kind": kind, "after_event": point} for number, point in enumerate(POINTS)}
    script = [scenario(name, fault) for name, fault in faults.items()]
    async with open_house(tmp_path, script, options=STRICT, model_idle_seconds=0.5) as house:
        await drill(house, faults)


async def test_a_call_that_gets_no_answer(tmp_path: Path) -> None:
    faults = {f"status-{number}": fault for number, fault in enumerate(STATUSES)}
    script = [scenario(name, fault) for name, fault in faults.items()]
    async with open_house(tmp_path, script, options=STRICT, model_idle_seconds=0.5) as house:
        await drill(house, faults)
