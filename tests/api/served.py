"""The doors over real parts: Postgres, intake, bus and hub, served by uvicorn on a loopback port."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import socketio
import uvicorn

from flynn.api.page import Page
from flynn.api.protocol import HttpProtocol, WebSocketProtocol
from flynn.api.server import create_api
from flynn.app.model_key import HeldKey, ModelKeys
from flynn.domain.events import Recorded
from flynn.domain.orders import KeyOrder, MessageOrder, WorkspaceOrder
from flynn.domain.permission import PermissionMode
from flynn.domain.readiness import Part, Readiness
from flynn.domain.views import AgentView
from flynn.intake import Intake, keys
from flynn.intake.rules import Rules
from flynn.live.bus import Bus
from flynn.live.hub import Hub
from flynn.live.memory import MemoryBus
from flynn.model.claude import Claude
from flynn.ops.alerts.board import Board
from flynn.ops.log_levels import LogLevels
from flynn.ops.numbers import Numbers
from flynn.ops.sampler import Sampler, slot_of
from flynn.ops.scrape import Scrape
from flynn.settings import Settings
from flynn.store.admission import AdmissionLimits
from flynn.store.database import Database
from flynn.store.views import Views
from flynn.telemetry.metrics import Metrics
from flynn.telemetry.request_metrics import RequestMetrics
from flynn.workspace.mounts import Mounts
from tests.api.contract import Contract
from tests.house import ADMISSION, LIMITS, our_agents, our_prompts, prepare
from tests.loopback import CLEAR
from tests.postgres import TestDatabase, TestDatabases

MESSAGE_MAX = 100_000

AGENT = AgentView(
    name="flynn-dev", version="0" * 64, description="DevOps", model="claude-haiku-4-5", tools=["Read"]
)

_DOCUMENT: dict[str, Any] = {}
"""What the doors declare; asked for once, since making it takes longer than most tests."""


@dataclass
class Clock:
    """A time that goes on when a test says so. It begins a second after a slot of samples does."""

    at: datetime = field(default_factory=lambda: slot_of(datetime.now(UTC)) + timedelta(seconds=1))

    def __call__(self) -> datetime:
        """The time."""
        return self.at

    def forward(self, seconds: float = 15) -> None:
        """Let so many seconds pass."""
        self.at += timedelta(seconds=seconds)


@dataclass
class Served:
    """A service that is being served."""

    url: str
    postgres: TestDatabase
    database: Database
    views: Views
    intake: Intake
    bus: Bus
    hub: Hub
    alerts: Board
    contract: Contract
    parts: list[Part]
    model_key: HeldKey
    sampler: Sampler
    """Takes samples when a test has it do so, at `clock`."""
    clock: "Clock"
    hastened: int = 0
    """How often runs that wait for the model were woken."""
    keys: dict[str, str] = field(default_factory=dict)
    published: list[Recorded] = field(default_factory=list)
    lose: bool = False

    def http(self, key: str | None = "owner", **headers: str) -> httpx2.AsyncClient:
        """A client with the key of that name."""
        if key is not None:
            headers["Authorization"] = f"Bearer {self.keys[key]}"
        return httpx2.AsyncClient(
            base_url=self.url, headers=headers, timeout=20, trust_env=False, verify=CLEAR
        )

    async def key(self, name: str, *scopes: str) -> str:
        """Make a key for a principal of that name."""
        async with self.database.begin() as connection:
            made = await keys.create(connection, KeyOrder(name=name, scopes=list(scopes)))
        self.keys[name] = made.key
        return made.key

    async def conversation(self, http: httpx2.AsyncClient) -> str:
        """Open a conversation; gives its id."""
        answer = await http.post("/api/v1/conversations", json={})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def say(self, conversation_id: str, *texts: str) -> None:
        """Let the owner say something, past the doors."""
        owner = await self.views.authenticate(self.keys["owner"])
        for text in texts:
            await self.intake.send_message(owner, UUID(conversation_id), MessageOrder(text=text))


class Watcher:
    """A Socket.IO client that keeps all it is told."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self.client = socketio.AsyncClient(reconnection=False, handle_sigint=False)
        self.told: list[tuple[str, Any]] = []
        self._news = asyncio.Event()
        for name in ("session", "event", "delta", "problem", "notice"):
            self.client.on(name, self._keeper(name))
        self.gone = asyncio.Event()
        self.client.on("disconnect", self._gone)

    def _keeper(self, name: str) -> Any:
        async def keep(data: Any) -> None:
            self.told.append((name, data))
            self._news.set()

        return keep

    async def _gone(self, _reason: object = None) -> None:
        self.gone.set()

    async def connect(self, key: str | None = "owner", **auth: str) -> "Watcher":
        """Connect with the key of that name."""
        if key is not None:
            auth["token"] = self._served.keys.get(key, key)
        await self.client.connect(self._served.url, auth=auth, transports=["websocket"], wait_timeout=30)
        return self

    def got(self, name: str) -> list[Any]:
        """All that was told under `name`."""
        return [data for kind, data in self.told if kind == name]

    def seqs(self) -> list[int]:
        """The seqs of the events, in the order they came."""
        return [event["seq"] for event in self.got("event")]

    async def until(self, name: str, count: int, *, within: float = 40.0) -> list[Any]:
        """Wait until `count` things were told under `name`."""
        async with asyncio.timeout(within):
            while len(self.got(name)) < count:
                self._news.clear()
                await self._news.wait()
        return self.got(name)

    async def call(self, name: str, data: Any = None) -> Any:
        """Call, and give the acknowledgement."""
        return await self.client.call(name, data, timeout=30)

    async def cut(self) -> None:
        """Lose the connection without a word."""
        assert self.client.eio.ws is not None
        await self.client.eio.ws.close()
        await asyncio.wait_for(self.gone.wait(), 30)


