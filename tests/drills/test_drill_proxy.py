"""Three processes behind a real proxy with deploy/haproxy.cfg: WebSocket anywhere, polling with a cookie."""

import asyncio
import json
import os
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from flynn.simulator import SimulatorServer, parse_scenarios
from tests.conftest import ROOT
from tests.drills.fleet import Fleet, Member, free_port
from tests.drills.follower import Follower
from tests.drills.long_run import long_run
from tests.eventually import eventually
from tests.house import prepare
from tests.live.redis_server import RedisServer
from tests.postgres import TestDatabases

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("haproxy", "redis-server", "bubblewrap"),
    pytest.mark.asyncio(loop_scope="module"),
]

SCRIPT = f"""
name: long
loop: true
pacing: {{tokens_per_second: 60}}
turns:
{long_run(steps=8, words=20, seconds=0.5)}"""


@contextmanager
def proxy(place: Path, members: list[Member]) -> Iterator[str]:
    """HAProxy before three members; gives its URL."""
    port = free_port()
    addresses = {
        f"FLYNN_{number}": member.url.removeprefix("http://") for number, member in enumerate(members, 1)
    }
    with (place / "haproxy.log").open("wb") as log:
        process = subprocess.Popen(
            ["haproxy", "-db", "-f", str(ROOT / "deploy" / "haproxy.cfg")],
            env={**os.environ, **addresses, "FLYNN_BIND": f"127.0.0.1:{port}"},
            stdout=log,
            stderr=log,
        )
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


class Place:
    """Three servers, a worker, a Redis and the proxy."""

    def __init__(self, fleet: Fleet, servers: list[Member], redis: RedisServer, url: str) -> None:
        self.fleet, self.servers, self.redis, self.url = fleet, servers, redis, url
        self.key = servers[0].key

    def http(self, **more: Any) -> httpx2.AsyncClient:
        """A client of the proxy."""
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx2.AsyncClient(base_url=self.url, headers=headers, timeout=70, trust_env=False, **more)

    async def log(self, conversation: str) -> list[dict[str, Any]]:
        """All events of a conversation."""
        async with self.http() as http:
            found = await http.get(f"/api/v1/conversations/{conversation}/events", params={"limit": 500})
        items: list[dict[str, Any]] = found.json()["items"]
        return items

    async def conversation(self) -> str:
        """A conversation in a new workspace on the shared volume."""
        async with self.http() as http:
            name = f"w{len(list(self.fleet.shared.iterdir()))}"
            path = self.fleet.shared / name
            path.mkdir()
            made = await http.post("/api/v1/workspaces", json={"name": name, "path": str(path)})
            assert made.status_code == 201, made.text
            opened = await http.post("/api/v1/conversations", json={"workspace": name})
        assert opened.status_code == 201, opened.text
        return str(opened.json()["id"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    async with AsyncExitStack() as stack:
        directory = tmp_path_factory.mktemp("proxy")
        redis = RedisServer(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="flynn-redis-"))))
        redis.start()
        stack.callback(redis.stop)
        postgres = stack.enter_context(TestDatabases.shared().new(prepare))
        simulator = await stack.enter_async_context(SimulatorServer(parse_scenarios(SCRIPT)))
        fleet = await stack.enter_async_context(
            Fleet(
                directory,
                postgres.url,
                simulator.url,
                redis_url=redis.url,
                settings={"FLYNN_SOCKET_POLLING": "true"},
            )
        )
        names = ("one", "two", "three")
        servers = list(await asyncio.gather(*(fleet.serve(name) for name in names)))
        await fleet.work("worker")
        url = stack.enter_context(proxy(directory, servers))
        found = Place(fleet, servers, redis, url)

        async def up() -> bool:
            try:
                async with found.http() as http:
                    return (await http.get("/ready")).status_code == 200
            except httpx2.TransportError:
                return False

        await eventually(up, what="the proxy", seconds=30)
        yield found


