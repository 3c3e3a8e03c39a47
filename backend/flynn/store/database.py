"""The door to Postgres: one engine, one pool, short transactions."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import QueuePool

CLOSE_SECONDS = 1.0
"""How long the goodbye to the server may take."""


def _dumps(value: Any) -> str:
    return orjson.dumps(value).decode()


class Database:
    """An engine on asyncpg. No connection is held across model, tool or socket waits."""

    def __init__(self, url: str, *, pool_size: int = 20, max_overflow: int = 10) -> None:
        self.url = url
        self.most = pool_size + max_overflow
        """Connections that may be in use at a time."""
        self.engine: AsyncEngine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=max_overflow,
            pool_pre_ping=True,
            pool_recycle=3600,
            pool_timeout=10,
            json_serializer=_dumps,
            json_deserializer=orjson.loads,
            connect_args={"server_settings": {"application_name": "flynn", "jit": "off"}, "timeout": 5},
        )
        self._autocommit = self.engine.execution_options(isolation_level="AUTOCOMMIT")

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A transaction: commits at the end, rolls back when the block raises."""
        async with self.engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def statement(self) -> AsyncIterator[AsyncConnection]:
        """A connection on which each statement is a transaction of its own: one round trip."""
        async with self._autocommit.connect() as connection:
            yield connection

    @property
    def in_use(self) -> int:
        """Connections that are out of the pool now."""
        pool = self.engine.pool
        return pool.checkedout() if isinstance(pool, QueuePool) else 0

    async def close(self) -> None:
        """Close every pooled connection; a server that does not answer is not waited for."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.engine.dispose()
