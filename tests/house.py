"""A service put together by hand for tests: real Postgres, sandbox, files and model API, no doors.

Runs are delivered one by one with `work`, so that a test decides when a worker takes what.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from uuid import UUID

import procrastinate.schema
from sqlalchemy import text

from flynn.agent.agent_catalog import Catalog, load_agents
from flynn.agent.prompt import Prompts
from flynn.domain.delta import Delta
from flynn.domain.errors import LeaseLost
from flynn.domain.events import Recorded
from flynn.domain.orders import ConversationOrder, KeyOrder, MessageOrder, WorkspaceOrder
from flynn.domain.permission import PermissionMode, PermissionRules
from flynn.domain.principal import Principal
from flynn.domain.run import Limits
from flynn.domain.views import Acknowledgement, ConversationView
from flynn.intake import Intake, keys
from flynn.intake.rules import Rules
from flynn.model.breaker import Standing
from flynn.model.claude import Claude
from flynn.sandbox.command import Sandbox
from flynn.sandbox.opening import Preference, open_sandbox
from flynn.sandbox.probe import Trial
from flynn.simulator import Options, Scenario, SimulatorServer, parse_scenarios
from flynn.store.admission import AdmissionLimits
from flynn.store.database import Database
from flynn.store.migrate import migrate
from flynn.store.mounts import know_volumes
from flynn.store.signals import Signals
from flynn.store.views import Views
from flynn.telemetry.metrics import Metrics
from flynn.worker.endings import Endings
from flynn.worker.runner import Runner
from flynn.worker.workplace import Caps
from flynn.workspace.mounts import Mounts, find_mounts
from flynn.workspace.volume import make_volume
from tests.postgres import Prepare, TestDatabase, TestDatabases

ROOT = Path(__file__).parents[1]
LIMITS = Limits(turns=50, nanodollars=1_000_000_000, prompt_tokens=95_000)
ADMISSION = AdmissionLimits()
_MOUNTED = text("""
INSERT INTO mounts (volume_id, worker_id, seen_at)
VALUES (:v, gen_random_uuid(), clock_timestamp() + interval '1 day')""")


@cache
def our_prompts() -> Prompts:
    """The prompts of the checkout, compiled once a process: nothing changes them."""
    return Prompts(ROOT / "prompts")


@cache
def our_agents() -> Catalog:
    """The agents of the checkout, read once a process: nothing changes them."""
    return load_agents([ROOT / "agents"])


_STOOD: dict[str, Trial] = {}
"""The sandboxes that held on this machine: trying each costs more than most tests."""


async def prepare(url: str) -> None:
    """Migrate a template database."""
    database = Database(url, pool_size=1)
    try:
        schema = procrastinate.schema.SchemaManager.get_schema()
        await migrate(database, queue_schema=schema)
    finally:
        await database.close()


@dataclass
class TestLease:
    """A delivery whose lease holds until the test takes it away."""

    __test__ = False

    job_id: int
    worker: str = "test"
    gone: bool = False
    handed_back: bool = False

    def deadline(self) -> float:
        """Far away."""
        return 1e12

    def confirm(self) -> None:
        """Raise LeaseLost once the test said so."""
        if self.gone:
            raise LeaseLost("the test took the lease away")


@dataclass
class House:
    """The parts, and shortcuts for tests."""

    postgres: TestDatabase
    database: Database
    views: Views
    intake: Intake
    rules: Rules
    runner: Runner
    runner_of: Callable[[Prompts, Catalog], Runner]
    """Makes a worker of another version of the prompts and agents."""
    endings: Endings
    simulator: SimulatorServer
    sandbox: Sandbox
    owner: Principal
    workspace: Path
    model: Claude
    published: list[Recorded] = field(default_factory=list)
    deltas: list[Delta] = field(default_factory=list)
    standings: list[Standing] = field(default_factory=list)
    """What the model's breakers told."""
    metrics: Metrics = field(default_factory=Metrics)

    async def converse(self) -> ConversationView:
        """Open a conversation in the house's workspace."""
        return await self.intake.create_conversation(self.owner, ConversationOrder(workspace="house"))

    async def say(self, conversation_id: UUID, words: str, **more: str) -> Acknowledgement:
        """Send words."""
        order = MessageOrder.model_validate({"text": words, **more})
        return await self.intake.send_message(self.owner, conversation_id, order)

    async def jobs(self) -> list[tuple[UUID, int]]:
        """Admitted runs and their jobs."""
        query = text("SELECT id, job_id FROM runs WHERE job_id IS NOT NULL ORDER BY queued_at")
        async with self.database.statement() as connection:
            return [(row.id, row.job_id) for row in await connection.execute(query)]

    async def work(self, *, lease: TestLease | None = None) -> int:
        """Deliver every admitted run once, in turn, as often as new ones are admitted; returns how many."""
        done = 0
        while found := await self.jobs():
            run_id, job_id = found[0]
            await self.runner.run(run_id, lease or TestLease(job_id))
            done += 1
        return done

    async def start_work(self) -> "asyncio.Task[None]":
        """Deliver the first admitted run in the background."""
        run_id, job_id = (await self.jobs())[0]
        return asyncio.create_task(self.runner.run(run_id, TestLease(job_id)))

    async def log(self, conversation_id: UUID) -> list[Recorded]:
        """The whole log of a conversation."""
        return await self.views.replay(conversation_id, 0, 10_000)

    async def types(self, conversation_id: UUID) -> list[str]:
        """The types of a conversation's events, in order."""
        return [r.event.type for r in await self.log(conversation_id)]


