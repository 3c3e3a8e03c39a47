"""Presence over Redis: each process says who is there by it, for a while, and reads what the others say.

Keys: string `<prefix>:present:<conversation>:<process>` holds JSON `[[[name, id], …], more]` and expires
unless its process says it again, so that a process that was killed takes its people along; set
`<prefix>:present:<conversation>` names the processes. A change is told on the conversation's channel.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from flynn.live.presence import GATHER, MOST_NAMES, Attendance, Person, Present

TTL = 30.0
"""Seconds for which people are there after their process last said so; it does three times as often."""


@dataclass(frozen=True, slots=True)
class _Others:
    """Who is there by other processes, as read at a time of the monotonic clock."""

    people: list[Person]
    more: int
    read_at: float


class RedisPresence:
    """Keeps Redis and the listeners here in step with who comes and goes.

    `tell` is called with who is there, whenever that changed, for conversations that people attend here;
    `failed` with each error of Redis. `origin` is this process's name.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        prefix: str,
        origin: str,
        tell: Callable[[UUID, Present], None],
        failed: Callable[[Exception], None],
        ttl: float = TTL,
    ) -> None:
        self._redis = redis
        self._prefix = prefix
        self._origin = origin
        self._tell = tell
        self._failed = failed
        self._ttl = ttl
        self._changed: set[UUID] = set()
        self._stale: set[UUID] = set()
        self._written: set[UUID] = set()
        self._others: dict[UUID, _Others] = {}
        self._told: dict[UUID, Present] = {}
        self._news = asyncio.Event()
        self._closing = False
        self.attendance = Attendance(self._somebody_changed)

    def heard(self, conversation_id: UUID) -> None:
        """Another process says that somebody came or left."""
        if conversation_id in self.attendance:
            self._stale.add(conversation_id)
            self._news.set()

    async def present(self, conversation_id: UUID, *, reachable: bool) -> Present:
        """Who is there now; of other processes' people those last known unless Redis is `reachable`."""
        if reachable:
            try:
                await self._read([conversation_id])
            except (RedisError, OSError) as error:
                self._failed(error)
        present = self._known(conversation_id)
        if conversation_id not in self.attendance:
            self._others.pop(conversation_id, None)
        return present

    async def run(self) -> None:
        """Say and read for ever."""
        beat = time.monotonic()
        while not self._closing:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), self._ttl / 3)
            await asyncio.sleep(min(GATHER, self._ttl / 10))
            self._news.clear()
            changed, self._changed = self._changed, set()
            stale, self._stale = self._stale, set()
            if time.monotonic() - beat >= self._ttl / 3:
                beat = time.monotonic()
                stale.update(self.attendance.conversations())
            await self._exchange(changed, stale)

    async def _exchange(self, changed: set[UUID], stale: set[UUID]) -> None:
        """Write and read; whatever Redis does, tell the listeners here what is known."""
        known = [found for found in changed | stale if found in self.attendance]
        try:
            await self._write(changed | stale, tell_of=changed)
            await self._read(known)
        except (RedisError, OSError) as error:
            self._failed(error)
        for conversation_id in known:
            present = self._known(conversation_id)
            if present != self._told.get(conversation_id):
                self._told[conversation_id] = present
                self._tell(conversation_id, present)
        for conversation_id in changed:
            if conversation_id not in self.attendance:
                self._told.pop(conversation_id, None)
                self._others.pop(conversation_id, None)

    def close(self) -> None:
        """Let `run` return. A cancellation that meets the end of a read is lost in the client."""
        self._closing = True
        self._news.set()

    async def leave(self) -> None:
        """The process ends: nobody is there by it any more. Raises RedisError or OSError."""
        written = set(self._written)
        await self._write(written, tell_of=written, gone=True)

    def _somebody_changed(self, conversation_id: UUID) -> None:
        self._changed.add(conversation_id)
        self._news.set()

    def _key(self, conversation_id: UUID, *process: str) -> str:
        return ":".join((self._prefix, "present", str(conversation_id), *process))

    def _known(self, conversation_id: UUID) -> Present:
        here = self.attendance.people(conversation_id)
        others = self._others.get(conversation_id)
        if others is None or time.monotonic() - others.read_at > self._ttl:
            return Present.of(here)
        return Present.of([*here, *others.people], others.more)

    async def _write(self, found: Iterable[UUID], *, tell_of: set[UUID], gone: bool = False) -> None:
        pipeline = self._redis.pipeline(transaction=False)
        for conversation_id in found:
            processes, own = self._key(conversation_id), self._key(conversation_id, self._origin)
            people = [] if gone else self.attendance.people(conversation_id)
            if people:
                said = [[[p.name, p.id] for p in people[:MOST_NAMES]], max(0, len(people) - MOST_NAMES)]
                pipeline.set(own, orjson.dumps(said), px=int(self._ttl * 1000))
                pipeline.sadd(processes, self._origin)
                pipeline.pexpire(processes, int(self._ttl * 2000))
                self._written.add(conversation_id)
            else:
                pipeline.delete(own)
                pipeline.srem(processes, self._origin)
                self._written.discard(conversation_id)
            if conversation_id in tell_of:
                told = orjson.dumps([self._origin, None, None, str(conversation_id)])
                pipeline.publish(f"{self._prefix}:live:{conversation_id}", told)
        if len(pipeline):
            await pipeline.execute()

    async def _read(self, found: Sequence[UUID]) -> None:
        if not found:
            return
        pipeline = self._redis.pipeline(transaction=False)
        for conversation_id in found:
            pipeline.smembers(self._key(conversation_id))
        for conversation_id, members in zip(found, await pipeline.execute(), strict=True):
            processes = sorted(name.decode() for name in members if name.decode() != self._origin)
            people: list[Person] = []
            more = 0
            if processes:
                said = await self._redis.mget([self._key(conversation_id, name) for name in processes])
                silent = [name for name, words in zip(processes, said, strict=True) if words is None]
                for words in said:
                    if words is not None:
                        named, unnamed = orjson.loads(words)
                        people += [Person(name, who) for name, who in named]
                        more += unnamed
                if silent:
                    await self._redis.srem(self._key(conversation_id), *silent)
            self._others[conversation_id] = _Others(people, more, time.monotonic())
