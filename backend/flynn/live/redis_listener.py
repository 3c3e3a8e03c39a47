"""The subscriber's side of Redis: one connection, owned by one task, resubscribed whenever it broke."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from flynn.domain.content import Json
from flynn.telemetry.logging import get_logger

BEAT = 1.0
"""Seconds of silence after which Redis is asked whether it is still there."""

SILENCE = 2.5
"""Seconds without any answer after which the connection is given up."""

CONTROL = b"flynn:live"
"""A channel that is always subscribed to, so that the connection exists before anybody listens."""

_log = get_logger(__name__)


class Listener:
    """Listens to a changing set of channels. Calls `heard` with each message's payload, `connected` whenever
    the connection stands anew.

    `failure` says why it is not connected now, None when it is. Set `closing` before cancelling `run`.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        timeout: float,
        heard: Callable[[bytes], None],
        connected: Callable[[], None],
    ) -> None:
        self._redis = redis
        self._timeout = timeout
        self._heard = heard
        self._on_connected = connected
        self._wanted: Counter[bytes] = Counter()
        self._standing: set[bytes] = set()
        self._changed = asyncio.Event()
        self._stands = asyncio.Condition()
        self._connected = asyncio.Event()
        self.failure: str | None = "not connected yet"
        self.closing = False

    async def connected(self, timeout: float) -> None:
        """Wait up to `timeout` seconds for the connection; no error when it does not come."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._connected.wait(), timeout)

    @asynccontextmanager
    async def listening(self, channel: bytes) -> AsyncIterator[None]:
        """Listen to `channel` meanwhile.

        Waits for the server to confirm it, at most `timeout` seconds; not at all when it is away.
        """
        self._wanted[channel] += 1
        self._changed.set()
        try:
            if self.failure is None and channel not in self._standing:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stand(channel), self._timeout)
            yield
        finally:
            self._wanted[channel] -= 1
            if self._wanted[channel] <= 0:
                del self._wanted[channel]
                self._changed.set()

    async def _stand(self, channel: bytes) -> None:
        async with self._stands:
            await self._stands.wait_for(lambda: channel in self._standing or self.failure is not None)

    async def run(self) -> None:
        """Listen for ever."""
        pause = 0.05
        while not self.closing:
            pubsub = self._redis.pubsub()
            try:
                await self._listen(pubsub)
            except (RedisError, OSError) as error:
                if self.failure is None:
                    _log.warning("lost Redis", error=str(error) or type(error).__name__)
                    pause = 0.05
                self.failure = str(error) or type(error).__name__
            finally:
                self._standing.clear()
                self._connected.clear()
                with contextlib.suppress(RedisError, OSError):
                    await pubsub.aclose()  # type: ignore[no-untyped-call]  # unannotated in redis
            async with self._stands:
                self._stands.notify_all()
            await asyncio.sleep(pause)
            pause = min(2 * pause, 2.0)

    async def _listen(self, pubsub: PubSub) -> None:
        """Subscribe and read until the connection breaks or falls silent."""
        await pubsub.subscribe(CONTROL)
        asked: set[bytes] = {CONTROL}
        answered = time.monotonic()
        read: asyncio.Task[Json] | None = None
        change = asyncio.create_task(self._changed.wait())
        self._changed.set()
        try:
            while not self.closing:
                if self._changed.is_set():
                    self._changed.clear()
                    await self._ask(pubsub, asked)
                if change.done():
                    change = asyncio.create_task(self._changed.wait())
                if read is None:
                    read = asyncio.create_task(pubsub.get_message(timeout=BEAT))
                await asyncio.wait({read, change}, return_when=asyncio.FIRST_COMPLETED)
                if not read.done():
                    continue
                message, read = read.result(), None
                if message is not None:
                    answered = time.monotonic()
                    await self._take(message)
                elif time.monotonic() - answered > SILENCE:
                    raise TimeoutError(f"Redis has been silent for {SILENCE} seconds")
                else:
                    await pubsub.ping()
        finally:
            change.cancel()
            if read is not None:
                read.cancel()
                await asyncio.gather(read, return_exceptions=True)

    async def _ask(self, pubsub: PubSub, asked: set[bytes]) -> None:
        """Subscribe to what is newly wanted, and leave what is not wanted any more."""
        wanted = {CONTROL, *self._wanted}
        if new := wanted - asked:
            await pubsub.subscribe(*new)
        if old := asked - wanted:
            self._standing -= old
            await pubsub.unsubscribe(*old)
        asked.clear()
        asked.update(wanted)

    async def _take(self, message: Json) -> None:
        match message["type"]:
            case "message":
                try:
                    self._heard(message["data"])
                except (ValueError, KeyError, TypeError) as error:
                    _log.warning("a message over Redis cannot be read", error=str(error))
            case "subscribe":
                if message["channel"] == CONTROL:
                    if self.failure is not None:
                        _log.info("listening to Redis")
                    self.failure = None
                    self._connected.set()
                    self._on_connected()
                async with self._stands:
                    self._standing.add(message["channel"])
                    self._stands.notify_all()
            case _:
                pass