@asynccontextmanager
async def open_house(
    tmp_path: Path,
    script: str | Sequence[Scenario] = (),
    *,
    options: Options | None = None,
    limits: Limits = LIMITS,
    admission: AdmissionLimits = ADMISSION,
    output: tuple[int, int] = (16_000, 32_000),
    permissions: PermissionRules | None = None,
    patience: timedelta = timedelta(hours=1),
    day: int | None = None,
    fallback: str | None = None,
    model_idle_seconds: float = 90,
    api_key: Callable[[], str | None] = lambda: "test-key",
    sandbox_of: Preference = "auto",
    volume: bool = False,
    prepared: Prepare = prepare,
) -> AsyncIterator[House]:
    """Put a house together around a scripted model; a principal may spend `day` nano-dollars a day. With
    `volume`, the workspace lies on one. Its database is as `prepared` leaves a template.
    """
    scenarios = parse_scenarios(script) if isinstance(script, str) else list(script)
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    published: list[Recorded] = []
    deltas: list[Delta] = []
    standings: list[Standing] = []
    prompts = our_prompts()
    agents = our_agents()
    async with AsyncExitStack() as stack:
        postgres = stack.enter_context(TestDatabases.shared().new(prepared))
        simulator = await stack.enter_async_context(SimulatorServer(scenarios, options))
        database = Database(postgres.url, pool_size=5)
        stack.push_async_callback(database.close)
        model = Claude(
            api_key=api_key,
            base_url=simulator.url,
            idle_timeout_seconds=model_idle_seconds,
            changed=standings.append,
        )
        stack.push_async_callback(model.close)
        sandbox = await open_sandbox(private_root=tmp_path / "private", prefer=sandbox_of, stood=_STOOD)
        mounts = Mounts(by_descriptor=sandbox.report.backend == "bubblewrap")
        if volume:
            mounts = replace(mounts, declared=(make_volume(tmp_path),))
        views = Views(database)
        rules = Rules(
            limits=limits,
            admission=admission,
            message_max_bytes=1_048_576,
            forbidden_roots=(),
            opening=lambda name, path: prompts.opening(
                workspace_name=name,
                workspace_path=path,
                today=date(2026, 11, 23),
                platform="Linux",
                bash=sandbox.report.backend is not None,
            ),
            interrupted=prompts.note("interrupted"),
            brief=prompts.task,
            modes={mode: prompts.mode(mode) for mode in PermissionMode},
            default_workspace="house",
            mounts=mounts,
        )
        intake = Intake(database, views, agents=lambda: agents, rules=rules, publish=published.extend)
        signals = Signals(database, postgres.dsn, poll_seconds=0.2)
        listening = asyncio.create_task(signals.run())
        stack.callback(listening.cancel)
        metrics = Metrics()
        endings = Endings(database=database, limits=limits, admission=admission, metrics=metrics)

        def runner_of(prompts: Prompts, agents: Catalog) -> Runner:
            return Runner(
                database,
                model=model,
                sandbox=sandbox,
                prompts=prompts,
                agents=lambda: agents,
                signals=signals,
                endings=endings,
                caps=Caps(
                    max_output_tokens=output[0],
                    output_ceiling=output[1],
                    aliases={},
                    scratch=tmp_path / "private" / "scratch",
                    permissions=permissions or PermissionRules(),
                    patience=patience,
                    day_nanodollars=day,
                    fallback=fallback,
                    mounts=mounts if volume else find_mounts(tmp_path / "data", ()),
                    snapshot_bytes=2**30,
                ),
                publish=published.extend,
                publish_delta=deltas.append,
                metrics=metrics,
            )

        async with database.begin() as connection:
            key = await keys.create(connection, KeyOrder(name="owner", scopes=["admin"]))
        owner = await views.authenticate(key.key)
        if volume:
            async with database.begin() as connection:
                await know_volumes(connection, [(v.id, v.root) for v in mounts.volumes], move=False)
                await connection.execute(_MOUNTED, {"v": mounts.volumes[0].id})
        await intake.create_workspace(owner, WorkspaceOrder(name="house", path=str(workspace)))
        yield House(
            postgres=postgres,
            database=database,
            views=views,
            intake=intake,
            rules=rules,
            runner=runner_of(prompts, agents),
            runner_of=runner_of,
            endings=endings,
            simulator=simulator,
            sandbox=sandbox,
            owner=owner,
            workspace=workspace,
            model=model,
            published=published,
            deltas=deltas,
            standings=standings,
            metrics=metrics,
        )
