"""The sweeper: once a day removes what nobody needs any more on this machine's disks and mounted volumes.

That is the scratch of conversations that nobody goes on with (what is in one, /tmp of the commands and whole
outputs, is promised to nobody for longer), what a killed worker left that looked at former contents, and
snapshots that are older than undo goes back.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flynn.telemetry.logging import get_logger
from flynn.workspace.checks.comparison import PASTS
from flynn.workspace.scratch import sweep_scratches
from flynn.workspace.snapshots.store import Store
from flynn.workspace.snapshots.sweep import SNAPSHOTS, sweep

UNUSED_SECONDS = 30 * 86_400.0
"""How long a conversation may rest before its scratch goes."""
LOOK_SECONDS = 3_600.0
"""How old a tree of former contents may be: no look takes that long."""
EVERY_SECONDS = 86_400.0
MOST = 1_000
"""Directories that one sweep removes; the others wait for the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSnapshots:
    """Where volumes have what belongs to the service, how long snapshots are kept, and their most bytes."""

    places: Sequence[Path]
    seconds: float
    most_bytes: int


class Sweeper:
    """Sweeps `base`, the directory of this machine's scratches. Several processes may do so at once."""

    def __init__(self, base: Path, snapshots: KeptSnapshots | None = None) -> None:
        self._base = base
        self._snapshots = snapshots
        self._log = get_logger("flynn.worker.sweeper")

    async def run(self) -> None:
        """Sweep at once and then every day, until cancelled."""
        while True:
            await self.sweep()
            await self.sweep_snapshots()
            await asyncio.sleep(EVERY_SECONDS)

    async def sweep(self, now: float | None = None) -> int:
        """Remove what was not used for so long at `now` (seconds since 1970); returns how many."""
        places = ((self._base, UNUSED_SECONDS), (self._base.with_name(PASTS), LOOK_SECONDS))
        gone = 0
        for place, seconds in places:
            try:
                gone += await asyncio.to_thread(
                    sweep_scratches, place, unused_seconds=seconds, most=MOST, now=now
                )
            except OSError as error:
                self._log.warning("scratch directories cannot be swept", error=error.strerror)
        if gone:
            self._log.info("scratch directories removed that were not used any more", count=gone)
        return gone

    async def sweep_snapshots(self, now: float | None = None) -> int:
        """Remove snapshots that are too old at `now`, of workspaces where no run is at work; bytes freed."""
        kept = self._snapshots
        if kept is None:
            return 0
        freed = 0
        for place in kept.places:
            try:
                freed += await asyncio.to_thread(_sweep, place / SNAPSHOTS, kept, now)
            except OSError as error:
                self._log.warning("snapshots cannot be swept", error=error.strerror)
        if freed:
            self._log.info("snapshots removed that are not kept any longer", bytes=freed)
        return freed


def _sweep(place: Path, kept: KeptSnapshots, now: float | None) -> int:
    if not place.is_dir():
        return 0
    freed = 0
    for path in sorted(place.iterdir()):
        if path.is_dir():  # one store at a time: each knows all that it holds
            freed += sweep(Store(path, most_bytes=kept.most_bytes), kept_seconds=kept.seconds, now=now) or 0
    return freed
