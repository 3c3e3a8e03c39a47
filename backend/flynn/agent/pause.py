"""Pauses between attempts: exponential, jittered, capped, and never before the provider says."""

import random

ATTEMPTS = 3
"""Attempts of one call before the run waits for the model (NFR: three, with exponential back-off)."""
SHORT_PAUSE = 2.0
"""Seconds up to which a pause is slept under the lease; longer ones wait in the database."""
LONGEST_WAIT = 300.0
"""Seconds between attempts after the first three, jitter apart."""
LONGEST_ASKED = 3600.0
"""Seconds that a provider may put the next attempt off; what it asks for beyond is taken for a mistake."""
SPREAD = 10.0
"""Seconds over which those are spread, at most, who were told the same moment."""


def pause_after(failures: int, asked: float | None) -> float:
    """Seconds to wait after so many failed attempts; `asked` is what the provider asks for, in seconds."""
    jitter = random.uniform(0.8, 1.2)  # noqa: S311 jitter
    if failures < ATTEMPTS:
        own = 0.5 * 2.0 ** (failures - 1) * jitter
    else:
        # The exponent is bounded as well: an outage of days is no overflow.
        own = min(30.0 * 2.0 ** min(failures - ATTEMPTS, 10), LONGEST_WAIT) * jitter
    held = min(asked or 0.0, LONGEST_ASKED)
    return max(own, spread(held) if held > SHORT_PAUSE else held)


def spread(seconds: float) -> float:
    """`seconds`, and up to a tenth more, so that those who wait for the same moment come one by one."""
    return seconds + random.uniform(0, min(seconds / 10, SPREAD))  # noqa: S311 jitter
