"""The breaker: keeps calls from a model that does not answer, until a single one has found it back.

    closed ──(FAILURES in a row, whoever's)──> open ──(the pause is over)──> half open: one probe goes out
       ^                                        ^                                │
       └──────────(it is answered)──────────────┼────────────────────────────────┤
                                                └───(it is not; a longer pause)──┘

A process has one for each model of its endpoint, shared by all its runs: an endpoint that is gone is gone
for each of them, while one model may be overloaded beside another that is not. What counts is a call that
gave no content at all: no connection, a 5xx, silence, a 429 that names no time. A 429 that names one is
between the provider and that run. Any content is proof of life, and so is a rejection, which takes an
endpoint that works.
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from flynn.domain.errors import ModelFailure
from flynn.model.failures import BrokenStream, EndpointAway, Permanent, Refused, RetryLater, Truncated
from flynn.telemetry.logging import get_logger

FAILURES = 5
"""Failures in a row, of whatever runs, that open the breaker."""
FIRST_PAUSE = 5.0
"""Seconds before the first probe; doubled after each one that fails, and jittered."""
LONGEST_PAUSE = 60.0
LONGEST_ASKED = 300.0
"""Seconds that a probe is put off because the provider asks for it."""

State = Literal["closed", "open", "half_open"]

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a model is seen from here. `since` and `detail` are those of the first failure of an outage."""

    model: str
    state: State
    since: datetime | None = None
    detail: str | None = None


class Attempt:
    """A call that was let through."""

    __slots__ = ("_breaker", "answered")

    def __init__(self, breaker: "Breaker") -> None:
        self._breaker = breaker
        self.answered = False

    def answer(self) -> None:
        """Content has come: the endpoint lives."""
        if not self.answered:
            self.answered = True
            self._breaker.close()


class Breaker:
    """The breaker of one model. `changed` is told of every new state; `clock` gives seconds."""

    def __init__(
        self,
        model: str,
        *,
        changed: Callable[[Standing], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.model = model
        self._changed = changed
        self._clock = clock
        self._failures = 0
        self._since: datetime | None = None
        self._detail: str | None = None
        self._pause = 0.0
        self._probe_at = 0.0
        self._probing = False

    @property
    def standing(self) -> Standing:
        """The state, since when, and why."""
        if self._since is None:
            return Standing(self.model, "closed")
        return Standing(self.model, "half_open" if self._probing else "open", self._since, self._detail)

    def refusal(self) -> EndpointAway | None:
        """Why a call would not be made now; None when it would be."""
        if self._since is None:
            return None
        rest = FIRST_PAUSE if self._probing else self._probe_at - self._clock()
        if rest <= 0:
            return None
        return EndpointAway(
            f"{self.model} has not answered since {self._since:%H:%M:%S} UTC: {self._detail}",
            retry_after=rest,
            usage_final=True,
        )

    @contextmanager
    def call(self) -> Iterator[Attempt]:
        """Make a call inside, and say when content comes. Raises EndpointAway when none may go out."""
        refusal = self.refusal()
        if refusal is not None:
            raise refusal
        probe = self._since is not None
        if probe:
            self._probing = True
            self._tell()
        attempt = Attempt(self)
        try:
            yield attempt
        except ModelFailure as failure:
            if probe:
                self._probing = False
            if not attempt.answered:
                self._judge(failure, probe=probe)
            raise
        finally:
            # A call that was given up tells nothing; the next one is the probe.
            if probe and self._probing:
                self._probing = False
                self._tell()

    def close(self) -> None:
        """The endpoint answers."""
        self._failures = 0
        if self._since is not None:
            away = (datetime.now(UTC) - self._since).total_seconds()
            _log.info("the model answers again", model=self.model, away_seconds=round(away, 1))
            self._since = self._detail = None
            self._probing = False
            self._pause = 0.0
            self._tell()

    def _judge(self, failure: ModelFailure, *, probe: bool) -> None:
        match failure:
            case Permanent(provider_status=None) | EndpointAway():
                pass  # it never left this process
            case Permanent() | Refused() | Truncated():
                self.close()
            case RetryLater(provider_status=429, retry_after=float(asked)):
                if probe:
                    self._open(failure, asked)
            case RetryLater() | BrokenStream():
                self._failures += 1
                if probe or (self._since is None and self._failures >= FAILURES):
                    self._open(failure, failure.retry_after or 0.0)
            case _:
                pass

    def _open(self, failure: ModelFailure, asked: float) -> None:
        self._pause = min(2 * self._pause, LONGEST_PAUSE) or FIRST_PAUSE
        # Spread, so that the processes of a service do not probe in step.
        pause = self._pause * random.uniform(0.8, 1.2)  # noqa: S311 jitter
        pause = max(pause, min(asked, LONGEST_ASKED))
        self._probe_at = self._clock() + pause
        if self._since is None:
            self._since = datetime.now(UTC)
        self._detail = failure.detail
        _log.warning(
            "the model does not answer; it is not called for a while",
            model=self.model,
            probe_in_seconds=round(pause, 1),
            reason=failure.detail,
        )
        self._tell()

    def _tell(self) -> None:
        if self._changed is not None:
            self._changed(self.standing)
