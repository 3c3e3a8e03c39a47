"""A running process: everything started in order, and closed in reverse."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from starlette.types import ASGIApp

from flynn.agent.agent_catalog import Catalog
from flynn.agent.prompt import Prompts
from flynn.api.server import create_api
from flynn.app.agents import asset, read_agents, views_of
from flynn.app.database import open_database
from flynn.app.page import open_page
from flynn.app.rules import caps_of, read_rules, rules_of, switches
from flynn.app.seeding import read_mounts, seed
from flynn.domain import events as ev
from flynn.domain.errors import ConfigurationError
from flynn.intake import Intake
from flynn.live.bus import Bus
from flynn.live.hub import Hub
from flynn.live.memory import MemoryBus
from flynn.live.redis import RedisBus
from flynn.model.claude import Claude
from flynn.ops.readiness import Health, model_part, volumes_part
from flynn.sandbox.command import Sandbox, SandboxReport
from flynn.sandbox.opening import open_sandbox
from flynn.settings import Settings
from flynn.store.admission import queues_of
from flynn.store.database import Database
from flynn.store.signals import Signals
from flynn.store.views import Views
from flynn.telemetry.logging import get_logger
from flynn.telemetry.redaction import register_secret
from flynn.worker.clock import Clock
from flynn.worker.endings import Endings
from flynn.worker.engine import MARGIN_SECONDS, Engine
from flynn.worker.presence import Presence
from flynn.worker.runner import Runner
from flynn.worker.sweeper import Sweeper

GRACE_SECONDS = 5.0
"""How long running calls may go on after a request to end; their runs are handed back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A running process: its doors, and what the command line needs besides."""

    api: ASGIApp
    settings: Settings
    database: Database
    views: Views
    intake: Intake
    agents: Catalog
    health: Health
    sandbox: Sandbox
    owner_key: str


@asynccontextmanager
async def open_service(settings: Settings, *, worker: bool = True) -> AsyncIterator[Service]:
    """Start everything that a process needs; on leaving, runs are handed back and all is closed.

    Raises ConfigurationError with one line that says what is wrong.
    """
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"FLYNN_DATA_DIR {settings.data_dir} cannot be made: {error.strerror}."
        ) from error
    api_key = settings.anthropic_api_key.get_secret_value() if settings.anthropic_api_key else None
    if api_key:
        register_secret(api_key)
    permissions = read_rules(settings)  # what is wrong in it stops the start before anything else is begun
    prompts, agents = Prompts(asset("prompts")), read_agents(settings)
    mounts = read_mounts(settings)
    async with AsyncExitStack() as stack:
        opening = asyncio.create_task(
            open_sandbox(
                private_root=settings.data_dir / "private",
                prefer=settings.sandbox,
                extra_readonly=settings.sandbox_readonly,
                hidden=[settings.data_dir.resolve()],
                # A worker that froze is followed by another after a lease; its trees are dead by then.
                silence_seconds=settings.lease_seconds - MARGIN_SECONDS,
            )
        )
        stack.callback(opening.cancel)
        database, address, embedded = await stack.enter_async_context(open_database(settings))
        sandbox = await opening
        mounts = replace(mounts, by_descriptor=sandbox.report.backend == "bubblewrap")
        owner_key = await seed(settings, database, mounts)
        _tell_of(sandbox.report)
        bus: Bus = await stack.enter_async_context(
            RedisBus(settings.redis_url) if settings.redis_url else MemoryBus()
        )
        model = Claude(
            api_key=api_key,
            base_url=settings.anthropic_base_url,
            switches=switches(settings),
            idle_timeout_seconds=settings.model_idle_seconds,
        )
        stack.push_async_callback(model.close)

        def publish(recorded: Sequence[ev.Recorded]) -> None:
            for item in recorded:
                bus.publish(item.conversation_id, item.envelope())

        views = Views(database)
        rules = rules_of(settings, prompts, sandbox, mounts)
        intake = Intake(database, views, agents=lambda: agents, rules=rules, publish=publish)
        engine: Engine | None = None
        if worker:
            caps = caps_of(settings, mounts, permissions)
            endings = Endings(database=database, limits=rules.limits, admission=rules.admission)
            signals = Signals(database, address.dsn)
            runner = Runner(
                database,
                model=model,
                sandbox=sandbox,
                prompts=prompts,
                agents=lambda: agents,
                signals=signals,
                endings=endings,
                caps=caps,
                publish=publish,
                publish_delta=bus.publish_delta,
            )
            engine = Engine(
                dsn=address.dsn,
                queues=queues_of(volume.id for volume in mounts.volumes),
                concurrency=settings.concurrency,
                lease_seconds=settings.lease_seconds,
                handler=runner.run,
                log=get_logger("flynn.engine"),
            )
            clock = Clock(database, admission=rules.admission, publish=publish)
            presence = Presence(database, volumes=mounts.volumes, admission=rules.admission)
            stack.push_async_callback(presence.end)
            await presence.begin()
            sweeper = Sweeper(caps.scratch)
            await stack.enter_async_context(_working(engine, signals, clock, presence, sweeper))
        health = Health(
            database=database,
            embedded=(lambda: embedded.state) if embedded else None,
            bus=bus.part,
            queue=(lambda: engine.connected) if engine else None,
            sandbox=sandbox.report,
            model=model_part(key=api_key is not None, address=settings.anthropic_base_url),
            volumes=volumes_part(len(mounts.volumes), mounts.missing),
        )
        hub = await stack.enter_async_context(
            Hub(bus, marks=views.marks, replay=views.envelopes, unseen=views.unseen)
        )
        shown = views_of(agents, settings)
        api = create_api(
            intake=intake,
            views=views,
            hub=hub,
            bus=bus,
            agents=lambda: shown,
            ready=health.ready,
            page=open_page(),
            message_max_bytes=settings.message_max_bytes,
            allowed_origins=settings.allowed_origins,
            host=settings.host,
        )
        yield Service(
            api=api,
            settings=settings,
            database=database,
            views=views,
            intake=intake,
            agents=agents,
            health=health,
            sandbox=sandbox,
            owner_key=owner_key,
        )


@asynccontextmanager
async def _working(
    engine: Engine, signals: Signals, clock: Clock, presence: Presence, sweeper: Sweeper
) -> AsyncIterator[None]:
    """Run the worker's tasks; at the end hand back what is running."""
    tasks = [asyncio.create_task(part.run()) for part in (engine, signals, clock, presence, sweeper)]
    try:
        yield
    finally:
        await engine.stop(GRACE_SECONDS)
        for task in tasks[1:]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


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
