"""Signals as calls within the event loop, for as long as a block lasts."""

import asyncio
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager


@contextmanager
def answering(handlers: Mapping[int, Callable[[], None]]) -> Iterator[None]:
    """Call the handler of a signal in the running loop when it comes; what stood before is put back."""
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in handlers}
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number, old in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, old)