@asynccontextmanager
async def watching(served: Served, key: str | None = "owner", **auth: str) -> AsyncIterator[Watcher]:
    """A connected watcher."""
    watcher = Watcher(served)
    try:
        yield await watcher.connect(key, **auth)
    finally:
        await watcher.client.disconnect()


@asynccontextmanager
async def serving(app: Any, host: str = "127.0.0.1") -> AsyncIterator[str]:
    """Serve an ASGI application as `flynn serve` does; gives its URL."""
    with socket.socket() as listener:
        listener.bind((host, 0))
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            http=HttpProtocol,
            ws=WebSocketProtocol,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        server.capture_signals = nullcontext  # type: ignore[method-assign, assignment]  # signals are pytest's
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            while not server.started:  # noqa: ASYNC110  # uvicorn tells nobody
                await asyncio.sleep(0.005)
            yield f"http://{host}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


def keyless(tmp_path: Path, **more: Any) -> Settings:
    """Settings without a key of the model's API, and with an address where nobody listens."""
    return Settings.load(
        None, **{"data_dir": tmp_path / "data", "anthropic_base_url": "http://127.0.0.1:1", **more}
    )


@asynccontextmanager
async def serve(
    tmp_path: Path,
    *,
    bus: Bus | None = None,
    origins: Sequence[str] = (),
    host: str = "127.0.0.1",
    beside: Served | None = None,
    limit: int = 1000,
    mounts: Mounts | None = None,
    admission: AdmissionLimits = ADMISSION,
    polling: bool = False,
    page: Page | None = None,
    settings: Settings | None = None,
    **more: Any,
) -> AsyncIterator[Served]:
    """Put the doors together and serve them; at the end nothing undeclared may have been answered.

    With `beside`, they are another process's doors to the same database. `mounts` are the volumes of
    this process, `page` the one that is shown, `more` goes into the rules. `settings` say which key of the
    model's API there is and where it is tried; nobody is at home there unless they say so.
    """
    workspace = tmp_path / "workspace"
    workspace.mkdir(parents=True, exist_ok=True)
    agents = our_agents()
    rules = Rules(
        limits=LIMITS,
        admission=admission,
        message_max_bytes=MESSAGE_MAX,
        forbidden_roots=(),
        opening=lambda name, path: f"{name} {path}",
        interrupted="stopped",
        brief=our_prompts().task,
        modes={mode: f"the mode is {mode.value}" for mode in PermissionMode},
        default_workspace="default",
        mounts=mounts or Mounts(),
        **more,
    )
    async with AsyncExitStack() as stack:
        postgres = beside.postgres if beside else stack.enter_context(TestDatabases.shared().new(prepare))
        database = Database(postgres.url, pool_size=5)
        stack.push_async_callback(database.close)
        views = Views(database)
        carrier: Bus = bus if bus is not None else await stack.enter_async_context(MemoryBus())
        parts = [Part(name="database", state="ok")]

        def publish(recorded: Sequence[Recorded]) -> None:
            served.published.extend(recorded)
            if not served.lose:
                for item in recorded:
                    served.bus.publish(item.conversation_id, item.envelope())

        intake = Intake(database, views, agents=lambda: agents, rules=rules, publish=publish)
        metrics = Metrics()
        settings = settings or keyless(tmp_path)
        held = HeldKey(settings)
        client = Claude(api_key=held.read, base_url=settings.anthropic_base_url)
        stack.push_async_callback(client.close)

        async def hasten() -> None:
            served.hastened += 1

        hub = await stack.enter_async_context(
            Hub(
                carrier,
                marks=views.marks,
                replay=views.envelopes,
                unseen=views.unseen,
                interval=0.2,
                limit=limit,
                slow=metrics.slow_clients.inc,
            )
        )

        async def ready() -> Readiness:
            return Readiness(ok=all(part.state != "down" for part in parts), parts=parts)

        scrape = Scrape(metrics, database=database, ready=ready)
        clock = Clock()
        sampler = Sampler(scrape, database, kind="serve", version="test", now=clock)
        board = Board()
        app = create_api(
            intake=intake,
            views=views,
            hub=hub,
            bus=carrier,
            alerts=board,
            agents=lambda: [AGENT],
            model_keys=ModelKeys(held, client=client, address=settings.anthropic_base_url, hasten=hasten),
            ready=ready,
            scrape=scrape.text,
            numbers=Numbers(sampler, database, now=clock),
            requests=RequestMetrics(metrics),
            log_levels=LogLevels(database, configured="info"),
            sockets_open=metrics.sockets.set,
            page=page or Page(tmp_path / "no-page", building=lambda: False),
            message_max_bytes=MESSAGE_MAX,
            allowed_origins=origins,
            host=host,
            socket_polling=polling,
        )
        contract = Contract(app)
        url = await stack.enter_async_context(serving(contract))
        served = Served(
            url=url,
            postgres=postgres,
            database=database,
            views=views,
            intake=intake,
            bus=carrier,
            hub=hub,
            alerts=board,
            contract=contract,
            parts=parts,
            model_key=held,
            sampler=sampler,
            clock=clock,
        )
        if beside:
            served.keys.update(beside.keys)
        else:
            owner = await views.authenticate(await served.key("owner", "admin"))
            await intake.create_workspace(owner, WorkspaceOrder(name="default", path=str(workspace)))
        if not _DOCUMENT:
            async with served.http(None) as http:
                _DOCUMENT.update((await http.get("/openapi.json")).json())
        contract.declare(_DOCUMENT)
        yield served
        hub.end()
        assert contract.breaches == []
