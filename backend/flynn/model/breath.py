"""Reading in breaths: of many answers at once, each is read less often and more at a time.

A token that arrives alone costs a process about as much to read as five that arrive together. A person
sees no difference between words that come every 25 ms and every 60 ms; so the more answers a process
reads, the longer it lets each one's words gather in the socket. A single answer is read as it comes.
"""

import asyncio
from collections.abc import AsyncIterator

import httpx2

EACH = 0.000_4
"""Seconds of pause for every answer that is being read."""
LONGEST = 0.1
"""Longest pause, in seconds: nobody's words wait for more than that because of others."""
LEAST = 0.005
"""Pauses below are not worth a timer."""
_WAITED = 0.000_5


class Breath:
    """How many answers a process reads now, and so how long it may pause between two reads of one.

    A context manager, entered once for each answer.
    """

    __slots__ = ("reading",)

    def __init__(self) -> None:
        self.reading = 0

    def __enter__(self) -> None:
        self.reading += 1

    def __exit__(self, *exc: object) -> None:
        self.reading -= 1

    def pause(self) -> float:
        """Seconds between two reads of one answer; 0 for none."""
        pause = min(self.reading * EACH, LONGEST)
        return pause if pause >= LEAST else 0.0


class Breathing:
    """An answer whose body is read in breaths: what has `aiter_bytes`, as a response does."""

    def __init__(self, response: httpx2.Response, breath: Breath) -> None:
        self._response = response
        self._breath = breath
        self.hurried = False
        """Set once the message is whole: somebody waits for it, so the rest is read without pauses."""

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        """The body's pieces. A pause follows those that had to be waited for, when nothing more is there."""
        loop = asyncio.get_running_loop()
        asked = loop.time()
        async for piece in self._response.aiter_bytes():
            waited = loop.time() - asked > _WAITED
            yield piece
            if waited and not self.hurried and (pause := self._breath.pause()):
                await asyncio.sleep(pause)
            asked = loop.time()
