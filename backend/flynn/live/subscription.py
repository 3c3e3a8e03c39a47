"""A subscription: what one listener has been told about one conversation and has not taken yet."""

import asyncio
from collections import deque
from typing import TypeAlias

from flynn.domain.content import Json
from flynn.domain.delta import Delta

Envelope: TypeAlias = dict[str, Json]
"""A recorded event as every door shows it: `{conversation_id, seq, type, at, run_id, data}`."""

Item: TypeAlias = Envelope | Delta
"""What a bus carries: envelopes are plain dictionaries, deltas are models."""


class Subscription:
    """A bounded buffer between a bus and one listener. `push` never blocks and never raises.

    When `limit` items wait and nobody takes them, further deltas are left out (they are hints) and a
    further envelope empties the buffer and sets `overflowed`: whoever listens must go to the log, or go.
    `highest` is the highest seq ever pushed, whether or not it is still here.
    """

    __slots__ = ("_items", "_news", "highest", "limit", "overflowed")

    def __init__(self, limit: int) -> None:
        self._items: deque[Item] = deque()
        self.limit = limit
        self._news = asyncio.Event()
        self.highest = 0
        self.overflowed = False

    def push(self, item: Item) -> None:
        """Add an item and wake the listener."""
        full = len(self._items) >= self.limit
        if isinstance(item, Delta):
            if full or self.overflowed:
                return
        else:
            self.highest = max(self.highest, item["seq"])
            if full:
                self.overflowed = True
                self._items.clear()
        if not self.overflowed:
            self._items.append(item)
        self._news.set()

    def take(self) -> Item | None:
        """Give the oldest item, None when there is none."""
        return self._items.popleft() if self._items else None

    def recover(self) -> None:
        """Forget that the buffer overflowed. The listener reads the log up to `highest` instead."""
        self.overflowed = False

    def drop_deltas(self) -> None:
        """Leave out the deltas that wait: the partial text, read after this, contains them."""
        self._items = deque(item for item in self._items if not isinstance(item, Delta))

    def wake(self) -> None:
        """Let `wait` return although nothing was pushed."""
        self._news.set()

    async def wait(self) -> None:
        """Wait until something was pushed, or `wake` was called, since the last wait."""
        await self._news.wait()
        self._news.clear()

    def __len__(self) -> int:
        return len(self._items)
