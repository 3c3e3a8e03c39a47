"""The served doors: one service a test, and one a module for tests that leave nothing behind."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.api.served import Served, serve
from tests.live.redis_server import RedisServer, own_redis


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """The doors, served over real parts."""
    async with serve(tmp_path) as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """The same, once a module."""
    async with serve(tmp_path_factory.mktemp("shared"), origins=["https://team.example"]) as found:
        yield found


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A running redis-server, the test's own."""
    with own_redis() as server:
        yield server
