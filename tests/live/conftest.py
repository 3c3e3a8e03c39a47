"""Both buses over one set of tests; FLYNN_TEST_REDIS_URL names a Redis that is there (CI's service),
which loses all that it has."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest
from redis.asyncio import Redis

from flynn.live.bus import Bus
from flynn.live.memory import MemoryBus
from flynn.live.redis import RedisBus
from tests.live.redis_server import RedisServer, own_redis

# One after the other, since a Redis that is there is emptied for each.
REDIS = (pytest.mark.needs("redis-server"), pytest.mark.xdist_group("redis"))


async def emptied(url: str) -> str:
    """A Redis as if it were new."""
    client = Redis.from_url(url)
    try:
        await client.flushall()
    finally:
        await client.aclose()
    return url


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A running redis-server, the test's own."""
    with own_redis() as server:
        yield server


@pytest.fixture(
    params=[
        "memory",
        pytest.param("redis", marks=REDIS),
        pytest.param("redis, two processes", marks=REDIS),
    ],
)
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Bus, Bus]]:
    """A bus to publish on and one to listen on: the same, or two that meet in Redis."""
    async with AsyncExitStack() as stack:
        if request.param == "memory":
            bus = await stack.enter_async_context(MemoryBus())
            yield bus, bus
            return
        there = os.environ.get("FLYNN_TEST_REDIS_URL")
        url = await emptied(there) if there else request.getfixturevalue("redis_server").url
        one = await stack.enter_async_context(RedisBus(url))
        if request.param == "redis":
            yield one, one
        else:
            yield one, await stack.enter_async_context(RedisBus(url))
