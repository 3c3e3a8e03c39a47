"""Patience: something that may hang, waited for a while only, so that it hangs nobody else."""

import asyncio
from collections.abc import Awaitable, Callable


class Patience:
    """Does `act`, one at a time. What takes longer than `seconds` goes on by itself, and is met again."""

    def __init__(self, act: Callable[[], Awaitable[None]], *, seconds: float) -> None:
        self._act = act
        self._seconds = seconds
        self._under_way: asyncio.Future[None] | None = None

    async def __call__(self) -> bool:
        """Begin it, or meet the one that is under way; whether it is done. Raises what it raised."""
        if self._under_way is None:
            self._under_way = asyncio.ensure_future(self._act())
        done, _ = await asyncio.wait({self._under_way}, timeout=self._seconds)
        if not done:
            return False
        found, self._under_way = self._under_way, None
        found.result()
        return True

    async def close(self) -> None:
        """Give up what is under way."""
        if self._under_way is not None:
            self._under_way.cancel()
            await asyncio.wait({self._under_way}, timeout=1.0)
