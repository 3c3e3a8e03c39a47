"""Overtaken: this process runs beside a newer version, which has migrated their database.

Schemas only grow, so it may go on for a moment; then it says that it is not ready, so that a proxy brings
its clients to processes of the newer version, which know all that the log may hold by then.
"""

import time

from flynn.domain.readiness import Part
from flynn.store.migrate import newer_schema

ASIDE_SECONDS = 10.0
"""How long it counts as ready after that was first seen: the newer process is opening its own doors."""


class Overtaken:
    """Remembers since when the schema is a newer version's."""

    def __init__(self, *, aside_seconds: float = ASIDE_SECONDS) -> None:
        self._aside_seconds = aside_seconds
        self._since: float | None = None

    def part(self, found: str | None) -> Part | None:
        """The part `database`, with `found` as its schema; None while this version knows that."""
        said = newer_schema(found)
        if said is None:
            self._since = None
            return None
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        aside = now - self._since >= self._aside_seconds
        return Part(
            name="database",
            state="down" if aside else "degraded",
            detail=f"{said} This process takes no runs, and clients belong at one of the newer version.",
        )
