"""The plan of a restoring: which base, until when, how much room. Changes nothing, needs no database."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from deploy.backup.keeping import files, state
from deploy.backup.keeping.barman import Barman, BarmanFailed, Base
from deploy.backup.keeping.place import SERVER, Place
from deploy.backup.keeping.state import Window
from flynn.domain.errors import InvalidInput, NotFound
from flynn.ops.backup.catalogue import Bundled
from flynn.ops.backup.plan import target_of

ROOM_BYTES = 256_000_000
"""What is left free beside a restored database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is restored. `target` None: everything that is here."""

    base: Base
    target: datetime | None
    window: Window
    log_bytes: int
    """Most of the log that is laid beside the base, unpacked."""
    files: Bundled | None
    """What comes out of the archive of files beside the base; None when there is none."""
    files_at: datetime
    """When those were packed."""

    @property
    def bytes(self) -> int:
        """What the restored database takes before anything is removed."""
        return self.base.bytes + self.log_bytes


def make_plan(place: Place, barman: Barman, to: str) -> Plan:
    """How the state at `to` (a time with its zone, or `latest`) is made.

    Raises NotFound without a base, InvalidInput for a time that no window holds, naming them, BarmanFailed.
    """
    target = target_of(to)
    bases = barman.bases()
    windows = state.read(place).windows(bases)
    if not windows:
        raise NotFound("There is no backup yet; the backup service takes the first when it starts.")
    for window in windows:
        if target is None or window.start <= target <= window.end:
            chosen = [base for base in window.bases if target is None or base.ended_at <= target]
            break
    else:
        raise InvalidInput(
            f"{to} cannot be restored. What can, any second of it: {spoken(windows)}; or latest."
        )
    base = chosen[-1]
    archived = files.about(place, base.id) if files.has_archive(place, base.id) else None
    return Plan(
        base=base,
        target=target,
        window=window,
        log_bytes=_log_bytes(place, barman, base),
        files=archived,
        files_at=files.taken_at(place, base.id) if archived else base.ended_at,
    )


def spoken(windows: Iterable[Window]) -> str:
    """Windows as people read them."""
    return "; ".join(
        f"{window.start:%Y-%m-%dT%H:%M:%SZ} to {window.end:%Y-%m-%dT%H:%M:%SZ}" for window in windows
    )


def described(plan: Plan) -> list[str]:
    """The plan, in lines for people."""
    wanted = f"{plan.target:%Y-%m-%d %H:%M:%S} UTC" if plan.target else "the latest that is kept"
    lines = [
        f"Restore: {wanted}",
        f"  from the base {plan.base.id} of {plan.base.ended_at:%Y-%m-%d %H:%M:%S} UTC",
        f"  database: {megabytes(plan.base.bytes)}, then up to {megabytes(plan.log_bytes)} of the log",
    ]
    if plan.files is None:
        lines.append("  workspaces: none were archived with this base")
    else:
        lines.append(
            f"  workspaces: {plan.files.entries} files ({megabytes(plan.files.content_bytes)}) as they were "
            f"at {plan.files_at:%Y-%m-%d %H:%M:%S} UTC, which is not the second asked for"
        )
        lines += [f"    not in it: {name!r}" for name in plan.files.skipped]
    return lines


def need_room(plan: Plan, directory: Path) -> None:
    """Raise InvalidInput when the disk of `directory` has no room for the restored database."""
    free = shutil.disk_usage(directory if directory.is_dir() else directory.parent).free
    if free < (needed := plan.bytes + ROOM_BYTES):
        raise InvalidInput(
            f"Restoring takes {megabytes(needed)}, and {megabytes(free)} are free: free some, and try again."
        )


def megabytes(count: int) -> str:
    """A size for people."""
    return f"{count / 1_000_000:,.1f} MB"


def _log_bytes(place: Place, barman: Barman, base: Base) -> int:
    """The log since the base: files of it, and what is received now."""
    try:
        listed = barman.run("list-files", "--target", "wal", SERVER, base.id).split()
    except BarmanFailed:
        listed = []
    waiting = [path for path in (place.server / "streaming").glob("*") if path.is_file()]
    return (len(listed) + len(waiting)) * 16 * 1024 * 1024
