"""The watchdog over what a stream says: signs of life may take the place of content, but not for ever.

The socket's own timeout sees silence. It does not see an answer of which only pings or comments come, as
from a proxy whose server is gone. Before an answer begins there is nothing that they could stand for, so
they count as silence. Once it has begun the model may think without showing it (display `omitted`), and
the API sends pings meanwhile; they are believed for as long as the whole answer could take.
"""

import asyncio

from flynn.domain.content import Json

SLOWEST = 20.0
"""Tokens a second that a model gives at least."""


class Watchdog:
    """Watches one answer. `until` is the loop's time at which it counts as broken.

    `idle` are the seconds of silence that are allowed; `max_tokens` is the limit of the answer.
    """

    __slots__ = ("_bound", "_loop", "_thinking", "until")

    def __init__(self, idle: float, max_tokens: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._bound = idle
        self._thinking = idle + max_tokens / SLOWEST
        # A little later than the socket's own timeout, which knows better what it has not seen.
        self.until = self._loop.time() + idle + 0.05

    def heard(self, event: dict[str, Json]) -> None:
        """An event has come. Pings change nothing."""
        if event["type"] != "ping":
            self._bound = self._thinking
            self.until = self._loop.time() + self._thinking

    def words(self) -> str:
        """What was missed, and for how long."""
        return f"signs of life came, but no content for {self._bound:g} s"
