"""Which database is backed up, and until when its log is here: what a restoring asks, database or not.

A *line* is a stretch of log without a gap. It ends when a part of the log is lost, or when the database was
restored and goes on from an earlier second; bases of before stay good for the seconds of their line.
"""

import json
import math
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from deploy.backup.keeping.barman import Base
from deploy.backup.keeping.database import Look
from deploy.backup.keeping.place import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """`covered_at`: every transaction that had ended by then is here; None before the first look."""

    timeline: int
    began_at: datetime
    covered_at: datetime | None = None

    @property
    def name(self) -> str:
        """Of the directory that keeps its tail."""
        return f"{self.began_at:%Y%m%dT%H%M%S.%fZ}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Any second from `start` to `end` can be had from `bases`, the oldest first."""

    start: datetime
    end: datetime
    bases: tuple[Base, ...]
    line: Line


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """`lines`, the oldest first; the last is the one that is received now."""

    system_identifier: str = ""
    lines: tuple[Line, ...] = ()
    waiting: tuple[datetime, int] | None = field(default=None)
    """A moment, and how far the log was then: the line is covered until then once that much is here."""

    @property
    def line(self) -> Line | None:
        """The one that is received now."""
        return self.lines[-1] if self.lines else None

    def begin(self, look: Look) -> "State":
        """With a new line."""
        line = Line(timeline=look.timeline, began_at=look.at)
        return replace(
            self, system_identifier=look.system_identifier, lines=(*self.lines, line), waiting=None
        )

    def cover(self, look: Look) -> "State":
        """As far as the receiver has come."""
        if not self.lines:
            return self
        at, needed = self.waiting or (look.at, look.written)
        if look.received is None or look.received < needed:
            return replace(self, waiting=(at, needed))
        # Nothing was written that is not here: covered until this very look.
        until = look.at if look.received >= look.written else at
        line = replace(self.lines[-1], covered_at=until)
        following = None if until == look.at else (look.at, look.written)
        return replace(self, lines=(*self.lines[:-1], line), waiting=following)

    def lag_seconds(self, now: datetime) -> float:
        """How far what is here is behind; NaN before anything is."""
        if self.line is None or self.line.covered_at is None:
            return math.nan
        return max(0.0, (now - self.line.covered_at).total_seconds())

    def standing(self, number: int, bases: list[Base]) -> tuple[Base, ...]:
        """Those of `bases` that stand on the line of that number, the oldest first."""
        line = self.lines[number]
        after = self.lines[number:][1:]
        return tuple(
            base
            for base in bases
            if base.timeline == line.timeline
            and line.began_at <= base.began_at
            and not (after and after[0].began_at <= base.began_at)
        )

    def windows(self, bases: list[Base]) -> list[Window]:
        """What can be restored, the newest first."""
        found = []
        for number, line in reversed(list(enumerate(self.lines))):
            standing = self.standing(number, bases)
            if standing:
                start = standing[0].ended_at
                end = max(start, line.covered_at or start)
                found.append(Window(start=start, end=end, bases=standing, line=line))
        return found

    def without(self, bases: list[Base]) -> "State":
        """Without lines of before on which no base stands any more."""
        before = enumerate(self.lines[:-1])
        kept = tuple(line for number, line in before if self.standing(number, bases))
        return replace(self, lines=(*kept, *self.lines[-1:]))


def read(place: Place) -> State:
    """The state that was kept; an empty one at first. Raises ValueError when the file is damaged."""
    try:
        found = json.loads(_file(place).read_text())
    except FileNotFoundError:
        return State()
    lines = tuple(
        Line(
            timeline=int(line["timeline"]),
            began_at=datetime.fromisoformat(line["began_at"]).astimezone(UTC),
            covered_at=datetime.fromisoformat(line["covered_at"]).astimezone(UTC)
            if line["covered_at"]
            else None,
        )
        for line in found["lines"]
    )
    return State(system_identifier=str(found["system_identifier"]), lines=lines)


def write(place: Place, state: State) -> None:
    """Keep `state`: the old or the new is there, never half of one."""
    draft = _file(place).with_suffix(".draft")
    lines = [
        {
            "timeline": line.timeline,
            "began_at": line.began_at.isoformat(),
            "covered_at": line.covered_at.isoformat() if line.covered_at else None,
        }
        for line in state.lines
    ]
    draft.write_text(json.dumps({"system_identifier": state.system_identifier, "lines": lines}, indent=1))
    draft.replace(_file(place))


def _file(place: Place) -> Path:
    return place.home / "state.json"
