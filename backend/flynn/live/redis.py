"""The bus over Redis: what one process publishes, all of them hear.

A process's own listeners are served directly, so they notice nothing when Redis is gone or hangs; what
other processes miss meanwhile they find in the log. Publishing is a bounded queue that one task drains;
one other task owns the subscriber's connection. Both reconnect for ever.

Keys and channels (RESP2, works from Redis 5 on): channel `<prefix>:live:<conversation>` carries JSON
`[origin, envelope | null, delta | null]`, or `[origin, null, null, conversation]` when somebody came or
left (see flynn.live.redis_presence); list `<prefix>:partial:<conversation>` the deltas of the
present step; string `<prefix>:session:<id>` a session's state; string
`<prefix>:claim:<name>` who acts for all for a while.
"""

import asyncio
import contextlib
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Self
from uuid import UUID

import orjson
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from flynn.domain.content import Json
from flynn.domain.delta import Delta
from flynn.domain.readiness import Part
from flynn.live.bus import SUBSCRIPTION_LIMIT
from flynn.live.coalescer import Coalescer
from flynn.live.memory import MemoryBus
from flynn.live.partial import Partial
from flynn.live.presence import Person, Present
from flynn.live.redis_listener import Listener
from flynn.live.redis_presence import TTL, RedisPresence
from flynn.live.subscription import Envelope, Subscription
from flynn.telemetry.logging import get_logger

TIMEOUT = 0.5
"""Seconds for a connection, and for an answer."""

QUEUE = 10_000
"""Publications that may wait for Redis; beyond it the oldest go."""

BATCH = 200
"""Publications sent in one round trip."""

PARTIAL_TTL = 900
"""Seconds after which the words so far of a silent stream are forgotten."""

PARTIAL_PIECES = 256
"""Appended deltas after which a partial is written anew as one delta a block."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Publication:
    """One envelope or delta on its way, with what it does to the conversation's partial."""

    conversation_id: UUID
    envelope: Envelope | None = None
    delta: Delta | None = None
    rewrite: list[Delta] | None = None


@dataclass(slots=True)
class _Streaming:
    """What this process has written of a conversation's partial."""

    partial: Partial
    pieces: int = 0


