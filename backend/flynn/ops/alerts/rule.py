"""A rule: what is looked at, from where on it is wrong, and for how long, as data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, assert_never

from flynn.domain.alert import Severity
from flynn.ops.alerts.reading import Reading

Unit = Literal["ratio", "seconds", "count"]

Reach = Literal["service", "machine", "process"]
"""What an alert is about: the service, whichever process says so; a machine; or one process alone."""

Measured = Mapping[str, float]
"""Figures by subject; the subject of the whole is the empty string. What is missing is not known."""

RUNBOOK = "docs/runbook.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Fires when a figure is above `threshold` for `lasts` seconds.

    It is resolved when the figure has been at or below `clear` for `clears_after` seconds. `sentence` may
    name {value}, {threshold} and {subject}. `query` gives the figure in PromQL, one series a subject, whose
    label is `label`; `measure` gives it in the process, and is None for what no process sees of itself.
    """

    name: str
    severity: Severity
    reach: Reach
    sentence: str
    unit: Unit
    threshold: float
    clear: float
    lasts: float
    clears_after: float
    query: str
    measure: Callable[[Reading], Measured] | None
    label: str | None = None

    @property
    def runbook(self) -> str:
        """Where the runbook speaks of it."""
        return f"{RUNBOOK}#{self.name.lower()}"

    def at(self, threshold: float) -> "Rule":
        """The rule with another threshold; it clears in proportion."""
        share = self.clear / self.threshold if self.threshold else 1.0
        return replace(self, threshold=threshold, clear=threshold * share)

    def paced(self, factor: float) -> "Rule":
        """The rule with all that lasts multiplied by `factor`."""
        return replace(self, lasts=self.lasts * factor, clears_after=self.clears_after * factor)

    def say(self, value: float, subject: str) -> str:
        """The sentence with a figure."""
        return self.filled(shown(value, self.unit), subject)

    def filled(self, value: str, subject: str) -> str:
        """The sentence with words for the figure."""
        return self.sentence.format(value=value, threshold=shown(self.threshold, self.unit), subject=subject)


def shown(value: float, unit: Unit) -> str:
    """A figure for people."""
    match unit:
        case "ratio":
            return f"{100 * value:.3g} %"
        case "seconds":
            return _duration(value)
        case "count":
            return f"{value:g}"
        case _:
            assert_never(unit)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.3g} s"
    if seconds < 7200:
        return f"{seconds / 60:.3g} min"
    return f"{seconds / 3600:.3g} h"
