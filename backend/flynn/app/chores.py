"""What is done regularly, once for all processes."""

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.settings import Settings
from flynn.store.retention import Retention, sweep
from flynn.telemetry.logging import get_logger
from flynn.worker.chores import Chore

SWEEP_EVERY = timedelta(hours=1)


def chores_of(settings: Settings) -> list[Chore]:
    """The chores, as the settings say."""
    kept = Retention(
        jobs=timedelta(days=settings.keep_jobs_days),
        keys=timedelta(days=settings.keep_idempotency_days),
        originals=timedelta(days=settings.keep_undo_days),
    )
    log = get_logger("flynn.retention")

    async def retain(connection: AsyncConnection, _slot: datetime) -> None:
        if gone := await sweep(connection, kept):
            log.info("rows removed that are not kept any longer", **gone)

    return [Chore(name="retention", period=SWEEP_EVERY, act=retain)]
