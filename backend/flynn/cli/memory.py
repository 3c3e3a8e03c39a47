"""How a long-lived process keeps its memory: see `settle_memory`."""

import gc

COLLECTIONS = (20_000, 20, 50)
"""New objects before the collector looks at the young ones, and how often it looks at older ones then."""


def settle_memory() -> None:
    """Let the collector of cycles leave alone what the start has made, and look less often.

    What was imported stays for good, and looking through it again and again stops everybody for tens of
    milliseconds.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTIONS)
