"""Readiness: how the parts of the service are, asked when somebody asks."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from flynn.domain.model_key import HOW_TO_GIVE, NO_KEY
from flynn.domain.readiness import Part, Readiness
from flynn.model.breaker import Standing
from flynn.ops.overtaken import Overtaken
from flynn.sandbox.command import SandboxReport
from flynn.store.database import Database
from flynn.store.migrate import revision
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
    model: Callable[[], Part]
    volumes: Part
    backups: Callable[[], Part] | None = None
    overtaken: Overtaken = field(default_factory=Overtaken)

    async def ready(self) -> Readiness:
        """How everything is now. `ok` is false when a part that nothing works without is down."""
        parts = [
            await self._database(),
            self._queue(),
            self.bus(),
            sandbox_part(self.sandbox),
            self.model(),
            self.volumes,
        ]
        if self.backups is not None:
            parts.append(self.backups())
        return Readiness(ok=all(part.state != "down" for part in parts), parts=parts)

    async def _database(self) -> Part:
        kind = "embedded PostgreSQL" if self.embedded else "PostgreSQL"
        try:
            async with asyncio.timeout(PATIENCE), self.database.statement() as connection:
                found = await revision(connection)
        except OUTAGES as error:
            state = f" ({self.embedded()})" if self.embedded else ""
            return Part(
                name="database",
                state="down",
                detail=f"{kind} does not answer{state}: {type(error).__name__}. It is tried again.",
            )
        return self.overtaken.part(found) or Part(name="database", state="ok", detail=kind)

    def _queue(self) -> Part:
        if self.queue is None:
            return Part(name="queue", state="ok", detail="this process has no worker")
        if self.queue():
            return Part(name="queue", state="ok", detail="the worker takes jobs and holds its leases")
        return Part(
            name="queue",
            state="degraded",
            detail="The worker's lease is not confirmed; runs wait until the database answers.",
        )


def sandbox_part(report: SandboxReport) -> Part:
    """The sandbox that commands run in, what it lacks, and why it is not a stronger one.

    One that lacks something is told by that alone: `flynn doctor` lists what it has.
    """
    if report.backend is None:
        return Part(name="sandbox", state="degraded", detail=f"Bash, Glob and Grep are off: {report.reason}")
    if report.backend == "unconfined":
        return Part(
            name="sandbox",
            state="degraded",
            detail=f"Commands run WITHOUT A SANDBOX; missing: {', '.join(report.missing)}",
        )
    reason = f"; {report.reason}" if report.reason else ""
    if report.missing:
        without = f"{report.backend}, without {'; '.join(report.missing)}"
        return Part(name="sandbox", state="degraded", detail=f"{without}{reason}")
    return Part(name="sandbox", state="ok", detail=f"{report.backend} ({', '.join(report.layers)}){reason}")


def volumes_part(mounted: int, missing: Sequence[str]) -> Part:
    """Which of this process's volumes were there when it started."""
    if missing:
        return Part(
            name="volumes",
            state="degraded",
            detail=f"Work on what lies there is left to other processes. {' '.join(missing)}",
        )
    return Part(name="volumes", state="ok", detail=f"{mounted} mounted")


def model_part(
    *,
    key: str | None,
    needed: bool = True,
    accepted: bool | None = None,
    address: str,
    standings: Sequence[Standing],
) -> Part:
    """How the model is set up, and which of those that were called here do not answer. Nobody is called.

    `key` says where the key comes from, None without one; `needed`, whether this process runs the agent;
    `accepted`, what the endpoint last said of the key.
    """
    if not key and not needed:
        return Part(name="model", state="ok", detail="this process has no key, and no worker that needs one")
    if not key:
        return Part(name="model", state="degraded", detail=f"{NO_KEY}. {HOW_TO_GIVE}. Runs wait for it.")
    if accepted is False:
        return Part(
            name="model",
            state="degraded",
            detail=f"{address} refuses the {key}: runs end with an error that says so.",
        )
    away = [
        f"{s.model} has not answered since {s.since:%Y-%m-%d %H:%M:%S} UTC ({s.detail})"
        for s in standings
        if s.since is not None
    ]
    if away:
        return Part(
            name="model",
            state="degraded",
            detail=f"{address}: {'; '.join(away)}. Runs wait, or ask the fallback model; it is tried again.",
        )
    return Part(name="model", state="ok", detail=f"{address}, {key}")
