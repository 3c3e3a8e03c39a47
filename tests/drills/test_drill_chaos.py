"""Chaos: a hundred conversations over three workers, and every few seconds somebody dies by kill -9.

At the end the ledger: what was acknowledged against what is in the log, what was asked for against what was
done, and not one difference. The seed is printed; FLYNN_CHAOS_SEED takes one again (deaths then fall at the
same moments, though not into the same instructions).
"""

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.drills.audit import Audit
from tests.drills.nursery import Mortal
from tests.drills.onlooker import Onlooker
from tests.drills.stage import Client, Stage, alive_in, open_stage

pytestmark = [pytest.mark.slow, pytest.mark.needs("bubblewrap", "redis-server"), pytest.mark.timeout(600)]

CONVERSATIONS = 100
AT_ONCE = 24
WORKERS = 3
POISON = 3
"""Workers that may be lost under a run; then it fails, and says so."""

SCRIPTS = """
name: second
match: Second
match_in: latest_message
pacing: {first_token_ms: 100}
turns:
  - blocks:
      - {thinking: Once more.}
      - {tool: Bash, input: {command: "echo four >> ledger.txt"}}
  - blocks: [{text: Four.}]
---
name: third
match: Are you there
match_in: latest_message
turns: [{blocks: [{text: I am.}]}]
---
name: first
match: First
pacing: {first_token_ms: 100}
turns:
  - blocks:
      - {thinking: I look first.}
      - {tool: Read, input: {file_path: notes.txt}}
      - {tool: Read, input: {file_path: config.txt}}
  - blocks:
      - {text: Three commands.}
      - {tool: Bash, input: {command: "echo one >> ledger.txt; sleep 1"}}
      - {tool: Bash, input: {command: "echo two >> ledger.txt"}}
      - {tool: Bash, input: {command: "echo three >> ledger.txt"}}
  - blocks: [{tool: Write, input: {file_path: report.txt, content: "Done.\\n"}}]
  - blocks: [{text: All done.}]
"""


@dataclass
class Ledger:
    """What clients were told, and what they watched."""

    acknowledged: Counter[str] = field(default_factory=Counter)
    talks: list[tuple[Client, Onlooker]] = field(default_factory=list)
    deaths: Counter[str] = field(default_factory=Counter)
    failed: int = 0


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(tmp_path, SCRIPTS, FLYNN_CONCURRENCY="8") as stage:
        yield stage


async def converse(stage: Stage, ledger: Ledger, turns: asyncio.Semaphore) -> None:
    """One conversation: two messages, and a third where a run was given up."""
    async with turns:
        client = await stage.newcomer()
        made = await client.ask("POST", "/api/v1/conversations", json={"workspace": client.token})
        assert made.status_code == 201, made.text
        client.conversation_id = made.json()["id"]
        onlooker = await stage.watching(client).__aenter__()
        ledger.talks.append((client, onlooker))
        for words in (f"First {client.token}.", "Second."):
            said = await client.say(words)
            ledger.acknowledged[said["message_id"]] += 1
            if await client.over(seconds=240) == "failed":
                ledger.failed += 1
        if not await answered(client):
            said = await client.say("Are you there?")
            ledger.acknowledged[said["message_id"]] += 1
            assert await client.over(seconds=240) == "completed"


async def answered(client: Client) -> bool:
    """Whether the latest run came to a good end."""
    view = await client.ask("GET", f"/api/v1/conversations/{client.conversation_id}")
    return bool(view.json()["run"]["state"] == "completed")


async def kill(stage: Stage, workers: list[Mortal], ledger: Ledger, chance: random.Random) -> None:
    """Every few seconds a worker dies, sometimes the server, and another one takes its place."""
    while True:
        await asyncio.sleep(chance.uniform(1.0, 4.0))
        if chance.random() < 0.15:
            await asyncio.to_thread(stage.server.kill)
            ledger.deaths["server"] += 1
            await stage.new_server()
        else:
            place = chance.randrange(WORKERS)
            await asyncio.to_thread(workers[place].kill)
            ledger.deaths["worker"] += 1
            await stage.new_worker()
            workers[place] = stage.worker


def lost_for_good(audit: Audit) -> list[str]:
    """The runs that were given up; each had lost as many workers as a run may."""
    given_up = []
    for e in audit.of("run.failed"):
        assert e["data"]["code"] == "worker-lost", e["data"]
        starts = [s for s in audit.of("run.started") if s["run_id"] == e["run_id"]]
        assert len(starts) > POISON
        given_up.append(e["run_id"])
    return given_up


async def test_a_hundred_conversations_and_nothing_lost_and_nothing_twice(stage: Stage) -> None:
    seed = int(os.environ.get("FLYNN_CHAOS_SEED") or random.SystemRandom().randrange(2**32))
    print(f"\nFLYNN_CHAOS_SEED={seed}")
    chance, ledger = random.Random(seed), Ledger()
    workers = [stage.worker]
    while len(workers) < WORKERS:
        await stage.new_worker()
        workers.append(stage.worker)
    began = asyncio.get_running_loop().time()
    turns = asyncio.Semaphore(AT_ONCE)
    async with asyncio.TaskGroup() as group:
        killing = group.create_task(kill(stage, workers, ledger, chance))
        await asyncio.gather(*(converse(stage, ledger, turns) for _ in range(CONVERSATIONS)))
        killing.cancel()
    if not stage.server.alive:
        await stage.new_server()
    if not any(worker.alive for worker in workers):
        await stage.new_worker()
    seconds = asyncio.get_running_loop().time() - began

    found: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    runs: Counter[str] = Counter()
    lines = lost = 0
    for client, onlooker in ledger.talks:
        try:
            audit = await stage.audit(client, onlooker)
        finally:
            await onlooker.__aexit__(None)
        found.update(e["data"]["message_id"] for e in audit.of("message.sent"))
        runs.update(await audit.every_run_ended_once())
        audit.every_message_was_heard_once()
        lost_for_good(audit)
        outcomes.update(audit.no_effect_was_repeated(client.place / "ledger.txt").values())
        ledger_file = client.place / "ledger.txt"
        lines += len(ledger_file.read_text().split()) if ledger_file.exists() else 0
        lost += len(audit.of("run.started")) - len(runs_of(audit))
    assert alive_in(stage.nursery.shared) == []
    print(f"{seconds:.0f} s, deaths {dict(ledger.deaths)}, runs taken over {lost}")
    print(f"acknowledged {ledger.acknowledged.total()}, found {found.total()}, runs {dict(runs)}")
    print(f"commands {dict(outcomes)}, lines {lines}")
    assert found == ledger.acknowledged
    assert max(found.values()) == 1
    assert len(ledger.talks) == CONVERSATIONS
    assert runs["failed"] == ledger.failed
    assert outcomes["ok"] <= lines <= outcomes.total()
    assert ledger.deaths["worker"] > 0
    assert lost > 0, "nobody died while at work"


def runs_of(audit: Audit) -> set[Any]:
    """The runs that were ever started."""
    return {e["run_id"] for e in audit.of("run.started")}
