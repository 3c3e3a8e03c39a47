"""The last look before a side effect: may this worker still act?"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event

from flynn.domain.errors import LeaseLost


def _always() -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """What must hold in the instant before a file is replaced or a command is started.

    `deadline` is on CLOCK_BOOTTIME, in seconds: that clock goes on while the machine sleeps, when a
    lease runs out too. `confirm` raises LeaseLost; it is called from
    the thread that acts, which for files is not the event loop's.
    """

    deadline: float | None = None
    confirm: Callable[[], None] = _always
    _stopped: Event = field(default_factory=Event)

    def stop(self) -> None:
        """Forbid what has not happened yet: the caller was cancelled."""
        self._stopped.set()

    def check(self) -> None:
        """Return when the side effect may happen. Raises LeaseLost when it may not."""
        self.confirm()  # first: it may take its time, which the others then count
        if self.deadline is not None and time.clock_gettime(time.CLOCK_BOOTTIME) >= self.deadline:
            raise LeaseLost("The lease's deadline passed before the call acted; nothing was done.")
        if self._stopped.is_set():
            raise LeaseLost("The call was cancelled before it acted; nothing was done.")
