"""The composition root: puts the parts of a process together, in order, and takes them apart again."""

import asyncio
import os
import platform
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path

from starlette.types import ASGIApp

from flynn.agent.agent_catalog import Catalog, load_agents
from flynn.agent.permission_file import read_permissions
from flynn.agent.prompt import Prompts
from flynn.api.server import create_api
from flynn.domain import addresses
from flynn.domain import events as ev
from flynn.domain.errors import ConfigurationError, FlynnError
from flynn.domain.orders import KeyOrder
from flynn.domain.permission import PermissionMode, PermissionRules
from flynn.domain.principal import key_digest
from flynn.domain.run import Limits
from flynn.domain.usage import nanodollars
from flynn.domain.views import AgentView
from flynn.intake import Intake, keys
from flynn.intake.rules import Rules
from flynn.live.bus import Bus
from flynn.live.hub import Hub
from flynn.live.memory import MemoryBus
from flynn.live.redis import RedisBus
from flynn.model.catalog import resolve
from flynn.model.claude import Claude
from flynn.model.switches import Switches
from flynn.ops.readiness import Health, model_part
from flynn.sandbox.command import Sandbox, SandboxReport
from flynn.sandbox.opening import open_sandbox
from flynn.settings import Settings
from flynn.store.admission import AdmissionLimits
from flynn.store.database import Database
from flynn.store.embedded import EmbeddedPostgres
from flynn.store.migrate import migrate
from flynn.store.seeds import knows_key, seed_default_workspace
from flynn.store.signals import Signals
from flynn.store.views import Views
from flynn.telemetry.logging import get_logger
from flynn.telemetry.redaction import register_secret
from flynn.tools.toolset import TOOLS
from flynn.worker.clock import Clock
from flynn.worker.endings import Endings
from flynn.worker.engine import MARGIN_SECONDS, Engine, schema_sql
from flynn.worker.runner import Caps, Runner

OWNER_KEY = "owner.key"
"""File in the data directory (0600) with the key of this machine's operator."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the database is, for asyncpg under SQLAlchemy (`url`) and for psycopg and asyncpg (`dsn`)."""

    url: str
    dsn: str


def asset(name: str) -> Path:
    """A directory that the wheel carries (`agents`, `prompts`, `examples`), or the checkout's own."""
    packaged = Path(str(resources.files("flynn"))) / "_assets" / name
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / name


def read_agents(settings: Settings) -> Catalog:
    """The agents that can be served; a file that cannot is logged with its line and reason."""
    directories = [asset("agents"), *([settings.agents_dir] if settings.agents_dir else [])]
    catalog = load_agents(directories)
    log = get_logger("flynn.agents")
    for refused in catalog.refused:
        log.error(
            "an agent file cannot be served", file=str(refused.path), line=refused.line, reason=refused.reason
        )
    for agent in catalog:
        for warning in agent.warnings:
            log.warning("an agent file needs a look", agent=agent.name, warning=warning)
    if not len(catalog):
        raise ConfigurationError(f"There is no agent that can be served in {directories[0]}.")
    return catalog


def views_of(catalog: Catalog, settings: Settings) -> list[AgentView]:
    """The agents as clients see them."""
    found = []
    for agent in catalog:
        warnings = list(agent.warnings)
        asked = agent.model if agent.model not in (None, "inherit") else "haiku"
        try:
            model = resolve(asked, settings.model_aliases)
        except FlynnError as error:
            model = asked
            warnings.append(error.detail)
        found.append(
            AgentView(
                name=agent.name,
                version=agent.version,
                description=agent.description,
                model=model,
                tools=list(agent.offered(TOOLS)),
                effort=agent.effort,
                warnings=warnings,
            )
        )
    return found


@asynccontextmanager
async def open_database(
    settings: Settings,
) -> AsyncIterator[tuple[Database, Address, EmbeddedPostgres | None]]:
    """The database, migrated: the server of DATABASE_URL, or our own child.

    Raises ConfigurationError when neither can be had.
    """
    async with AsyncExitStack() as stack:
        embedded: EmbeddedPostgres | None = None
        if settings.database_url is None:
            embedded = EmbeddedPostgres(settings.data_dir / "postgres", log=get_logger("flynn.postgres"))
            await stack.enter_async_context(embedded)
            address = Address(url=embedded.url, dsn=embedded.dsn)
        else:
            address = Address(url=settings.database_url, dsn=addresses.libpq_url(settings.database_url))
        database = Database(address.url, pool_size=settings.pool_size, max_overflow=settings.pool_overflow)
        stack.push_async_callback(database.close)
        try:
            await migrate(database, queue_schema=schema_sql())
        except OSError as error:
            raise ConfigurationError(
                f"DATABASE_URL cannot be reached ({error.strerror or error}): start the server or correct it."
            ) from error
        yield database, address, embedded


