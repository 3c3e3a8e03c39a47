"""What the model's endpoint does wrong, in the processes' world: each fault ends in an answered message.

All faults at once, each in a conversation of its own, against one worker and a strict model. The fault
strikes a call that follows a command, and whose answer asks for another one: neither may act twice, nor the
second one out of an answer that broke off.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.drills.stage import Stage, open_stage

pytestmark = [pytest.mark.slow, pytest.mark.needs("bubblewrap", "redis-server"), pytest.mark.timeout(300)]

IDLE_SECONDS = 5
"""Silence after which a call counts as broken: the least that the setting takes."""

EVENT_CLASSES = (
    "message_start",
    "content_block_start:thinking",
    "content_block_delta:signature_delta",
    "content_block_stop",
    "content_block_start:text",
    "content_block_delta:text_delta",
    "content_block_start:tool_use",
    "content_block_delta:input_json_delta",
    "message_delta",
)
"""Where a stream is cut: after the first event of each class. After message_delta only message_stop lacks."""


@dataclass(frozen=True)
class Fault:
    """A fault of the scenario, how often it strikes, and the reason of the failed steps."""

    name: str
    fault: str
    reasons: tuple[str, ...]
    times: int = 1


RETRY, BROKEN = ("retry",), ("broken_stream",)
FAULTS = [
    Fault("limited", "kind: rate_limited, retry_after: 1", RETRY),
    Fault("limited-for-long", "kind: rate_limited, retry_after: 4", RETRY),
    Fault("limited-twice", "kind: rate_limited, retry_after: 0", RETRY, times=2),
    Fault("overloaded", "kind: overloaded", RETRY),
    Fault("overloaded-twice", "kind: overloaded", RETRY, times=2),
    Fault("error", "kind: server_error", RETRY),
    Fault("unavailable", "kind: unavailable", RETRY),
    Fault("late", "kind: timeout", RETRY),
    Fault("conflict", "kind: conflict", RETRY),
    Fault("pings-alone", "kind: pings_only", ("retry", "broken_stream")),
    Fault("silence-before-headers", "kind: hang", ("retry", "broken_stream")),
    Fault("silence-after-start", "kind: hang, after_event: message_start", BROKEN),
    Fault("silence-in-words", "kind: hang, after_event: 'content_block_delta:text_delta'", BROKEN),
    Fault("silence-in-input", "kind: hang, after_event: 'content_block_delta:input_json_delta'", BROKEN),
    Fault("reset-before-headers", "kind: connection_reset", ("retry", "broken_stream")),
    Fault("empty", "kind: empty_stream", BROKEN),
    Fault("truncated", "kind: max_tokens", ("truncated",)),
    *(
        Fault(f"cut-{c.replace(':', '-')}", f"kind: stream_cut, after_event: '{c}'", BROKEN)
        for c in EVENT_CLASSES
    ),
    *(
        Fault(f"reset-{c.replace(':', '-')}", f"kind: connection_reset, after_event: '{c}'", BROKEN)
        for c in EVENT_CLASSES
    ),
    *(
        Fault(
            f"error-{c.replace(':', '-')}",
            f"kind: error_event, after_event: '{c}'",
            ("retry", "broken_stream"),
        )
        for c in EVENT_CLASSES
    ),
]


def script(fault: Fault) -> str:
    """The play of one fault."""
    attempts = list(range(1, fault.times + 1))
    return f"""
name: {fault.name}
match: Meet {fault.name} now
turns:
  - blocks:
      - {{thinking: First a command.}}
      - {{tool: Bash, input: {{command: "echo first >> ledger.txt"}}}}
  - faults: [{{{fault.fault}, on_attempt: {attempts}}}]
    blocks:
      - {{thinking: And another one.}}
      - {{text: Now comes a second command.}}
      - {{tool: Bash, input: {{command: "echo second >> ledger.txt"}}}}
  - blocks: [{{text: Both are done.}}]
"""


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    scripts = "---".join(script(fault) for fault in FAULTS)
    settings = {"FLYNN_MODEL_IDLE_SECONDS": str(IDLE_SECONDS), "FLYNN_CONCURRENCY": "12"}
    settings["FLYNN_LEASE_SECONDS"] = "30"  # no worker is lost here, however busy the machine is
    async with open_stage(tmp_path, scripts, **settings) as stage:
        yield stage


async def meet(stage: Stage, fault: Fault) -> str | None:
    """Meet one fault; gives what was wrong then, if anything."""
    async with stage.client() as (client, onlooker):
        try:
            await client.say(f"Meet {fault.name} now, {client.token}.")
            assert await client.over(seconds=200) == "completed"
            audit = await stage.audit(client, onlooker)
            outcomes = audit.no_effect_was_repeated(client.place / "ledger.txt")
            assert outcomes == {"first": "ok", "second": "ok"}
            audit.every_message_was_heard_once()
            reasons = [e["data"]["reason"] for e in audit.of("step.failed")]
            assert len(reasons) == fault.times
            assert set(reasons) <= set(fault.reasons), reasons
            spent = sum(e["data"]["nanodollars"] for e in audit.of("step.failed", "step.completed"))
            assert audit.of("run.completed")[-1]["data"]["nanodollars"] == spent
            assert "Both are done." in str(audit.of("message.completed")[-1]["data"])
        except AssertionError as error:
            return f"{fault.name}: {str(error).splitlines()[0] if str(error) else 'an assertion failed'}"
    return None


async def test_every_fault_of_the_model_ends_in_an_answer(stage: Stage) -> None:
    found = await asyncio.gather(*(meet(stage, fault) for fault in FAULTS))
    assert [problem for problem in found if problem] == []
