"""A running process: everything started in order, and closed in reverse."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial

from starlette.types import ASGIApp

from flynn import __version__
from flynn.agent.agent_catalog import Catalog
from flynn.agent.prompt import Prompts
from flynn.app.agents import asset, read_agents
from flynn.app.alerts import check_alerts, watched
from flynn.app.backups import KeptBackups, directory_of, hold_nothing_back, keeper_of, no_backups
from flynn.app.cast import Cast
from flynn.app.database import open_database
from flynn.app.doors import open_doors, open_operations
from flynn.app.example import NOT_OFFERED, ScriptedExample, offers_example
from flynn.app.model import Model
from flynn.app.model_key import HeldKey, ModelKeys
from flynn.app.places import disk_places, own_places
from flynn.app.rules import caps_of, fallback_of, read_rules, rules_of
from flynn.app.seeding import read_mounts, seed
from flynn.app.working import GRACE_SECONDS, hasten, open_worker
from flynn.domain import events as ev
from flynn.domain.errors import ConfigurationError
from flynn.intake import Intake
from flynn.live.bus import Bus
from flynn.live.memory import MemoryBus
from flynn.live.redis import RedisBus
from flynn.ops.backup.keeper import open_keeper
from flynn.ops.backup.standing import backups_part, measure
from flynn.ops.disk import Disks
from flynn.ops.loop_lag import watched_loop
from flynn.ops.readiness import Health, volumes_part
from flynn.ops.scrape import Scrape
from flynn.sandbox.command import Sandbox, SandboxReport
from flynn.sandbox.opening import open_sandbox
from flynn.settings import Settings
from flynn.store.database import Database
from flynn.store.views import Views
from flynn.telemetry.crash_point import reach
from flynn.telemetry.event_metrics import EventMetrics
from flynn.telemetry.logging import get_logger
from flynn.telemetry.metrics import Metrics
from flynn.tools.toolset import TOOLS
from flynn.worker.engine import MARGIN_SECONDS, Engine
from flynn.workspace.mounts import Mounts


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A running process: its doors, and what the command line needs besides.

    `dismiss` tells all who follow a conversation that the service ends, and gives them a moment to hear it.
    """

    api: ASGIApp
    settings: Settings
    database: Database
    views: Views
    intake: Intake
    dismiss: Callable[[], Awaitable[None]]
    agents: Catalog
    health: Health
    sandbox: Sandbox
    owner_key: str
    model_key: HeldKey
    engine: Engine | None = None
    example: ScriptedExample | None = None

    def wind_down(self, *, urgent: bool = False) -> None:
        """Take on no more runs and begin to hand back those in hand; the doors may still be open.

        Leaving the service does so too, and waits for it. Without `urgent` what ends soon may end.
        """
        if self.engine is not None:
            self.engine.wind_down(GRACE_SECONDS)
            if urgent:
                self.engine.hurry()
        if self.example is not None:
            self.example.wind_down(urgent=urgent)


