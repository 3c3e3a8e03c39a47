"""How late the event loop is: what a call that blocks, or a machine that is too busy, does to everything."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

EVERY = 0.5
"""Seconds between two looks."""

REMEMBERED = 15.0
"""Seconds for which the worst counts: Prometheus looks every 15 seconds in most set-ups."""


class LoopLag:
    """Looks at the clock again and again. `run` until it is cancelled."""

    def __init__(self) -> None:
        self._late: deque[float] = deque(maxlen=int(REMEMBERED / EVERY))

    @property
    def worst(self) -> float:
        """By how many seconds the loop was late at its latest, of the last REMEMBERED seconds."""
        return max(self._late, default=0.0)

    async def run(self) -> None:
        """Look, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + EVERY
            await asyncio.sleep(EVERY)
            self._late.append(max(0.0, loop.time() - due))


@asynccontextmanager
async def watched_loop() -> AsyncIterator[Callable[[], float]]:
    """Watch the running loop; gives what says how late it was (see LoopLag.worst)."""
    lag = LoopLag()
    watching = asyncio.create_task(lag.run())
    try:
        yield lambda: lag.worst
    finally:
        watching.cancel()
