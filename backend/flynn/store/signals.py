"""Signals: tells workers at once that an input was committed to a conversation they hold.

Postgres' NOTIFY is the fast path; a look at the marks of the watched conversations once a second is the
sure one. A lost connection is made again, and everything watched is looked at then.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from sqlalchemy import text

from flynn.store.database import Database
from flynn.store.outage import OUTAGES
from flynn.store.runs import INPUT_CHANNEL

_MARKS = text("SELECT id, head FROM conversations WHERE id = ANY(:ids)")


@dataclass(frozen=True, slots=True)
class _Watch:
    seq: Callable[[], int]
    catch_up: Callable[[], Awaitable[None]]


class Signals:
    """Watches conversations for inputs. Run `run` beside the workers of a process."""

    def __init__(self, database: Database, dsn: str, *, poll_seconds: float = 1.0) -> None:
        self._database = database
        self._dsn = dsn
        self._poll = poll_seconds
        self._watches: dict[UUID, _Watch] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @contextmanager
    def watch(
        self, conversation_id: UUID, *, seq: Callable[[], int], catch_up: Callable[[], Awaitable[None]]
    ) -> Iterator[None]:
        """Call `catch_up` whenever the conversation may have more events than `seq()`."""
        watch = self._watches[conversation_id] = _Watch(seq, catch_up)
        try:
            yield
        finally:
            # Another worker of this process may watch the conversation by now.
            if self._watches.get(conversation_id) is watch:
                del self._watches[conversation_id]

    async def run(self) -> None:
        """Listen and look until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            group.create_task(self._look())

    async def _listen(self) -> None:
        while True:
            with contextlib.suppress(*OUTAGES):
                connection = await asyncpg.connect(self._dsn, timeout=5)
                await self._hear(connection)
            await asyncio.sleep(0.5)

    async def _hear(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        gone = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _: gone.set())
            await connection.add_listener(INPUT_CHANNEL, self._heard)
            await gone.wait()
        finally:
            connection.terminate()

    def _heard(self, *notification: object) -> None:
        with contextlib.suppress(ValueError):
            self._call(UUID(str(notification[-1])))

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(self._poll)
            if not self._watches:
                continue
            with contextlib.suppress(*OUTAGES):
                async with self._database.statement() as connection:
                    rows = (await connection.execute(_MARKS, {"ids": list(self._watches)})).all()
                for row in rows:
                    watch = self._watches.get(row.id)
                    if watch and watch.seq() < row.head:
                        self._call(row.id)

    def _call(self, conversation_id: UUID) -> None:
        watch = self._watches.get(conversation_id)
        if watch is None:
            return
        task = asyncio.create_task(self._caught(watch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _caught(self, watch: _Watch) -> None:
        # A database that is away now is looked at again a second later.
        with contextlib.suppress(*OUTAGES):
            await watch.catch_up()
