"""Both buses over one set of tests; FLYNN_TEST_REDIS_URL names a Redis that is there (CI's service)."""

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from flynn.live.bus import Bus
from flynn.live.memory import MemoryBus
from flynn.live.redis import RedisBus
from tests.live.redis_server import RedisServer


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A running redis-server, the test's own."""
    with tempfile.TemporaryDirectory(prefix="flynn-redis-") as directory:
        server = RedisServer(Path(directory))
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(
    params=[
        "memory",
        pytest.param("redis", marks=pytest.mark.needs("redis-server")),
        pytest.param("redis, two processes", marks=pytest.mark.needs("redis-server")),
    ],
)
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Bus, Bus]]:
    """A bus to publish on and one to listen on: the same, or two that meet in Redis."""
    async with AsyncExitStack() as stack:
        if request.param == "memory":
            bus = await stack.enter_async_context(MemoryBus())
            yield bus, bus
            return
        url = os.environ.get("FLYNN_TEST_REDIS_URL") or request.getfixturevalue("redis_server").url
        one = await stack.enter_async_context(RedisBus(url))
        if request.param == "redis":
            yield one, one
        else:
            yield one, await stack.enter_async_context(RedisBus(url))