async def seed(settings: Settings, database: Database) -> str:
    """Make the default workspace and the owner's key where they are missing; returns that key."""
    workspace = settings.workspace or settings.data_dir / "workspaces" / "default"
    try:
        workspace.mkdir(parents=True, exist_ok=True)
        key = _owner_key(settings.data_dir / OWNER_KEY)
    except OSError as error:
        raise ConfigurationError(f"{error.filename} cannot be made: {error.strerror}.") from error
    async with database.begin() as connection:
        await seed_default_workspace(connection, str(workspace.resolve()))
        if not await knows_key(connection, key_digest(key)):
            await keys.create(connection, KeyOrder(name="owner", scopes=["admin"]), key=key)
    return key


def _owner_key(path: Path) -> str:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        key = f"fly_{secrets.token_urlsafe(32)}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(key + "\n")
        return key


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
    read_rules(settings)  # what is wrong in it stops the start before anything else is begun
    prompts, agents = Prompts(asset("prompts")), read_agents(settings)
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
        owner_key = await seed(settings, database)
        sandbox = await opening
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
        rules = _rules(settings, prompts, sandbox)
        intake = Intake(database, views, agents=lambda: agents, rules=rules, publish=publish)
        engine: Engine | None = None
        if worker:
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
                caps=_caps(settings),
                publish=publish,
                publish_delta=bus.publish_delta,
            )
            engine = Engine(
                dsn=address.dsn,
                queues=None,
                concurrency=settings.concurrency,
                lease_seconds=settings.lease_seconds,
                handler=runner.run,
                log=get_logger("flynn.engine"),
            )
            clock = Clock(database, admission=rules.admission, publish=publish)
            await stack.enter_async_context(_working(engine, signals, clock))
        health = Health(
            database=database,
            embedded=(lambda: embedded.state) if embedded else None,
            bus=bus.part,
            queue=(lambda: engine.connected) if engine else None,
            sandbox=sandbox.report,
            model=model_part(key=api_key is not None, address=settings.anthropic_base_url),
        )
        hub = await stack.enter_async_context(Hub(bus, marks=views.marks, replay=views.envelopes))
        shown = views_of(agents, settings)
        api = create_api(
            intake=intake,
            views=views,
            hub=hub,
            bus=bus,
            agents=lambda: shown,
            ready=health.ready,
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
async def _working(engine: Engine, signals: Signals, clock: Clock) -> AsyncIterator[None]:
    """Run the worker's tasks; at the end hand back what is running."""
    tasks = [asyncio.create_task(part.run()) for part in (engine, signals, clock)]
    try:
        yield
    finally:
        await engine.stop(GRACE_SECONDS)
        for task in tasks[1:]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def switches(settings: Settings) -> Switches:
    """What the model's endpoint can do, as the settings say."""
    return Switches(
        caching=settings.endpoint_cache,
        effort=settings.endpoint_effort,
        count_tokens=settings.endpoint_count_tokens,
        auth=settings.endpoint_auth,
    )


def _own_places(settings: Settings) -> tuple[Path, ...]:
    """What no workspace may be, hold or lie in."""
    data = settings.data_dir.resolve()
    return data / "postgres", data / "private", data / OWNER_KEY


def _caps(settings: Settings) -> Caps:
    return Caps(
        max_output_tokens=settings.max_output_tokens,
        output_ceiling=settings.max_output_tokens_ceiling,
        aliases=dict(settings.model_aliases),
        scratch=settings.data_dir.resolve() / "private" / "scratch",
        forbidden=_own_places(settings),
        permissions=read_rules(settings),
        patience=timedelta(hours=settings.approval_hours),
    )


def read_rules(settings: Settings) -> PermissionRules:
    """The operator's permission rules in the operator's mode. Raises ConfigurationError."""
    rules = read_permissions(settings.permissions) if settings.permissions else PermissionRules()
    return rules.joined(PermissionRules(mode=PermissionMode(settings.permission_mode)))


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


def _rules(settings: Settings, prompts: Prompts, sandbox: Sandbox) -> Rules:
    def opening(workspace_name: str, workspace_path: str) -> str:
        return prompts.opening(
            workspace_name=workspace_name,
            workspace_path=workspace_path,
            today=datetime.now(UTC).date(),
            platform=platform.system(),
            bash=sandbox.report.backend is not None,
            bash_reason=None if sandbox.report.backend else sandbox.report.reason,
        )

    return Rules(
        limits=Limits(
            turns=settings.run_max_turns,
            nanodollars=nanodollars(settings.run_max_dollars),
            prompt_tokens=settings.max_prompt_tokens,
        ),
        admission=AdmissionLimits(principal=settings.principal_runs),
        message_max_bytes=settings.message_max_bytes,
        forbidden_roots=_own_places(settings),
        opening=opening,
        interrupted=prompts.note("interrupted"),
        modes={mode: prompts.mode(mode) for mode in PermissionMode},
    )
