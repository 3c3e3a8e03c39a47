"""Rate limits of each API key, in windows of a minute, and the headers that report them.

Source: docs: api/rate-limits. Cache reads do not count as input tokens. The API refills continuously;
here a window starts with its first request and ends a minute later, which is plainer to test against.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Final

from flynn.simulator.api_error import ApiError
from flynn.simulator.options import RateLimits

_WINDOW: Final = 60.0


@dataclass(slots=True)
class _Window:
    started: float
    requests: int = 0
    input: int = 0
    output: int = 0


class RateWindows:
    """Counts requests and tokens of each key."""

    def __init__(self, limits: RateLimits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._windows: dict[str, _Window] = {}

    def admit(self, key: str) -> None:
        """Count one request.

        Raises:
            ApiError: 429 with `retry-after`, a limit of this minute is used up.
        """
        window, limits = self._window(key), self._limits
        for used, limit, name in (
            (window.requests, limits.requests, "requests"),
            (window.input, limits.input_tokens, "input tokens"),
            (window.output, limits.output_tokens, "output tokens"),
        ):
            if used >= limit:
                raise ApiError(
                    429,
                    "rate_limit_error",
                    f"the limit of {limit} {name} a minute is used up",
                    rule="rate-limit",
                    headers={"retry-after": str(self._left(window))},
                )
        window.requests += 1

    def charge(self, key: str, *, input_tokens: int, output_tokens: int) -> None:
        """Count the tokens of an answer; `input_tokens` without cache reads."""
        window = self._window(key)
        window.input += input_tokens
        window.output += output_tokens

    def headers(self, key: str) -> list[tuple[str, str]]:
        """The `anthropic-ratelimit-*` headers."""
        window, limits = self._window(key), self._limits
        reset = datetime.now(UTC) + timedelta(seconds=self._left(window))
        stamp = reset.strftime("%Y-%m-%dT%H:%M:%SZ")
        headers: list[tuple[str, str]] = []
        for name, used, limit in (
            ("requests", window.requests, limits.requests),
            ("tokens", window.input + window.output, limits.input_tokens + limits.output_tokens),
            ("input-tokens", window.input, limits.input_tokens),
            ("output-tokens", window.output, limits.output_tokens),
        ):
            prefix = f"anthropic-ratelimit-{name}"
            headers += [
                (f"{prefix}-limit", str(limit)),
                (f"{prefix}-remaining", str(max(0, limit - used))),
                (f"{prefix}-reset", stamp),
            ]
        return headers

    def reset(self) -> None:
        """Start every key anew."""
        self._windows.clear()

    def _window(self, key: str) -> _Window:
        now = self._clock()
        window = self._windows.get(key)
        if window is None or now - window.started >= _WINDOW:
            window = self._windows[key] = _Window(now)
        return window

    def _left(self, window: _Window) -> int:
        return max(1, ceil(window.started + _WINDOW - self._clock()))
