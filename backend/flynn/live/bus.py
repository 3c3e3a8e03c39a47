"""The bus: carries what is new about conversations to every process, and what sessions leave behind.

A bus is a hint channel over the log. It may lose anything, at any time; it must never block, slow down or
fail the one who publishes. Two implementations keep one contract (tests/live/test_live_bus_contract.py):
`flynn.live.memory.MemoryBus` for one process and `flynn.live.redis.RedisBus` for several.
"""

from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Protocol, Self
from uuid import UUID

from flynn.domain.content import Json
from flynn.domain.delta import Delta
from flynn.domain.readiness import Part
from flynn.live.presence import Person, Present
from flynn.live.subscription import Envelope, Subscription

SUBSCRIPTION_LIMIT = 1000
"""Items that may wait for one listener before it counts as slow."""


class Bus(Protocol):
    """Publishes from, and delivers to, the event loop that entered it as a context manager."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...

    def publish(self, conversation_id: UUID, envelope: Envelope) -> None:
        """Tell the listeners of a conversation about a committed event. Never blocks, never raises.

        Call it after the commit and in the order of seq. Deltas published before come first.
        """

    def publish_delta(self, delta: Delta) -> None:
        """Tell the listeners about words on the way. Never blocks, never raises.

        Deltas are coalesced (see flynn.live.coalescer) and kept, for those who join later, until the
        event that completes them is published.
        """

    def subscribe(
        self, conversation_id: UUID, *, limit: int = SUBSCRIPTION_LIMIT
    ) -> AbstractAsyncContextManager[Subscription]:
        """Listen to a conversation. On entry the subscription stands: later publications arrive, or are
        lost with the bus's connection, which is for the listener to notice in the log.
        """

    async def partial(self, conversation_id: UUID) -> list[Delta]:
        """Give the words so far of what is being streamed: one delta a block, empty when there are none.

        It is at least as new as any delta that a subscription has delivered. Never raises.
        """

    def attend(self, conversation_id: UUID, person: Person) -> AbstractContextManager[None]:
        """`person` watches the conversation meanwhile. Never blocks, never raises.

        Subscriptions of a conversation that somebody attends in their process are told who is there soon
        after it has changed, a process that was killed included.
        """

    async def present(self, conversation_id: UUID) -> Present:
        """Who watches the conversation now, in all processes that can be reached. Never raises."""

    async def save_session(self, session_id: str, state: dict[str, Json], ttl: float) -> None:
        """Keep a session's state (JSON) for `ttl` seconds. Never raises: a lost session costs a replay."""

    async def load_session(self, session_id: str) -> dict[str, Json] | None:
        """Give the state last saved, None when there is none, it is too old, or it cannot be reached."""

    async def claim(self, name: str, seconds: float) -> bool:
        """Whether the caller may act for all processes that the bus joins; for `seconds` nobody else may.

        Never raises: while the others cannot be reached everybody may.
        """

    def part(self) -> Part:
        """Say how the bus is, for /ready. Asks nobody: it tells what is known now."""
