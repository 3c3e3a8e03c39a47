"""The worker of a process: everything that claims and drives runs, started together and ended in order."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

from flynn.agent.agent_catalog import Catalog
from flynn.agent.prompt import Prompts
from flynn.app.chores import chores_of
from flynn.app.model import Model
from flynn.domain import events as ev
from flynn.intake.rules import Rules
from flynn.live.bus import Bus
from flynn.sandbox.command import Sandbox
from flynn.settings import Settings
from flynn.store import spending
from flynn.store.admission import queues_of
from flynn.store.database import Database
from flynn.store.outage import OUTAGES
from flynn.store.signals import Signals
from flynn.store.standing import hasten_runs
from flynn.telemetry.logging import get_logger
from flynn.telemetry.metrics import Metrics
from flynn.worker.checkout_sweeper import CheckoutSweeper
from flynn.worker.chores import Chores
from flynn.worker.clock import HASTE_SECONDS, Clock
from flynn.worker.courier import Courier
from flynn.worker.endings import Endings
from flynn.worker.engine import Engine
from flynn.worker.overtaking import Overtaking
from flynn.worker.presence import Presence
from flynn.worker.runner import Runner
from flynn.worker.schedule import Schedule
from flynn.worker.sweeper import KeptSnapshots, Sweeper
from flynn.worker.webhook import Webhooks
from flynn.worker.workplace import Caps

GRACE_SECONDS = 3.0
"""How long running calls may go on after a request to end; their runs are handed back.

The whole end takes less than 15 s: this, then the engine's CANCEL_SECONDS and twice its WRITE_SECONDS,
while the doors close; then a second each for saying goodbye (see `flynn.cli.stopping` for what hangs).
"""

LEAVE_SECONDS = 1.0
"""How long what is left of a worker may take to end; a database that does not answer makes it hang."""


async def hasten(database: Database) -> None:
    """Let runs that wait for the model go on soon, with whichever worker; not while the database is away."""
    try:
        async with database.statement() as connection:
            await hasten_runs(connection, within=HASTE_SECONDS)
    except OUTAGES as error:
        get_logger("flynn.worker").warning("runs that wait for the model are not woken", error=str(error))


async def wake_for_the_day(database: Database, allowed: int | None) -> None:
    """Let runs go on that waited for their principal's day, where this process's setting allows more."""
    async with database.statement() as connection:
        woken = await spending.wake_for_the_day(connection, allowed=allowed)
    if woken:
        get_logger("flynn.worker").info("runs that waited for their day go on", runs=len(woken))


@asynccontextmanager
async def open_worker(
    settings: Settings,
    *,
    dsn: str,
    database: Database,
    model: Model,
    sandbox: Sandbox,
    prompts: Prompts,
    agents: Catalog,
    rules: Rules,
    caps: Caps,
    bus: Bus,
    publish: Callable[[Sequence[ev.Recorded]], None],
    metrics: Metrics,
) -> AsyncIterator[Engine]:
    """Work until the block is left; then what is running is handed back."""
    endings = Endings(database=database, limits=rules.limits, admission=rules.admission, metrics=metrics)
    signals = Signals(database, dsn)
    runner = Runner(
        database,
        model=model.client,
        sandbox=sandbox,
        prompts=prompts,
        agents=lambda: agents,
        signals=signals,
        endings=endings,
        caps=caps,
        publish=publish,
        publish_delta=bus.publish_delta,
        metrics=metrics,
    )
    engine = Engine(
        dsn=dsn,
        queues=queues_of(
            (volume.id for volume in caps.mounts.volumes), placeless=caps.mounts.host is not None
        ),
        concurrency=settings.concurrency,
        lease_seconds=settings.lease_seconds,
        handler=runner.run,
        log=get_logger("flynn.engine"),
    )
    clock = Clock(database, admission=rules.admission, publish=publish)
    model.when_it_answers(clock.model_answers)
    if model.key.read():
        # Runs may have waited for just that: a service that was started again with a key.
        clock.model_answers()
    schedule = Schedule(database, rules=rules, publish=publish)
    presence = Presence(
        database,
        volumes=caps.mounts.volumes,
        admission=rules.admission,
        concurrency=settings.concurrency,
        number=lambda: engine.number,
    )
    chores = Chores(database, chores_of(settings))
    kept = KeptSnapshots(
        places=[volume.private for volume in caps.mounts.volumes],
        seconds=settings.keep_undo_days * 86_400,
        most_bytes=caps.snapshot_bytes,
    )
    sweeper = Sweeper(caps.scratch, kept if caps.snapshot_bytes else None)
    checkouts = CheckoutSweeper(database, caps.mounts, keep=timedelta(days=settings.keep_checkouts_days))
    courier = Courier(database, Webhooks(rules.destinations), metrics=metrics)
    await wake_for_the_day(database, caps.day_nanodollars)
    await presence.begin()
    parts = (engine, signals, clock, presence, sweeper, checkouts, chores, courier, schedule)
    tasks = [asyncio.create_task(part.run()) for part in parts]

    def stand_down() -> None:
        # All that acts by this version's rules ends; signals still reach what is being handed back.
        engine.wind_down(GRACE_SECONDS)
        for part, task in zip(parts, tasks, strict=True):
            if part not in (engine, signals):
                task.cancel()

    tasks.append(asyncio.create_task(Overtaking(database, stand_down=stand_down).run()))
    try:
        yield engine
    finally:
        await engine.stop(GRACE_SECONDS)
        for task in tasks[1:]:
            task.cancel()
        done, left = await asyncio.wait(tasks, timeout=LEAVE_SECONDS)
        for task in done:
            if not task.cancelled() and (error := task.exception()) is not None:
                get_logger("flynn.worker").error("a part of the worker broke", exc_info=error)
        if left:
            get_logger("flynn.worker").warning("statements to a database that does not answer are left")
        await presence.end()
