"""A subscription: what one listener has been told about one conversation and has not taken yet."""

import asyncio
from collections import deque
from typing import TypeAlias

from flynn.domain.content import Json
from flynn.domain.delta import Delta
from flynn.live.presence import Present

Envelope: TypeAlias = dict[str, Json]
"""A recorded event as every door shows it: `{conversation_id, seq, type, at, run_id, data}`."""

Item: TypeAlias = Envelope | Delta
"""What a bus carries: envelopes are plain dictionaries, deltas are models."""


MOST_WEIGHT = 8 * 1024 * 1024
"""Code points that may wait for one listener, however few the items are."""


def weight(value: Json | Delta) -> int:
    """About how many code points an item's JSON has."""
    match value:
        case Delta():
            return len(value.text)
        case str():
            return len(value)
        case dict():
            return sum(len(name) + weight(inner) for name, inner in value.items())
        case list() | tuple():
            return sum(weight(inner) for inner in value)
        case _:
            return 8


class Subscription:
    """A bounded buffer between a bus and one listener. `push` never blocks and never raises.

    When `limit` items (or MOST_WEIGHT code points) wait and nobody takes them, further deltas are left out
    (they are hints) and a further envelope empties the buffer and sets `overflowed`: whoever listens must
    go to the log, or go. `highest` is the highest seq ever pushed, whether or not it is still here. Of who
    is present only the latest waits.
    """

    __slots__ = ("_items", "_news", "_present", "_weight", "highest", "limit", "overflowed")

    def __init__(self, limit: int) -> None:
        self._items: deque[tuple[Item, int]] = deque()
        self._weight = 0
        self.limit = limit
        self._news = asyncio.Event()
        self.highest = 0
        self.overflowed = False
        self._present: Present | None = None

    def push(self, item: Item, weighs: int | None = None) -> None:
        """Add an item, which weighs as `weight` says, and wake the listener."""
        full = len(self._items) >= self.limit or self._weight >= MOST_WEIGHT
        if isinstance(item, Delta):
            if full or self.overflowed:
                return
        else:
            self.highest = max(self.highest, item["seq"])
            if full:
                self.overflowed = True
                self._items.clear()
                self._weight = 0
        if not self.overflowed:
            weighs = weight(item) if weighs is None else weighs
            self._items.append((item, weighs))
            self._weight += weighs
        self._news.set()

    def take(self) -> Item | None:
        """Give the oldest item, None when there is none."""
        if not self._items:
            return None
        item, weighs = self._items.popleft()
        self._weight -= weighs
        return item

    def tell(self, present: Present) -> None:
        """Say who is there, and wake the listener."""
        self._present = present
        self._news.set()

    def take_present(self) -> Present | None:
        """Who is there, None when that was taken already."""
        present, self._present = self._present, None
        return present

    def recover(self) -> None:
        """Forget that the buffer overflowed. The listener reads the log up to `highest` instead."""
        self.overflowed = False

    def drop_deltas(self) -> None:
        """Leave out the deltas that wait: the partial text, read after this, contains them."""
        self._items = deque(entry for entry in self._items if not isinstance(entry[0], Delta))
        self._weight = sum(weighs for _, weighs in self._items)

    def wake(self) -> None:
        """Let `wait` return although nothing was pushed."""
        self._news.set()

    async def wait(self) -> None:
        """Wait until something was pushed, or `wake` was called, since the last wait."""
        await self._news.wait()
        self._news.clear()

    def __len__(self) -> int:
        return len(self._items)
