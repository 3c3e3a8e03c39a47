"""Postgres is killed again and again under load, and another time has no connections left.

What was acknowledged is found, once; every run comes to one end; seq has no gaps; nobody helps. The first
drill takes DRILL_SECONDS of kills (an environment variable; two minutes without).
"""

import asyncio
import itertools
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx2
import pytest

from flynn.simulator import SimulatorServer, parse_scenarios
from flynn.store.embedded import EmbeddedPostgres
from tests.drills.fleet import Fleet
from tests.eventually import eventually
from tests.house import prepare
from tests.postgres import TestDatabase, TestDatabases

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SECONDS = float(os.environ.get("DRILL_SECONDS", "120"))
CHATS = 4
TERMINAL = {"run.completed", "run.failed", "run.cancelled"}

SCRIPT = """
name: task
match: play-task
turns:
  - blocks: [{tool: Bash, input: {command: "echo x >> acted.txt"}}]
  - blocks: [{text: Done.}]
---
name: chat
loop: true
turns: [{blocks: [{text: "I hear you, and say a few words more than one."}]}]
"""


@dataclass
class Load:
    """Clients that try again until they are answered, and remember what was acknowledged."""

    client: httpx2.AsyncClient
    over: asyncio.Event = field(default_factory=asyncio.Event)
    said: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    """Message ids and seqs, by conversation."""
    tasks: dict[str, str] = field(default_factory=dict)
    """Conversations of tasks, by task."""
    answers: Counter[int] = field(default_factory=Counter)

    async def call(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        """The answer, however often it takes; 503 says when to come back, and nothing else may be wrong."""
        for _ in itertools.count():
            try:
                answer = await self.client.request(method, f"/api/v1{path}", **more)
            except httpx2.TransportError:
                await asyncio.sleep(0.2)
                continue
            self.answers[answer.status_code] += 1
            if answer.status_code == 503 or (answer.status_code == 409 and "being taken" in answer.text):
                assert "retry-after" in answer.headers
                await asyncio.sleep(0.5)
                continue
            assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
            found: dict[str, Any] = answer.json()
            return found
        raise AssertionError("never")

    async def chat(self, workspace: str) -> None:
        """Say something, wait until it is answered, and say something again."""
        conversation = (await self.call("POST", "/conversations", json={"workspace": workspace}))["id"]
        said = self.said[conversation] = []
        while not self.over.is_set():
            words = {"text": "Hello?", "client_message_id": str(uuid4())}
            done = await self.call("POST", f"/conversations/{conversation}/messages", json=words)
            said.append((done["message_id"], done["seq"]))
            for _ in range(100):
                view = await self.call("GET", f"/conversations/{conversation}")
                if self.over.is_set() or view["run"]["state"] in ("completed", "failed", "cancelled"):
                    break
                await asyncio.sleep(0.1)

    async def delegate(self, workspace: str) -> None:
        """Delegate tasks, one every second."""
        while not self.over.is_set():
            order = {"instructions": "play-task", "workspace": workspace}
            key = {"Idempotency-Key": str(uuid4())}
            task = await self.call("POST", "/tasks", json=order, headers=key)
            assert task["id"] not in self.tasks
            self.tasks[task["id"]] = task["conversation_id"]
            await asyncio.sleep(1)

    async def events(self, conversation: str) -> list[dict[str, Any]]:
        """The whole log of a conversation."""
        found: list[dict[str, Any]] = []
        after = 0
        while True:
            page = await self.call(
                "GET", f"/conversations/{conversation}/events", params={"after_seq": after, "limit": 500}
            )
            found += page["items"]
            if page["next"] is None:
                return found
            after = page["next"]


async def kill_now_and_then(postgres: EmbeddedPostgres, over: asyncio.Event) -> int:
    """Kill the server with SIGKILL every 5 to 20 seconds; how often."""
    chance, kills = random.Random(4), 0
    loop = asyncio.get_running_loop()
    end = loop.time() + SECONDS
    while loop.time() < end:
        await asyncio.sleep(min(chance.uniform(5, 20), SECONDS / 3))
        if postgres.pid is not None:
            os.kill(postgres.pid, signal.SIGKILL)
            kills += 1
            await eventually(lambda: postgres.state == "restarting", what="the end of the server")
            await eventually(lambda: postgres.state == "running", what="a new server", seconds=60)
    over.set()
    return kills


@pytest.mark.needs("bubblewrap")
async def test_what_was_acknowledged_is_found_however_often_the_server_is_killed(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        postgres = await stack.enter_async_context(EmbeddedPostgres(tmp_path / "postgres", fsync=True))
        await prepare(postgres.url)
        simulator = await stack.enter_async_context(SimulatorServer(parse_scenarios(SCRIPT)))
        fleet = await stack.enter_async_context(Fleet(tmp_path, postgres.url, simulator.url))
        server = await fleet.serve("server", worker=True)
        await fleet.work("worker")
        client = await stack.enter_async_context(server.http())
        load = Load(client)
        for name in [*(f"chat{n}" for n in range(CHATS)), "tasks"]:
            place = fleet.shared / name
            await asyncio.to_thread(place.mkdir)
            await load.call("POST", "/workspaces", json={"name": name, "path": str(place)})
        async with asyncio.TaskGroup() as group:
            for n in range(CHATS):
                group.create_task(load.chat(f"chat{n}"))
            group.create_task(load.delegate("tasks"))
            killing = group.create_task(kill_now_and_then(postgres, load.over))
        assert killing.result() >= min(SECONDS / 30, 2)

        async def quiet() -> bool:
            totals = (await load.call("GET", "/queue"))["totals"]
            return bool(totals["queued"] + totals["running"] + totals["waiting"] == 0)

        await eventually(quiet, what="the end of every run", seconds=180)
        acted = await asyncio.to_thread((fleet.shared / "tasks" / "acted.txt").read_text)
        await check(load, acted.count("x\n"))
        for member in fleet.members:
            assert member.alive, member.said()[-3000:]
            assert "met a defect" not in member.said()
            assert "the run broke" not in member.said()


async def check(load: Load, acted: int) -> None:
    """The ledger: what was acknowledged against what is there."""
    assert sum(map(len, load.said.values())) > CHATS
    assert load.tasks
    outcomes: Counter[str] = Counter()
    for conversation in [*load.said, *load.tasks.values()]:
        log = await load.events(conversation)
        assert [e["seq"] for e in log] == list(range(1, len(log) + 1))
        ends = Counter(e["run_id"] for e in log if e["type"] in TERMINAL)
        assert set(ends.values()) == {1}
        assert set(ends) == {e["run_id"] for e in log if e["run_id"] is not None}
        assert all(e["type"] == "run.completed" for e in log if e["type"] in TERMINAL), log[-1]
        sent = {e["data"]["message_id"]: e["seq"] for e in log if e["type"] == "message.sent"}
        if conversation in load.said:
            assert sent == dict(load.said[conversation])
        else:
            assert len(sent) == 1
        outcomes.update(e["data"]["outcome"] for e in log if e["type"] == "tool.finished")
    assert set(outcomes) <= {"ok", "unknown"}
    assert outcomes["ok"] <= acted <= outcomes["ok"] + outcomes["unknown"]
    assert sum(outcomes.values()) == len(load.tasks)


@pytest.fixture
async def postgres() -> AsyncIterator[TestDatabase]:
    with TestDatabases.shared().new(prepare) as found:
        yield found


async def test_without_connections_to_spare_it_says_come_back_and_recovers(
    tmp_path: Path, postgres: TestDatabase
) -> None:
    """200 requests at once on one process, whose conversation somebody else holds locked for a while."""
    requests = 200
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(SimulatorServer(parse_scenarios(SCRIPT)))
        fleet = await stack.enter_async_context(Fleet(tmp_path, postgres.url, simulator.url))
        server = await fleet.serve("server")
        limits = httpx2.Limits(max_connections=requests + 10)
        client = await stack.enter_async_context(server.http(limits=limits, timeout=60))
        probe = await asyncpg.connect(postgres.dsn)
        stack.push_async_callback(probe.close)
        locked = await asyncpg.connect(postgres.dsn)
        stack.push_async_callback(locked.close)
        place = fleet.shared / "w"
        await asyncio.to_thread(place.mkdir)
        made = await client.post("/api/v1/workspaces", json={"name": "w", "path": str(place)})
        assert made.status_code == 201, made.text
        conversation = (await client.post("/api/v1/conversations", json={"workspace": "w"})).json()["id"]
        path = f"/api/v1/conversations/{conversation}"

        async def send(number: int) -> httpx2.Response:
            words = {"text": f"number {number}", "client_message_id": str(number)}
            return await client.post(f"{path}/messages", json=words)

        async def backends() -> int:
            query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            return int(await probe.fetchval(query))

        lock = locked.transaction()
        await lock.start()
        await locked.execute("SELECT 1 FROM conversations WHERE id = $1 FOR UPDATE", conversation)
        sending = [asyncio.create_task(send(n)) for n in range(requests)]
        most = 0
        for _ in range(28):
            await asyncio.sleep(0.5)
            most = max(most, await backends())
        assert 30 <= most < 100
        refused = [t.result() for t in sending if t.done()]
        assert len(refused) > requests / 2  # whoever found no connection was told so, and did not hang
        await lock.rollback()

        async with asyncio.timeout(10):  # the promise: it recovers within ten seconds
            view = await client.get(path)
        assert view.status_code == 200
        answers = await asyncio.gather(*sending)
        assert {a.status_code for a in answers} == {202, 503}
        assert {a.status_code for a in refused} == {503}
        for answer in answers:
            if answer.status_code == 503:
                assert answer.headers["retry-after"]
                assert answer.json()["code"] == "unavailable"
        taken = {a.json()["message_id"]: a.json()["seq"] for a in answers if a.status_code == 202}
        log = (await client.get(f"{path}/events", params={"limit": 500})).json()["items"]
        assert {e["data"]["message_id"]: e["seq"] for e in log if e["type"] == "message.sent"} == taken
        assert [e["seq"] for e in log] == list(range(1, len(log) + 1))
        again = await asyncio.gather(*(send(n) for n in range(0, requests, 20)))
        assert {a.status_code for a in again} == {202}
