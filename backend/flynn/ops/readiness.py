"""Readiness: how the parts of the service are, asked when somebody asks."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import text

from flynn.domain.readiness import Part, Readiness
from flynn.sandbox.command import SandboxReport
from flynn.store.database import Database
from flynn.store.outage import OUTAGES

PATIENCE = 2.0
"""Seconds after which a database that does not answer counts as away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Asks each part. `queue` says whether this process's lease holds, None when it has no worker."""

    database: Database
    embedded: Callable[[], str] | None
    bus: Callable[[], Part]
    queue: Callable[[], bool] | None
    sandbox: SandboxReport
    model: Part

    async def ready(self) -> Readiness:
        """How everything is now. `ok` is false when a part that nothing works without is down."""
        parts = [await self._database(), self._queue(), self.bus(), self._sandbox(), self.model]
        return Readiness(ok=all(part.state != "down" for part in parts), parts=parts)

    async def _database(self) -> Part:
        kind = "embedded PostgreSQL" if self.embedded else "PostgreSQL"
        try:
            async with asyncio.timeout(PATIENCE), self.database.statement() as connection:
                await connection.execute(text("SELECT 1"))
        except OUTAGES as error:
            state = f" ({self.embedded()})" if self.embedded else ""
            return Part(
                name="database",
                state="down",
                detail=f"{kind} does not answer{state}: {type(error).__name__}. It is tried again.",
            )
        return Part(name="database", state="ok", detail=kind)

    def _queue(self) -> Part:
        if self.queue is None:
            return Part(name="queue", state="ok", detail="this process has no worker")
        if self.queue():
            return Part(name="queue", state="ok")
        return Part(
            name="queue",
            state="degraded",
            detail="The worker's lease is not confirmed; runs wait until the database answers.",
        )

    def _sandbox(self) -> Part:
        report = self.sandbox
        if report.backend is None:
            return Part(
                name="sandbox", state="degraded", detail=f"Bash, Glob and Grep are off: {report.reason}"
            )
        if report.backend == "unconfined":
            return Part(
                name="sandbox",
                state="degraded",
                detail=f"Commands run WITHOUT A SANDBOX; missing: {', '.join(report.missing)}",
            )
        missing = f"; missing: {', '.join(report.missing)}" if report.missing else ""
        return Part(
            name="sandbox",
            state="degraded" if report.missing else "ok",
            detail=f"{report.backend} ({', '.join(report.layers)}){missing}",
        )


def model_part(*, key: bool, address: str) -> Part:
    """How the model is set up; nobody is called to find out."""
    if key:
        return Part(name="model", state="ok", detail=address)
    return Part(
        name="model",
        state="degraded",
        detail="There is no ANTHROPIC_API_KEY: runs end with an error that says so.",
    )