@asynccontextmanager
async def open_service(
    settings: Settings,
    *,
    worker: bool = True,
    doors: bool = True,
    mounts: Mounts | None = None,
    bus: Bus | None = None,
    cast: Cast | None = None,
) -> AsyncIterator[Service]:
    """Start everything that a process needs; on leaving, runs are handed back and all is closed.

    Without `doors` its API is /health, /ready and /metrics only. `mounts` are the only volumes that it
    serves, in the place of those that the settings name. It publishes on `bus`, which it opens, unless that
    follows from the settings. `cast` plays the scripted example, where the settings let it.
    Raises ConfigurationError with one line that says what is wrong.
    """
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        if settings.backup_dir is not None and settings.database_url is None:
            # Before the sandbox is opened, which hides it.
            settings.backup_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{error.filename} cannot be made: {error.strerror}.") from error
    # What is wrong in these stops the start before anything else is begun.
    permissions = read_rules(settings)
    fallback_of(settings)
    check_alerts(settings)
    prompts, agents = Prompts(asset("prompts")), read_agents(settings)
    own_mounts = mounts is None
    mounts = mounts if mounts is not None else read_mounts(settings)
    async with AsyncExitStack() as stack:
        opening = asyncio.create_task(
            open_sandbox(
                private_root=settings.data_dir / "private",
                prefer=settings.sandbox,
                extra_readonly=settings.sandbox_readonly,
                hidden=own_places(settings),
                # A worker that froze is followed by another after a lease; its trees are dead by then.
                silence_seconds=settings.lease_seconds - MARGIN_SECONDS,
            )
        )
        stack.callback(opening.cancel)
        database, address, embedded = await stack.enter_async_context(open_database(settings))
        sandbox = await opening
        mounts = replace(mounts, by_descriptor=sandbox.report.backend == "bubblewrap")
        owner_key = await seed(settings, database, mounts, workspaces=own_mounts)
        _tell_of(sandbox.report)
        metrics = Metrics(tools=TOOLS, version=__version__)
        bus = await stack.enter_async_context(bus or open_bus(settings, metrics))
        keeper = keeper_of(
            settings, database, embedded, counted=lambda how: metrics.backups.labels(how).inc()
        )
        if keeper is not None:
            await stack.enter_async_context(open_keeper(keeper))
        elif embedded is not None:
            await hold_nothing_back(database)
        model = Model(settings, works=worker, metrics=metrics)
        stack.push_async_callback(model.client.close)

        counted = EventMetrics(metrics)

        def publish(recorded: Sequence[ev.Recorded]) -> None:
            counted.observe(recorded)
            reach("publish.before")
            for item in recorded:
                bus.publish(item.conversation_id, item.envelope())
            reach("publish.after")

        views = Views(database)
        rules = rules_of(settings, prompts, sandbox, mounts, keyless=model.keyless)
        intake = Intake(database, views, agents=lambda: agents, rules=rules, publish=publish)
        engine: Engine | None = None
        if worker:
            engine = await stack.enter_async_context(
                open_worker(
                    settings,
                    dsn=address.dsn,
                    database=database,
                    model=model,
                    sandbox=sandbox,
                    prompts=prompts,
                    agents=agents,
                    rules=rules,
                    caps=caps_of(settings, mounts, permissions),
                    bus=bus,
                    publish=publish,
                    metrics=metrics,
                )
            )
        health = Health(
            database=database,
            embedded=(lambda: embedded.state) if embedded else None,
            bus=bus.part,
            queue=(lambda: engine.connected) if engine else None,
            sandbox=sandbox.report,
            model=model.part,
            volumes=volumes_part(len(mounts.volumes), mounts.missing),
            backups=partial(backups_part, keeper) if keeper is not None else None,
        )
        scrape = Scrape(
            metrics,
            database=database,
            ready=health.ready,
            standings=model.client.standings,
            held=lambda: engine.held if engine else 0,
            disks=Disks(
                disk_places(
                    settings,
                    volumes=[volume.root for volume in mounts.declared],
                    backups=directory_of(settings) if keeper is not None else None,
                )
            ),
            lag=await stack.enter_async_context(watched_loop()),
            lease_seconds=settings.lease_seconds,
            measure=partial(measure, keeper, metrics) if keeper is not None else None,
        )
        alerts = await stack.enter_async_context(
            watched(
                settings,
                database=database,
                bus=bus,
                metrics=metrics,
                scrape=scrape,
                doors=doors,
                watching=own_mounts,  # else it is a part of another process, which watches
            )
        )
        example = None
        if cast is not None and offers_example(settings):
            example = await stack.enter_async_context(
                ScriptedExample(
                    settings,
                    address=address,
                    database=database,
                    views=views,
                    bus=bus,
                    cast=cast,
                    by_descriptor=mounts.by_descriptor,
                )
            )
        opened = await stack.enter_async_context(
            open_doors(
                settings,
                intake=intake,
                views=views,
                bus=bus,
                alerts=alerts,
                agents=agents,
                model_keys=ModelKeys(
                    model.key,
                    client=model.client,
                    address=settings.anthropic_base_url,
                    hasten=partial(hasten, database),
                ),
                health=health,
                scrape=scrape,
                metrics=metrics,
                example=example or NOT_OFFERED,
                backups=KeptBackups(keeper) if keeper is not None else no_backups(settings),
            )
            if doors
            else open_operations(settings, views=views, health=health, scrape=scrape, metrics=metrics)
        )
        yield Service(
            api=opened.api,
            settings=settings,
            database=database,
            views=views,
            intake=intake,
            dismiss=opened.dismiss,
            agents=agents,
            health=health,
            sandbox=sandbox,
            owner_key=owner_key,
            model_key=model.key,
            engine=engine,
            example=example,
        )


def open_bus(settings: Settings, metrics: Metrics) -> Bus:
    """The bus that the settings name."""
    if settings.redis_url:
        return RedisBus(settings.redis_url, lost=metrics.publishes_lost.inc)
    return MemoryBus()


def _tell_of(report: SandboxReport) -> None:
    """The sandbox in the log of the start: what commands run in, and each layer that is missing."""
    log = get_logger("flynn.sandbox")
    if report.backend is None:
        log.warning("there is no sandbox, so no Bash, Glob or Grep", reason=report.reason)
        return
    facts = {
        "backend": report.backend,
        "layers": list(report.layers),
        "missing": list(report.missing),
        "reason": report.reason,
    }
    if report.backend == "unconfined":
        log.error("commands run WITHOUT A SANDBOX, because the operator says so", **facts)
    elif report.missing:
        log.warning("commands run in a sandbox that lacks layers", **facts)
    else:
        log.info("commands run in a sandbox", **facts)
