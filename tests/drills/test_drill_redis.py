"""Redis stopped, hung and emptied while runs go on: work goes on, and clients catch up from the log."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from tests.drills.fleet import Member
from tests.drills.follower import Follower
from tests.drills.long_run import long_run
from tests.drills.place import Place, open_fleet
from tests.eventually import eventually
from tests.live.redis_server import RedisServer, own_redis

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.needs("redis-server", "bubblewrap"),
    pytest.mark.asyncio(loop_scope="module"),
]

SCRIPT = f"""
name: long
loop: true
pacing: {{tokens_per_second: 60}}
turns:
{long_run(steps=8, words=20, seconds=0.5)}"""


class Pair(Place):
    """Two servers, a worker and a Redis of their own."""

    redis: RedisServer

    async def followed(self) -> tuple[str, list[Follower]]:
        """A conversation, and a follower of it at each server."""
        conversation = await self.conversation()
        followers = [Follower(server.url, server.key, conversation) for server in self.servers]
        for follower in followers:
            await follower.connect()
        return conversation, followers

    async def all_say(self, state: str) -> None:
        """Wait until both servers say of their live part that it is so, and that they are ready."""
        for server in self.servers:

            async def says(server: Member = server) -> bool:
                async with server.http() as http:
                    answer = await http.get("/ready")
                assert answer.status_code == 200, answer.text
                [part] = [part for part in answer.json()["parts"] if part["name"] == "live"]
                return bool(part["state"] == state)

            await eventually(says, what=f"{server.name}: live is {state}", seconds=30)

    async def all_hold_the_log(self, conversation: str, followers: list[Follower]) -> None:
        """Every follower gets to the end of the run, and has exactly what is in the log."""
        for follower in followers:
            await follower.until("run.completed", seconds=90)
        log = await self.log(conversation)
        for follower in followers:
            assert follower.holes == []
            assert follower.events == log
            await follower.close()

    async def words_travel_again(self) -> None:
        """A run's words reach a follower at each server, which the log would not bring."""
        conversation, followers = await self.followed()
        await followers[0].say("again")
        for follower in followers:
            await follower.until_words(5)
        await self.all_hold_the_log(conversation, followers)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    directory = tmp_path_factory.mktemp("redis")
    with own_redis() as redis:
        async with open_fleet(directory, SCRIPT, redis_url=redis.url) as fleet:
            servers = list(await asyncio.gather(fleet.serve("one"), fleet.serve("two")))
            await fleet.work("worker")
            async with servers[0].http() as http:
                pair = Pair(fleet, servers, http)
                pair.redis = redis
                yield pair


async def test_redis_is_killed_in_the_middle_of_a_run(place: Pair) -> None:
    conversation, followers = await place.followed()
    await followers[0].say("begin")
    await followers[1].until("tool.finished", count=2)
    place.redis.kill()
    await place.all_say("degraded")
    await place.all_hold_the_log(conversation, followers)
    place.redis.start()
    await place.all_say("ok")
    await place.words_travel_again()


async def test_redis_hangs_in_the_middle_of_a_run(place: Pair) -> None:
    conversation, followers = await place.followed()
    await followers[0].say("begin")
    await followers[1].until("tool.finished", count=2)
    place.redis.freeze()
    try:
        await place.all_say("degraded")
        late = Follower(place.servers[0].url, place.servers[0].key, conversation)
        await late.connect()
        await place.all_hold_the_log(conversation, [*followers, late])
    finally:
        place.redis.thaw()
    await place.all_say("ok")
    await place.words_travel_again()


async def test_redis_is_emptied_in_the_middle_of_a_run(place: Pair) -> None:
    conversation, followers = await place.followed()
    await followers[0].say("begin")
    await followers[1].until("tool.finished", count=2)
    redis = Redis.from_url(place.redis.url, protocol=2)
    for _ in range(5):
        await redis.flushall()
        await asyncio.sleep(0.3)
    await redis.aclose()
    late = Follower(place.servers[1].url, place.servers[1].key, conversation)
    await late.connect()
    await place.all_say("ok")
    await place.all_hold_the_log(conversation, [*followers, late])


async def test_a_lost_publication_that_nothing_follows_is_found_all_the_same(place: Pair) -> None:
    """The last event is published while Redis is dead, and nothing after it: only the log tells of it."""
    conversation, followers = await place.followed()
    await followers[0].say("begin")
    await followers[1].until("tool.finished", count=8)
    place.redis.kill()
    await place.all_hold_the_log(conversation, followers)
    log = await place.log(conversation)
    assert followers[0].events[-1] == log[-1]
    place.redis.start()
    await place.all_say("ok")
    for follower in followers:
        assert follower.seqs == [event["seq"] for event in log]
