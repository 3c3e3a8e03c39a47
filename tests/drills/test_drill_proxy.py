"""Three processes behind a real proxy with deploy/haproxy.cfg: WebSocket anywhere, polling with a cookie."""

import asyncio
import json
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from tests.drills.follower import Follower
from tests.drills.front import Front, proxy
from tests.drills.long_run import long_run
from tests.drills.place import open_fleet
from tests.eventually import eventually
from tests.live.redis_server import own_redis

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.needs("haproxy", "redis-server", "bubblewrap"),
    pytest.mark.asyncio(loop_scope="module"),
]

SCRIPT = f"""
name: long
loop: true
pacing: {{tokens_per_second: 60}}
turns:
{long_run(steps=8, words=20, seconds=0.5)}"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Front]:
    directory = tmp_path_factory.mktemp("proxy")
    async with AsyncExitStack() as stack:
        redis = stack.enter_context(own_redis())
        fleet = await stack.enter_async_context(
            open_fleet(directory, SCRIPT, redis_url=redis.url, FLYNN_SOCKET_POLLING="true")
        )
        names = ("one", "two", "three")
        servers = list(await asyncio.gather(*(fleet.serve(name) for name in names)))
        await fleet.work("worker")
        found = Front(fleet, servers, await stack.enter_async_context(servers[2].http()))
        found.redis, found.url = redis, stack.enter_context(proxy(directory, servers))
        await found.open()
        yield found


async def instances(place: Front, conversation: str) -> int:
    """How many processes have somebody who watches the conversation."""
    redis = Redis.from_url(place.redis.url, protocol=2)
    try:
        return int(await redis.scard(f"flynn:present:{conversation}"))
    finally:
        await redis.aclose()


async def test_websocket_needs_no_stickiness_and_outlives_its_process(place: Front) -> None:
    """Six clients over three processes follow one run; one process is killed in the middle of it."""
    conversation = await place.conversation()
    followers = [Follower(place.url, place.key, conversation) for _ in range(6)]
    for follower in followers:
        await follower.connect()
    await eventually(
        lambda: every(instances(place, conversation), 3), what="a client at each process", seconds=60
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


async def test_polling_works_with_the_cookie(place: Front) -> None:
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


async def test_polling_without_the_cookie_fails_in_words(place: Front) -> None:
    """Requests of one connection reach other processes, and are refused there; nothing hangs."""
    answers: list[httpx2.Response] = []
    begin = {"EIO": "4", "transport": "polling"}
    for _ in range(4):
        async with place.asking() as http:
            opened = await http.get("/socket.io/", params=begin)
        assert opened.status_code == 200
        assert "FLYNN_PROCESS" in opened.headers["set-cookie"]
        query = {**begin, "sid": json.loads(opened.text[1:])["sid"]}
        for _ in range(3):
            async with place.asking() as http:  # a new one, without the cookie
                answers.append(await http.post("/socket.io/", params=query, content="40"))
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses[400] >= 1, statuses
    assert set(statuses) <= {200, 400}, statuses
    for answer in answers:
        if answer.status_code == 400:
            assert "cookie" in answer.json()["detail"]


async def test_a_process_that_is_told_to_end_sends_its_clients_to_another(place: Front) -> None:
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
