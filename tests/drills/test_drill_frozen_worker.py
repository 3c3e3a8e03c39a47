"""A worker is stopped past its lease and goes on later: by then another has the run, and it changes nothing.

Promise 4: one writer, in the log and in the world.
"""

import asyncio
import signal
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.drills.stage import Stage, alive_in, open_stage
from tests.eventually import eventually

pytestmark = [pytest.mark.slow, pytest.mark.needs("bubblewrap", "redis-server"), pytest.mark.timeout(300)]

SCRIPTS = """
name: ticking
match: Tick
turns:
  - blocks:
      - tool: Bash
        input: {command: "echo ticked >> ledger.txt; while :; do date +%s.%N >> ticks.txt; sleep 0.02; done"}
  - blocks: [{tool: Bash, input: {command: "echo acted >> ledger.txt; date +%s.%N >> acted.txt"}}]
  - blocks: [{text: Done.}]
---
name: speaking
match: Speak
turns:
  - faults: [{kind: hang, after_event: content_block_delta, seconds: 12, on_attempt: 1}]
    blocks: [{text: These are many words and they come in more than one piece as words of models do.}]
  - blocks: [{text: Here I am.}]
"""


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(tmp_path, SCRIPTS) as stage:
        yield stage


async def test_frozen_with_a_command_running_it_ticks_no_more_once_another_acts(stage: Stage) -> None:
    frozen = stage.worker
    async with stage.client() as (client, onlooker):
        await client.say(f"Tick {client.token}.")
        ticks = client.place / "ticks.txt"
        await eventually(ticks.exists, what="the first tick", seconds=60)
        assert alive_in(client.place) != []
        await stage.new_worker()
        frozen.send(signal.SIGSTOP)
        assert await client.over() == "completed"
        assert alive_in(client.place) == []
        audit = await stage.audit(client, onlooker)
        before = audit.events

        last = max(float(line) for line in ticks.read_text().split())
        acted = float((client.place / "acted.txt").read_text())
        taken = onlooker.of("run.started")[1]
        assert last < datetime.fromisoformat(taken["at"]).timestamp() < acted
        assert audit.no_effect_was_repeated(client.place / "ledger.txt") == {
            "ticked": "unknown",
            "acted": "ok",
        }

        frozen.send(signal.SIGCONT)
        await eventually(lambda: "the lease ran out" in frozen.said(), what="its awakening", seconds=30)
        await asyncio.sleep(2)
        await audit.read()
        assert audit.events == before
        assert alive_in(client.place) == []

        # It signs on anew, and is as good as any.
        await asyncio.to_thread(stage.worker.kill)
        await client.say("And again.")
        assert await client.over() == "completed"
        await stage.audit(client, onlooker)


async def test_frozen_in_the_middle_of_an_answer_its_words_reach_neither_log_nor_client(stage: Stage) -> None:
    frozen = stage.worker
    async with stage.client() as (client, onlooker):
        await client.say(f"Speak {client.token}.")
        await eventually(lambda: len(onlooker.deltas) > 0, what="the first words", seconds=60)
        frozen.send(signal.SIGSTOP)
        await stage.new_worker()
        assert await client.over() == "completed"
        audit = await stage.audit(client, onlooker)
        before = audit.events
        epochs = [e["data"]["epoch"] for e in audit.of("run.started")]

        frozen.send(signal.SIGCONT)
        await eventually(lambda: "the lease ran out" in frozen.said(), what="its awakening", seconds=30)
        await asyncio.sleep(2)
        await audit.read()
        assert audit.events == before
        lost, taken = audit.of("run.started")
        assert lost["data"]["epoch"] < taken["data"]["epoch"]
        late = [d for d in onlooker.deltas if d["after"] >= taken["seq"]]
        assert {d["epoch"] for d in late} <= {epochs[1]}
        assert [e["data"]["reason"] for e in audit.of("step.failed")] == ["worker_lost"]