async def instances(place: Place, conversation: str) -> int:
    """How many processes have somebody who watches the conversation."""
    redis = Redis.from_url(place.redis.url, protocol=2)
    try:
        return int(await redis.scard(f"flynn:present:{conversation}"))
    finally:
        await redis.aclose()


async def test_websocket_needs_no_stickiness_and_outlives_its_process(place: Place) -> None:
    """Six clients over three processes follow one run; one process is killed in the middle of it."""
    conversation = await place.conversation()
    followers = [Follower(place.url, place.key, conversation) for _ in range(6)]
    for follower in followers:
        await follower.connect()
    await eventually(
        lambda: every(instances(place, conversation), 3), what="a client at each process", seconds=10
    )
    await followers[0].say("begin")
    await followers[0].until("tool.finished", count=2)
    killed = place.servers[0]
    killed.kill()
    lost = [follower for follower in followers if await is_gone(follower)]
    assert 1 <= len(lost) < 6
    for follower in lost:
        await follower.connect()
        assert follower.sessions[-1]["resumed"] is True
        assert follower.sessions[-1]["session"] == follower.sessions[0]["session"]
    for follower in followers:
        await follower.until("run.completed", seconds=90)
    log = await place.log(conversation)
    for follower in followers:
        assert follower.holes == []
        assert follower.events == log
        await follower.close()


async def test_polling_works_with_the_cookie(place: Place) -> None:
    conversation = await place.conversation()
    followers = [Follower(place.url, place.key, conversation, "polling") for _ in range(4)]
    for follower in followers:
        await follower.connect()
    await followers[0].say("begin")
    for follower in followers:
        await follower.until("run.completed", seconds=90)
    log = await place.log(conversation)
    for follower in followers:
        assert follower.holes == []
        assert follower.events == log
        await follower.close()


async def test_polling_without_the_cookie_fails_in_words(place: Place) -> None:
    """Requests of one connection reach other processes, and are refused there; nothing hangs."""
    answers: list[httpx2.Response] = []
    begin = {"EIO": "4", "transport": "polling"}
    for _ in range(4):
        async with place.http() as http:
            opened = await http.get("/socket.io/", params=begin)
        assert opened.status_code == 200
        assert "FLYNN_PROCESS" in opened.headers["set-cookie"]
        query = {**begin, "sid": json.loads(opened.text[1:])["sid"]}
        for _ in range(3):
            async with place.http() as http:  # a new one, without the cookie
                answers.append(await http.post("/socket.io/", params=query, content="40"))
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses[400] >= 1, statuses
    assert set(statuses) <= {200, 400}, statuses
    for answer in answers:
        if answer.status_code == 400:
            assert "cookie" in answer.json()["detail"]


async def test_a_process_that_is_told_to_end_sends_its_clients_to_another(place: Place) -> None:
    conversation = await place.conversation()
    followers = [Follower(place.url, place.key, conversation) for _ in range(4)]
    for follower in followers:
        await follower.connect()
    await followers[0].say("begin")
    await followers[0].until("tool.finished", count=2)
    ending = place.servers[1]
    ending.send(signal.SIGTERM)
    lost = [follower for follower in followers if await is_gone(follower)]
    assert 1 <= len(lost) < 4
    for follower in lost:
        assert [problem["code"] for problem in follower.problems] == ["service-ends"]
        await follower.connect()
        assert follower.sessions[-1]["resumed"] is True
    assert await ending.ended() == 0
    for follower in followers:
        await follower.until("run.completed", seconds=90)
        assert follower.holes == []
        assert follower.events == await place.log(conversation)
        await follower.close()


async def is_gone(follower: Follower) -> bool:
    """Whether its connection has ended, within a moment."""
    try:
        await asyncio.wait_for(follower.gone.wait(), 3)
    except TimeoutError:
        return False
    return True


async def every(found: Any, count: int) -> bool:
    return int(await found) == count
