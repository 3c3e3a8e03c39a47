"""The course of one rule over one subject: quiet, wrong for a while, firing, well for a while, quiet.

A figure that is not known never makes an alert fire, and never resolves one.
"""

from enum import Enum

from flynn.ops.alerts.rule import Rule


class Turn(Enum):
    """What a look changed."""

    FIRED = "fired"
    RESOLVED = "resolved"


class Course:
    """Where it is. Times are seconds of one monotonic clock."""

    __slots__ = ("_rule", "_since", "firing")

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._since: float | None = None
        self.firing = False

    @property
    def quiet(self) -> bool:
        """Whether there is nothing to remember of it."""
        return not self.firing and self._since is None

    def look(self, value: float | None, at: float) -> Turn | None:
        """Take the figure of now."""
        rule = self._rule
        turning = value is not None and (value <= rule.clear if self.firing else value > rule.threshold)
        if not turning:
            self._since = None
            return None
        if self._since is None:
            self._since = at
        if at - self._since < (rule.clears_after if self.firing else rule.lasts):
            return None
        self._since = None
        self.firing = not self.firing
        return Turn.FIRED if self.firing else Turn.RESOLVED

    def forget(self) -> None:
        """Nobody looked for a while, so nothing is known to have lasted."""
        self._since = None
