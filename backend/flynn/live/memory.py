"""The bus of a single process: nothing leaves it, and its sessions end with it."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Self
from uuid import UUID

from flynn.domain.content import Json
from flynn.domain.delta import Delta
from flynn.domain.readiness import Part
from flynn.live.bus import SUBSCRIPTION_LIMIT
from flynn.live.coalescer import Coalescer
from flynn.live.fanout import Fanout
from flynn.live.partial import Partial
from flynn.live.presence import GATHER, Attendance, Person, Present
from flynn.live.subscription import Envelope, Item, Subscription

MOST_SESSIONS = 10_000
"""Sessions kept; beyond it the ones saved longest ago go."""

MOST_PARTIALS = 2_000
"""Conversations whose words so far are kept; beyond it the ones that began longest ago go."""


class MemoryBus:
    """A Bus (see flynn.live.bus) within one process."""

    def __init__(self) -> None:
        self._fanout = Fanout()
        self._coalescer = Coalescer(self._deliver_delta)
        self._partials: OrderedDict[UUID, Partial] = OrderedDict()
        self._attendance = Attendance(self._somebody_changed)
        self._changed: dict[UUID, asyncio.TimerHandle] = {}
        self._claims: dict[str, float] = {}
        self._sessions: OrderedDict[str, tuple[float, dict[str, Json]]] = OrderedDict()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._coalescer.close()
        for timer in self._changed.values():
            timer.cancel()

    def publish(self, conversation_id: UUID, envelope: Envelope) -> None:
        """See Bus.publish."""
        self._coalescer.flush(conversation_id)
        partial = self._partials.get(conversation_id)
        if partial is not None:
            partial.note(envelope)
            if not partial:
                del self._partials[conversation_id]
        self._fanout.deliver(conversation_id, envelope)

    def publish_delta(self, delta: Delta) -> None:
        """See Bus.publish_delta."""
        self._coalescer.add(delta)

    @asynccontextmanager
    async def subscribe(
        self, conversation_id: UUID, *, limit: int = SUBSCRIPTION_LIMIT
    ) -> AsyncIterator[Subscription]:
        """See Bus.subscribe."""
        subscription = Subscription(limit)
        self._fanout.add(conversation_id, subscription)
        try:
            yield subscription
        finally:
            self._fanout.remove(conversation_id, subscription)

    async def partial(self, conversation_id: UUID) -> list[Delta]:
        """See Bus.partial."""
        partial = self._partials.get(conversation_id)
        return partial.deltas() if partial is not None else []

    def attend(self, conversation_id: UUID, person: Person) -> AbstractContextManager[None]:
        """See Bus.attend."""
        return self._attendance.attend(conversation_id, person)

    async def present(self, conversation_id: UUID) -> Present:
        """See Bus.present."""
        return Present.of(self._attendance.people(conversation_id))

    async def save_session(self, session_id: str, state: dict[str, Json], ttl: float) -> None:
        """See Bus.save_session."""
        self._sessions[session_id] = (time.monotonic() + ttl, state)
        self._sessions.move_to_end(session_id)
        while len(self._sessions) > MOST_SESSIONS:
            self._sessions.popitem(last=False)

    async def load_session(self, session_id: str) -> dict[str, Json] | None:
        """See Bus.load_session."""
        expires, state = self._sessions.get(session_id, (0.0, {}))
        if expires <= time.monotonic():
            self._sessions.pop(session_id, None)
            return None
        return state

    async def claim(self, name: str, seconds: float) -> bool:
        """See Bus.claim."""
        now = time.monotonic()
        self._claims = {claimed: until for claimed, until in self._claims.items() if until > now}
        if name in self._claims:
            return False
        self._claims[name] = now + seconds
        return True

    def part(self) -> Part:
        """See Bus.part."""
        return Part(
            name="live",
            state="ok",
            detail="in memory, for one process: sessions end with it; set REDIS_URL to keep them",
        )

    def deliver(self, conversation_id: UUID, item: Item) -> None:
        """Hand an item to this process's listeners as it is: neither coalesced nor kept."""
        self._fanout.deliver(conversation_id, item)

    def tell(self, conversation_id: UUID, present: Present) -> None:
        """Tell this process's listeners who is there."""
        self._fanout.tell(conversation_id, present)

    def _somebody_changed(self, conversation_id: UUID) -> None:
        if conversation_id not in self._changed:
            self._changed[conversation_id] = asyncio.get_running_loop().call_later(
                GATHER, self._tell_of, conversation_id
            )

    def _tell_of(self, conversation_id: UUID) -> None:
        del self._changed[conversation_id]
        self.tell(conversation_id, Present.of(self._attendance.people(conversation_id)))

    def _deliver_delta(self, delta: Delta) -> None:
        partial = self._partials.get(delta.conversation_id)
        if partial is None:
            partial = self._partials[delta.conversation_id] = Partial()
            while len(self._partials) > MOST_PARTIALS:
                self._partials.popitem(last=False)
        partial.add(delta)
        self._fanout.deliver(delta.conversation_id, delta)
