"""How often each turn of each conversation was asked for.

A conversation is known by its model-written part: everything up to its last assistant message, or its
first message while there is none. So a retry that adds late words is still a retry, and conversations
with different ids in their tool calls are told apart. Conversations that are equal byte for byte in
that part count together, unless `metadata.user_id` tells them apart.
"""

from collections import OrderedDict
from typing import Final

_KEPT: Final = 100_000


class Attempts:
    """Counts attempts, keeping the 100,000 most recent turns."""

    def __init__(self) -> None:
        self._counts: OrderedDict[bytes, int] = OrderedDict()

    def next(self, turn: bytes) -> int:
        """Count one more attempt at the turn with this digest; the first is 1."""
        count = self._counts.pop(turn, 0) + 1
        self._counts[turn] = count
        if len(self._counts) > _KEPT:
            self._counts.popitem(last=False)
        return count

    def reset(self) -> None:
        """Forget all attempts."""
        self._counts.clear()
