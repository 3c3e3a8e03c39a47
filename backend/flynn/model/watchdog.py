"""The watchdog over what a stream says: signs of life may take the place of content, but not for ever.

The socket's own timeout sees silence. It does not see an answer of which only pings or comments come, as
from a proxy whose server is gone. Before an answer begins there is nothing that they could stand for, so
they count as silence. Once it has begun the model may think without showing it (display `omitted`), and
the API sends pings meanwhile; they are believed for as long as the whole answer could take.
"""

import asyncio
from typing import Self

from flynn.domain.content import Json

SLOWEST = 20.0
"""Tokens a second that a model gives at least."""
BUSY_SECONDS = 0.05
"""How soon it is looked again at an answer that nobody listened to."""


class Watchdog:
    """Watches one answer. `until` is the loop's time at which it counts as broken.

    `idle` are the seconds of silence that are allowed; `max_tokens` is the limit of the answer. One timer
    watches all of it: a timeout around each event would cost more than reading the event. It interrupts the
    task that entered it, and only while that listens.
    """

    __slots__ = ("_bound", "_loop", "_task", "_thinking", "_timer", "bit", "listening", "until")

    def __init__(self, idle: float, max_tokens: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._bound = idle
        self._thinking = idle + max_tokens / SLOWEST
        # A little later than the socket's own timeout, which knows better what it has not seen.
        self.until = self._loop.time() + idle + 0.05
        self.bit = False
        """Whether the answer was given up."""
        self.listening = False
        """Set while the task waits for an event: what the watchdog may interrupt."""
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        self._task = asyncio.current_task()
        self._look()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def gave_up(self) -> bool:
        """Whether a cancellation that has just arrived is this watchdog's; then it is over with it."""
        return self.bit and self._task is not None and self._task.uncancel() == 0

    def heard(self, event: dict[str, Json]) -> None:
        """An event has come. Pings change nothing."""
        if event["type"] != "ping":
            self._bound = self._thinking
            self.until = self._loop.time() + self._thinking

    def words(self) -> str:
        """What was missed, and for how long."""
        return f"signs of life came, but no content for {self._bound:g} s"

    def _look(self) -> None:
        now = self._loop.time()
        if now >= self.until and self.listening and self._task is not None:
            self.bit = True
            self._task.cancel()
            return
        # Whoever does not listen just now is busy with the last event.
        self._timer = self._loop.call_at(max(self.until, now + BUSY_SECONDS), self._look)
