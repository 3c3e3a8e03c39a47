"""Order among backups: what was received is packed, what is not needed is removed, all is weighed."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from flynn.domain.errors import Conflict
from flynn.ops.backup.catalogue import Base, Catalogue
from flynn.ops.backup.retention import outdated, too_much
from flynn.ops.backup.segments import lsn_of, pack, prune, segment_name, segments
from flynn.telemetry.logging import get_logger

EVERY = timedelta(hours=1)


class Housekeeping:
    """Keeps a catalogue in order. Its methods block; only the catalogue's owner calls them."""

    def __init__(self, catalogue: Catalogue, *, keep: timedelta, most_bytes: int) -> None:
        self.bytes = 0
        """What everything took on the disk when it was weighed last."""
        self.shortened = False
        """Whether backups had to go before their time, as they took too much."""
        self._catalogue = catalogue
        self._keep = keep
        self._most = most_bytes
        self._done_at: datetime | None = None
        self._log = get_logger("flynn.backup")

    def weigh(self) -> None:
        """See what everything takes."""
        self.bytes = self._catalogue.bytes()

    def due(self, now: datetime) -> bool:
        """Whether there is something to do: a segment to pack, or it was done long ago."""
        if self._done_at is None or now - self._done_at >= EVERY:
            return True
        return any(
            not (segment.partial or segment.packed)
            for line in self._catalogue.lines()
            for segment in segments(self._catalogue.wal(line))
        )

    def tidy(self, bases: Sequence[Base], current: str | None, now: datetime) -> None:
        """Pack, remove, weigh; `current` is the line that is being received.

        Nothing is removed while somebody restores. Raises OSError.
        """
        for line in self._catalogue.lines():
            pack(self._catalogue.wal(line))
        try:
            with self._catalogue.reading(alone=True):
                self._remove(list(bases), current, now)
            self._done_at = now
        except Conflict:
            self._log.info("old backups are kept while somebody restores")

    def _remove(self, bases: list[Base], current: str | None, now: datetime) -> None:
        ends = {line: covered.at for line in self._lines() if (covered := self._catalogue.covered(line))}
        if current is not None:
            ends[current] = now
        for base in outdated(bases, ends, now=now, keep=self._keep):
            bases.remove(base)
            self._catalogue.remove_base(base.id)
            self._log.info("a backup that is not needed any more was removed", backup=base.id)
        self._prune(bases, current)
        self.weigh()
        excess = too_much(bases, self._sizes(bases), total=self.bytes, most=self._most)
        for base in excess:
            bases.remove(base)
            self._catalogue.remove_base(base.id)
            self._log.error("a backup was removed before its time: they take too much", backup=base.id)
        if excess:
            self._prune(bases, current)
            self.weigh()
        oldest = min((base.finished_at for base in bases), default=now)
        self.shortened = self.bytes > self._most or (
            (self.shortened or bool(excess)) and oldest > now - self._keep
        )

    def _lines(self) -> list[str]:
        return list(self._catalogue.lines())

    def _prune(self, bases: Sequence[Base], current: str | None) -> None:
        for line in self._lines():
            standing = [base for base in bases if base.line == line]
            if standing:
                first = min(standing, key=lambda base: lsn_of(base.start_lsn))
                prune(self._catalogue.wal(line), _first_segment(first))
            elif line != current:
                self._catalogue.remove_line(line)

    def _sizes(self, bases: Sequence[Base]) -> dict[str, int]:
        """What goes with each base: itself, and its line's log until the next one."""
        sizes = {base.id: base.bytes for base in bases}
        for line in self._lines():
            standing = [(_first_segment(base), base.id) for base in bases if base.line == line]
            for segment in segments(self._catalogue.wal(line)):
                before = [standing_id for first, standing_id in sorted(standing) if first <= segment.name]
                if before:
                    sizes[before[-1]] += segment.path.stat().st_size
        return sizes


def _first_segment(base: Base) -> str:
    return segment_name(base.timeline, lsn_of(base.start_lsn))
