"""What the doctor says of backups while no service runs; one that runs says it itself, at /ready."""

import asyncio
from datetime import UTC, datetime

from flynn.app.backups import policy_of
from flynn.cli.diagnosis import Finding
from flynn.cli.program import called_as
from flynn.ops.backup.catalogue import Catalogue
from flynn.ops.backup.standing import LATE
from flynn.settings import Settings


async def backups_finding(settings: Settings) -> Finding:
    """Whether there are backups of the service's own database, and how old the newest is."""
    if settings.database_url is not None:
        return Finding("backups", "ok", "yours, as the server of DATABASE_URL is (docs/backup.md)")
    if not settings.backups:
        return Finding("backups", "degraded", "none are taken: FLYNN_BACKUPS is false", "Set it to true.")
    policy = policy_of(settings)
    bases = await asyncio.to_thread(Catalogue(policy.directory).bases)
    if not bases:
        minutes = f"{settings.backup_first_minutes:g} minutes"
        return Finding("backups", "ok", f"none yet; a service that runs takes the first after {minutes}")
    newest = bases[-1].finished_at
    detail = f"{len(bases)} in {policy.directory}, the newest of {newest:%Y-%m-%d %H:%M} UTC"
    if datetime.now(UTC) - newest > LATE * policy.every:
        remedy = f"Start the service, which takes the one that is due, or take it now: {called_as()} backup"
        return Finding("backups", "degraded", detail, remedy)
    return Finding("backups", "ok", detail)