class RedisBus:
    """A Bus (see flynn.live.bus) for several processes. `url` is a redis://, rediss:// or unix:// URL.

    Entering it does not fail when Redis is away: it starts degraded and connects when it can.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "flynn",
        timeout: float = TIMEOUT,
        presence_ttl: float = TTL,
        lost: Callable[[int], None] = lambda _count: None,
    ) -> None:
        """`lost` is told how many publications will not reach Redis."""
        self._lost = lost
        self._sending = 0
        self._local = MemoryBus()
        self._coalescer = Coalescer(self._send_delta)
        self._origin = secrets.token_hex(8)
        self._prefix = prefix
        self._redis: Redis = Redis.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            driver_info=None,
        )
        self._listener = Listener(
            self._redis, timeout=timeout, heard=self._heard, connected=self._rewrite_partials
        )
        self._presence = RedisPresence(
            self._redis,
            prefix=prefix,
            origin=self._origin,
            tell=self._local.tell,
            failed=self._failed,
            ttl=presence_ttl,
        )
        self._streaming: dict[UUID, _Streaming] = {}
        self._queue: deque[_Publication] = deque(maxlen=QUEUE)
        self._news = asyncio.Event()
        self._failure: str | None = None
        self._retry_at = 0.0
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False

    async def __aenter__(self) -> Self:
        self._tasks = [
            asyncio.create_task(self._drain(), name="live: publish to Redis"),
            asyncio.create_task(self._listener.run(), name="live: listen to Redis"),
            asyncio.create_task(self._presence.run(), name="live: say and read who is there"),
        ]
        await self._listener.connected(TIMEOUT)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._coalescer.close()
        if self._queue and self._failure is None:
            with contextlib.suppress(RedisError, OSError):
                await self._send_batch()
        # A cancellation that meets the end of a read is lost in the client, hence the flags.
        self._closing = True
        self._listener.closing = True
        self._presence.close()
        for task in self._tasks:
            task.cancel()
        self._news.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._failure is None:
            with contextlib.suppress(RedisError, OSError):
                await self._presence.leave()
        await self._local.__aexit__(*exc)
        with contextlib.suppress(RedisError, OSError):
            await self._redis.aclose()

    def publish(self, conversation_id: UUID, envelope: Envelope) -> None:
        """See Bus.publish."""
        self._coalescer.flush(conversation_id)
        self._local.publish(conversation_id, envelope)
        rewrite = None
        streaming = self._streaming.get(conversation_id)
        if streaming is not None and streaming.partial.note(envelope):
            rewrite, streaming.pieces = streaming.partial.deltas(), 0
            if not rewrite:
                del self._streaming[conversation_id]
        self._enqueue(_Publication(conversation_id, envelope=envelope, rewrite=rewrite))

    def publish_delta(self, delta: Delta) -> None:
        """See Bus.publish_delta."""
        self._coalescer.add(delta)

    @asynccontextmanager
    async def subscribe(
        self, conversation_id: UUID, *, limit: int = SUBSCRIPTION_LIMIT
    ) -> AsyncIterator[Subscription]:
        """See Bus.subscribe."""
        async with (
            self._local.subscribe(conversation_id, limit=limit) as subscription,
            self._listener.listening(self._channel(conversation_id)),
        ):
            yield subscription

    async def partial(self, conversation_id: UUID) -> list[Delta]:
        """See Bus.partial."""
        streaming = self._streaming.get(conversation_id)
        if streaming is not None:
            return streaming.partial.deltas()
        if not self._reachable():
            return []
        try:
            pieces = await self._redis.lrange(self._key("partial", conversation_id), 0, -1)
        except (RedisError, OSError) as error:
            self._failed(error)
            return []
        partial = Partial()
        for piece in pieces:
            partial.add(Delta.model_validate_json(piece))
        return partial.deltas()

    def attend(self, conversation_id: UUID, person: Person) -> AbstractContextManager[None]:
        """See Bus.attend."""
        return self._presence.attendance.attend(conversation_id, person)

    async def present(self, conversation_id: UUID) -> Present:
        """See Bus.present."""
        return await self._presence.present(conversation_id, reachable=self._reachable())

    async def save_session(self, session_id: str, state: dict[str, Json], ttl: float) -> None:
        """See Bus.save_session. A copy stays in this process, for when Redis is away or was emptied."""
        await self._local.save_session(session_id, state, ttl)
        if not self._reachable():
            return
        try:
            await self._redis.set(self._key("session", session_id), orjson.dumps(state), px=int(ttl * 1000))
        except (RedisError, OSError) as error:
            self._failed(error)

    async def load_session(self, session_id: str) -> dict[str, Json] | None:
        """See Bus.load_session."""
        saved: bytes | str | None = None
        if self._reachable():
            try:
                saved = await self._redis.get(self._key("session", session_id))
            except (RedisError, OSError) as error:
                self._failed(error)
        if saved is None:
            return await self._local.load_session(session_id)
        state: dict[str, Json] = orjson.loads(saved)
        return state

    async def claim(self, name: str, seconds: float) -> bool:
        """See Bus.claim."""
        if self._reachable():
            try:
                key = self._key("claim", name)
                return bool(await self._redis.set(key, self._origin, nx=True, px=int(seconds * 1000)))
            except (RedisError, OSError) as error:
                self._failed(error)
        return await self._local.claim(name, seconds)

    def part(self) -> Part:
        """See Bus.part."""
        failure = self._failure or self._listener.failure
        if failure is None:
            return Part(name="live", state="ok", detail="Redis")
        return Part(
            name="live",
            state="degraded",
            detail=f"Redis does not answer ({failure}): clients of other processes catch up from the log "
            "every 2 seconds, and sessions do not outlive their process",
        )

    def _key(self, kind: str, name: object) -> str:
        return f"{self._prefix}:{kind}:{name}"

    def _channel(self, conversation_id: UUID) -> bytes:
        return self._key("live", conversation_id).encode()

    def _heard(self, payload: bytes) -> None:
        """Hand what another process published to this process's listeners."""
        origin, envelope, delta, *attended = orjson.loads(payload)
        if origin == self._origin:
            return
        for conversation_id in attended:
            self._presence.heard(UUID(conversation_id))
        if envelope is not None:
            self._local.deliver(UUID(envelope["conversation_id"]), envelope)
        if delta is not None:
            heard = Delta.model_validate(delta)
            self._streaming.pop(heard.conversation_id, None)  # another process has the run now
            self._local.deliver(heard.conversation_id, heard)

    def _rewrite_partials(self) -> None:
        """Let the next delta of each stream write the list anew: what Redis has may have holes."""
        for streaming in self._streaming.values():
            streaming.pieces = PARTIAL_PIECES

    def _send_delta(self, delta: Delta) -> None:
        self._local.deliver(delta.conversation_id, delta)
        streaming = self._streaming.get(delta.conversation_id)
        if streaming is None:
            streaming = self._streaming[delta.conversation_id] = _Streaming(Partial())
            anew = True
        else:
            anew = False
        anew = streaming.partial.add(delta) or anew
        streaming.pieces += 1
        rewrite = None
        if anew or streaming.pieces >= PARTIAL_PIECES:
            rewrite, streaming.pieces = streaming.partial.deltas(), 0
        self._enqueue(_Publication(delta.conversation_id, delta=delta, rewrite=rewrite))

    def _enqueue(self, publication: _Publication) -> None:
        if len(self._queue) == QUEUE:
            self._lost(1)
        self._queue.append(publication)
        self._news.set()

    async def _drain(self) -> None:
        pause = 0.05
        while not self._closing:
            await self._news.wait()
            self._news.clear()
            try:
                while self._queue:
                    await self._send_batch()
                if self._failure is not None:
                    await self._redis.ping()
                    _log.info("Redis answers again")
                self._failure, pause = None, 0.05
            except (RedisError, OSError) as error:
                self._failed(error)
                self._lost(self._sending + len(self._queue))
                self._sending = 0
                self._queue.clear()
                self._rewrite_partials()
                await asyncio.sleep(pause)
                pause = min(2 * pause, 2.0)
                self._news.set()

    async def _send_batch(self) -> None:
        """Send up to BATCH publications in one round trip. Raises RedisError or OSError."""
        pipeline = self._redis.pipeline(transaction=False)
        self._sending = min(BATCH, len(self._queue))
        for _ in range(self._sending):
            publication = self._queue.popleft()
            try:
                self._add(pipeline, publication)
            except TypeError as error:
                _log.warning("not published, it is not JSON", error=str(error))
        await pipeline.execute()
        self._sending = 0

    def _add(self, pipeline: "Pipeline", publication: _Publication) -> None:
        """Queue the commands of one publication: the partial first, so that it is never behind."""
        key = self._key("partial", publication.conversation_id)
        delta = publication.delta
        if publication.rewrite is not None:
            pipeline.delete(key)
            if publication.rewrite:
                pipeline.rpush(key, *[kept.model_dump_json() for kept in publication.rewrite])
                pipeline.expire(key, PARTIAL_TTL)
        elif delta is not None:
            pipeline.rpush(key, delta.model_dump_json())
            pipeline.expire(key, PARTIAL_TTL)
        message = orjson.dumps(
            [self._origin, publication.envelope, delta.model_dump(mode="json") if delta else None]
        )
        pipeline.publish(self._channel(publication.conversation_id).decode(), message)

    def _reachable(self) -> bool:
        """False for a moment after a failure, so that not every caller waits for the timeout."""
        return time.monotonic() >= self._retry_at

    def _failed(self, error: Exception) -> None:
        if self._failure is None:
            _log.warning("Redis does not answer", error=str(error) or type(error).__name__)
        self._failure = str(error) or type(error).__name__
        self._retry_at = time.monotonic() + 1.0
        self._news.set()
