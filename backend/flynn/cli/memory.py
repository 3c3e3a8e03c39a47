"""How a process keeps its memory: while it starts, and when it is to live long."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

COLLECTIONS = (20_000, 20, 50)
"""New objects before the collector looks at the young ones, and how often it looks at older ones then."""


@contextmanager
def nothing_collected() -> Iterator[None]:
    """Look for no cycles meanwhile: imports make objects that stay, and looking through them takes longer
    each time.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def settle_memory() -> None:
    """Let the collector of cycles leave alone what the start has made, and look less often.

    What was imported stays for good, and looking through it again and again stops everybody for tens of
    milliseconds.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTIONS)
