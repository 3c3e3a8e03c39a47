"""A request to end: by a signal, more urgent by a second one, and with a curfew for whatever hangs."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flynn.cli.signals import answering

CURFEW_SECONDS = 14.0
"""After the first signal the process is gone by then, whatever in it does not come to its end."""


class Stop:
    """What SIGINT and SIGTERM ask for. `asked` is set by the first, `urgent` by the second."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.urgent = asyncio.Event()
        self.closed = False
        """Whether everything is closed, so that an end by the curfew is an end as asked."""
        self._told: Callable[..., None] | None = None
        self._curfew: threading.Timer | None = None

    def tell(self, wind_down: Callable[..., None]) -> None:
        """Call `wind_down()` when the end is asked for, and `wind_down(urgent=True)` when it is urgent."""
        self._told = wind_down
        if self.asked.is_set():
            wind_down(urgent=self.urgent.is_set())

    def ask(self) -> None:
        """A signal has come."""
        if self.asked.is_set():
            self.urgent.set()
        else:
            self.asked.set()
            # A thread: what hangs may be the loop, or one of the threads that the loop waits for.
            self._curfew = threading.Timer(CURFEW_SECONDS, self._strike)
            self._curfew.daemon = True
            self._curfew.start()
        if self._told is not None:
            self._told(urgent=self.urgent.is_set())

    def _strike(self) -> None:
        if not self.closed:
            print(
                f"flynn: not everything came to its end within {CURFEW_SECONDS:.0f} seconds; the process "
                "ends all the same, and other workers take over what it held.",
                file=sys.stderr,
                flush=True,
            )
        os._exit(0 if self.closed else 1)


@contextmanager
def stopping() -> Iterator[Stop]:
    """Take SIGINT and SIGTERM for as long as the block lasts; when it is left, everything is closed."""
    stop = Stop()
    with answering(dict.fromkeys((signal.SIGINT, signal.SIGTERM), stop.ask)):
        yield stop
        stop.closed = True
