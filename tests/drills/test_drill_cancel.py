"""An interrupt among three commands of one step: nothing of them is alive when the run is cancelled.

Promise 5. The latency is printed, and measured in bench/; here it only has to come.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.drills.stage import Stage, alive_in, open_stage
from tests.eventually import eventually

pytestmark = [pytest.mark.slow, pytest.mark.needs("bubblewrap", "redis-server"), pytest.mark.timeout(300)]

COMMANDS = 3


def script(ticking: int) -> str:
    """A model that asks for three commands at once, of which number `ticking` never ends."""
    calls = [
        f"echo c{n} >> ledger.txt" + ("; while :; do echo x >> ticks.txt; sleep 0.02; done" * (n == ticking))
        for n in range(COMMANDS)
    ]
    blocks = "\n".join(f'      - {{tool: Bash, input: {{command: "{call}"}}}}' for call in calls)
    return f"""
name: ticking-{ticking}
match: Tick {ticking}
turns:
  - blocks:
{blocks}
  - blocks: [{{text: I was stopped.}}]
"""


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(tmp_path, "---".join(script(n) for n in range(COMMANDS))) as stage:
        yield stage


async def interrupted(stage: Stage, ticking: int) -> float:
    """Interrupt while command number `ticking` runs; gives the seconds from the wish to its fulfilment."""
    async with stage.client() as (client, onlooker):
        await client.say(f"Tick {ticking} {client.token}.")
        ticks = client.place / "ticks.txt"
        await eventually(ticks.exists, what="the first tick", seconds=60)
        answer = await client.post("interrupt", {"reason": "enough"})
        assert answer.status_code == 200, answer.text
        cancelled = await onlooker.seen("run.cancelled")
        assert alive_in(client.place) == []
        size = ticks.stat().st_size
        assert await client.over() == "cancelled"
        await asyncio.sleep(0.5)
        assert ticks.stat().st_size == size, "something ticks on"

        await client.say("What happened?")
        assert await client.over() == "completed"
        audit = await stage.audit(client, onlooker)
        outcomes = audit.no_effect_was_repeated(client.place / "ledger.txt")
        assert list(outcomes.values()) == ["ok"] * ticking + ["cancelled"] * (COMMANDS - ticking)
        done = (client.place / "ledger.txt").read_text().split()
        assert done == [f"c{n}" for n in range(ticking + 1)]
        closed = [e["seq"] for e in audit.of("tool.finished")]
        assert max(closed) < cancelled["seq"]
        asked = onlooker.of("interrupt.requested")[0]["at"]
        return (datetime.fromisoformat(cancelled["at"]) - datetime.fromisoformat(asked)).total_seconds()


async def test_an_interrupt_during_three_commands_of_a_step(stage: Stage) -> None:
    seconds = [await interrupted(stage, n) for n in range(COMMANDS)]
    print("from the interrupt to the cancelled run:", ", ".join(f"{s * 1000:.0f} ms" for s in seconds))
    assert all(s > 0 for s in seconds)
