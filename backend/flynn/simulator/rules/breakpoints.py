"""Rules on cache breakpoints. Source: K prompt-caching.md, CLAUDE_PLATFORM.md section 5."""

from collections.abc import Sequence
from typing import Final

from flynn.simulator.api_error import invalid

_LIMIT: Final = 4


def check_breakpoints(ttls: Sequence[str], automatic: str | None) -> None:
    """At most four breakpoints, the longer TTL first.

    `ttls` are those of the explicit breakpoints in the order tools, system, messages; `automatic` that of
    the top-level cache_control, which comes last and takes a slot of its own.

    Raises:
        ApiError: 400.
    """
    every = [*ttls, automatic] if automatic else list(ttls)
    if len(every) > _LIMIT:
        raise invalid(
            "cache-control-count",
            f"A maximum of {_LIMIT} blocks with cache_control may be provided. Found {len(every)}"
            + (", the top-level one included." if automatic else "."),
        )
    if "5m" in every and "1h" in every[every.index("5m") :]:
        raise invalid(
            "cache-control-order",
            "cache_control: a ttl of 1h must not come after one of 5m, in the order tools, system, messages",
        )
