"""The plan of a restoring: which base, which segments, and what it would take. Changes nothing."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from flynn.domain.backup import Window
from flynn.domain.errors import InvalidInput, NotFound
from flynn.ops.backup.catalogue import Base, Catalogue
from flynn.ops.backup.segments import (
    SEGMENT_BYTES,
    Segment,
    gap_after,
    goes_on,
    histories,
    lsn_of,
    segment_name,
    segments,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is restored. `target` None: everything that is there."""

    base: Base
    place: Path
    """The base's directory."""
    target: datetime | None
    segments: tuple[Segment, ...]
    histories: tuple[Path, ...]
    window: Window

    @property
    def replay_bytes(self) -> int:
        """Most of the log that is replayed."""
        return len(self.segments) * SEGMENT_BYTES

    @property
    def bytes(self) -> int:
        """What the restored files and the log take before anything is removed."""
        content = self.base.database.content_bytes + self.base.workspaces.content_bytes
        return content + self.replay_bytes


def spoken(windows: Iterable[Window]) -> str:
    """Windows as people read them, the newest first."""
    return "; ".join(
        f"{window.start:%Y-%m-%dT%H:%M:%SZ} to {window.end:%Y-%m-%dT%H:%M:%SZ}" for window in windows
    )


def target_of(text: str) -> datetime | None:
    """What `--to` names: a time with its zone, as RFC 3339 has it, or None for `latest`.

    Raises InvalidInput.
    """
    if text.strip().lower() == "latest":
        return None
    try:
        found = datetime.fromisoformat(text.strip().replace("z", "Z"))
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise InvalidInput(
            f"{text!r} is no time that can be restored: write it with its zone, such as "
            f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}, or latest."
        )
    return found.astimezone(UTC)


def make_plan(catalogue: Catalogue, target: datetime | None, *, cluster: Path | None = None) -> Plan:
    """How the state at `target` is made. Blocks.

    For `latest`, what the server over `cluster` wrote and nobody received any more is taken too, if it
    goes on where the line ends. Raises NotFound without a backup, InvalidInput for a time that no window
    holds, naming them.
    """
    bases = catalogue.bases()
    windows = catalogue.windows(bases)
    if not bases:
        raise NotFound(f"There is no backup in {catalogue.directory}; `flynn backup` takes one.")
    base = bases[-1] if target is None else _base_for(catalogue, bases, target, windows)
    line = base.line
    window = catalogue.windows([other for other in bases if other.line == line])[0]
    first = segment_name(base.timeline, lsn_of(base.start_lsn))
    wal = catalogue.wal(line)
    found = [segment for segment in segments(wal) if segment.name >= first]
    if missing := gap_after(found):
        raise NotFound(
            f"The log after the backup {base.id} has a gap: {missing} is missing. Restore a time of another "
            f"backup; there are: {spoken(windows)}."
        )
    if target is None and cluster is not None:
        found = _with_own(found, cluster, base)
    return Plan(
        base=base,
        place=catalogue.base(base.id),
        target=target,
        segments=tuple(found),
        histories=tuple(histories(wal)),
        window=window,
    )


def _base_for(catalogue: Catalogue, bases: list[Base], target: datetime, windows: list[Window]) -> Base:
    for line in dict.fromkeys(base.line for base in bases):
        standing = [base for base in bases if base.line == line]
        (window,) = catalogue.windows(standing)
        if window.start <= target <= window.end:
            return [base for base in standing if base.finished_at <= target][-1]
    raise InvalidInput(
        f"{target:%Y-%m-%dT%H:%M:%SZ} cannot be restored. What can, any second of it: {spoken(windows)}; or "
        "latest."
    )


def _with_own(found: list[Segment], cluster: Path, base: Base) -> list[Segment]:
    """`found`, and what the server's own log has beyond it."""
    if not found or not _is_of(cluster, base):
        return found
    own = {segment.name: segment for segment in segments(cluster / "pg_wal")}
    last = found[-1]
    if last.partial:
        live = own.get(last.name)
        if live is None or not goes_on(last.path, live.path):
            return found
        found = [*found[:-1], live]
    for name in sorted(name for name in own if name > last.name and name[:8] == last.name[:8]):
        if gap_after([found[-1], own[name]]):
            break
        found.append(own[name])
    return found


def _is_of(cluster: Path, base: Base) -> bool:
    try:
        with (cluster / "global" / "pg_control").open("rb") as file:
            return str(int.from_bytes(file.read(8), "little")) == base.system_identifier
    except OSError:
        return False
