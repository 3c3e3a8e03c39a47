"""How a simulator behaves, apart from its scenarios."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from flynn.simulator.catalog import CATALOG, Model
from flynn.simulator.turn import Pacing, Text, Turn


def _no_scenario() -> Turn:
    return Turn(
        blocks=[Text(text="No scenario of this simulator matches the conversation.")],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """Limits of one key in a minute. Cache reads do not count as input (docs: api/rate-limits)."""

    requests: int = 1_000_000
    input_tokens: int = 10_000_000_000
    output_tokens: int = 10_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options of a simulator.

    - `keys`: the accepted API keys; None accepts any key that is not empty.
    - `binding`: "strict" refuses thinking blocks whose conversation was changed, as for accounts created
      since 2026-08-31; "off" lets them pass, as for older ones (docs: preserved-thinking).
    - `unproven`: what happens on a broken rule that no source proves: "warn" logs it and names it in the
      `simulator-warnings` response header, "refuse" answers 400.
    - `pacing`: for turns and scenarios without one of their own.
    - `echo_tokens`: the length of the answers of the model `echo`.
    - `fallback`: the turn for conversations that no scenario matches.
    - `context_tokens`: lowers every model's context, to reach "prompt is too long" with little text.
    - `disabled_thinking`: whether models accept thinking `disabled` (the sources disagree).
    - `record`: how many requests are kept for `GET /_simulator/requests`, and `record_bytes` how much of
      their bodies; the oldest bodies go first.
    - `max_body_bytes`: the API's 32 MB, read as decimal megabytes, the stricter way.
    - `delta_characters`: the length of a delta of text or tool input when nothing paces the stream.
    - `clock`: seconds for cache TTLs and rate windows.
    """

    keys: frozenset[str] | None = None
    binding: Literal["strict", "off"] = "strict"
    unproven: Literal["warn", "refuse"] = "warn"
    pacing: Pacing = field(default_factory=Pacing)
    echo_tokens: int = 100
    fallback: Turn = field(default_factory=_no_scenario)
    models: tuple[Model, ...] = CATALOG
    context_tokens: int | None = None
    disabled_thinking: bool = True
    rate_limits: RateLimits = field(default_factory=RateLimits)
    record: int = 1000
    record_bytes: int = 64_000_000
    max_body_bytes: int = 32_000_000
    delta_characters: int = 48
    signing_key: bytes = b"flynn.simulator"
    clock: Callable[[], float] = time.monotonic
