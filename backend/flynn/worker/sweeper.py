"""The sweeper: once a day removes the scratch directories of conversations that nobody goes on with.

What is in a scratch (/tmp of the commands, whole outputs) is promised to nobody for longer; a
conversation that is taken up again later finds an empty one.
"""

import asyncio
from pathlib import Path

from flynn.telemetry.logging import get_logger
from flynn.workspace.scratch import sweep_scratches

UNUSED_SECONDS = 30 * 86_400.0
"""How long a conversation may rest before its scratch goes."""
EVERY_SECONDS = 86_400.0
MOST = 1_000
"""Directories that one sweep removes; the others wait for the next."""


class Sweeper:
    """Sweeps `base`, the directory of this machine's scratches. Several processes may do so at once."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self._log = get_logger("flynn.worker.sweeper")

    async def run(self) -> None:
        """Sweep at once and then every day, until cancelled."""
        while True:
            await self.sweep()
            await asyncio.sleep(EVERY_SECONDS)

    async def sweep(self, now: float | None = None) -> int:
        """Remove what was not used for so long at `now` (seconds since 1970); returns how many."""
        try:
            gone = await asyncio.to_thread(
                sweep_scratches, self._base, unused_seconds=UNUSED_SECONDS, most=MOST, now=now
            )
        except OSError as error:
            self._log.warning("scratch directories cannot be swept", error=error.strerror)
            return 0
        if gone:
            self._log.info("scratch directories removed that were not used any more", count=gone)
        return gone
