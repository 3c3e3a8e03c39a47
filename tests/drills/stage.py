"""The stage of the crash drills: a server, a worker that is always there, and clients that do not give up."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import psutil

from flynn.simulator import Options, SimulatorServer, parse_scenarios
from tests.drills.audit import Audit
from tests.drills.nursery import Mortal, Nursery
from tests.drills.onlooker import Onlooker
from tests.eventually import eventually
from tests.house import prepare
from tests.live.redis_server import RedisServer
from tests.postgres import TestDatabases

STRICT = Options(binding="strict", unproven="refuse", record=20_000, record_bytes=500_000_000)
LEASE_SECONDS = 3
GHOST = "ghost"
"""An agent that the server knows and no worker does: as after an upgrade that reached them first."""


@dataclass
class Client:
    """Somebody who works with one conversation, and asks again when an answer got lost."""

    stage: "Stage"
    token: str
    place: Path
    conversation_id: str = ""

    async def ask(self, method: str, path: str, **more: Any) -> httpx2.Response:
        """One request, sent again to the server that follows when this one dies over it."""
        while True:
            server = self.stage.server
            try:
                answer = await self.stage.requests_to(server).request(method, path, **more)
                if answer.status_code != 409 or "retry-after" not in answer.headers:
                    return answer
                # What a dead server began is not yet known to be over.
                await asyncio.sleep(float(answer.headers["retry-after"]))
            except httpx2.TransportError:
                # Nobody answered: whether it was done, only asking again tells.
                await eventually(
                    lambda server=server: self.stage.server is not server,  # type: ignore[misc]
                    what="the server's return",
                    seconds=60,
                )

    async def post(self, verb: str, body: dict[str, Any], **headers: str) -> httpx2.Response:
        """Something that is done to the conversation."""
        path = f"/api/v1/conversations/{self.conversation_id}/{verb}"
        return await self.ask("POST", path, json=body, headers=headers)

    async def say(self, words: str) -> dict[str, Any]:
        """Send words; gives the acknowledgement."""
        body = {"text": words, "client_message_id": uuid.uuid4().hex}
        answer = await self.post("messages", body)
        assert answer.status_code in (200, 202), answer.text
        said: dict[str, Any] = answer.json()
        return said

    async def over(self, *, seconds: float = 90) -> str:
        """Wait until no run is open; gives the latest one's state."""
        state = ""

        async def ended() -> bool:
            nonlocal state
            answer = await self.ask("GET", f"/api/v1/conversations/{self.conversation_id}")
            assert answer.status_code == 200, answer.text
            state = answer.json()["run"]["state"]
            return state in ("completed", "failed", "cancelled")

        await eventually(ended, what="the end of the run", seconds=seconds, every=0.1)
        return state


def alive_in(place: Path) -> list[str]:
    """The command lines of processes that name `place`: sandboxes over a workspace, and what runs in them."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = " ".join(process.info["cmdline"] or ())
        if str(place) in line and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(line)
    return found


@dataclass
class Stage:
    """`worker` is the one that gets the next run; `server` is where clients go now."""

    nursery: Nursery
    simulator: SimulatorServer
    dsn: str
    database: "asyncpg.Pool[asyncpg.Record]"
    server: Mortal = field(init=False)
    worker: Mortal = field(init=False)
    births: int = 0
    _clients: dict[str, httpx2.AsyncClient] = field(default_factory=dict)

    def requests_to(self, server: Mortal) -> httpx2.AsyncClient:
        """The one client that all requests to this server share: to make one takes longer than a request."""
        if server.url not in self._clients:
            self._clients[server.url] = server.http(trust_env=False)
        return self._clients[server.url]

    async def close(self) -> None:
        """Close the clients."""
        for client in self._clients.values():
            await client.aclose()

    async def new_server(self) -> None:
        """Start the server, again if need be. It knows an agent that no worker serves."""
        agents = str(self.nursery.place / "agents")
        self.server = await self.nursery.member("server", "serve", FLYNN_AGENTS_DIR=agents)

    async def new_worker(self, arm: tuple[str, int] | None = None) -> None:
        """Start a worker that was not there before."""
        self.births += 1
        self.worker = await self.nursery.member(f"worker-{self.births}", "worker", arm=arm)

    async def ready(self) -> None:
        """Make sure that server and worker live, and that neither has a death before it."""
        for member in (self.server, self.worker):
            if member.alive and member.files.with_suffix(".armed").exists():
                await asyncio.to_thread(member.kill)
        if not self.server.alive:
            await self.new_server()
        if not self.worker.alive:
            await self.new_worker()

    def victim(self, *, server: bool) -> Mortal:
        """The server, or the worker."""
        return self.server if server else self.worker

    async def death(self, point: str, play: "asyncio.Task[Any]", *, server: bool) -> None:
        """Wait for the victim's death at `point`; fail when the play ends without it."""
        dying = asyncio.create_task(self.victim(server=server).died(point))
        await asyncio.wait([dying, play], return_when=asyncio.FIRST_COMPLETED)
        if not dying.done():
            play.result()
            # The run's end may be seen before its worker has come to the point.
            await asyncio.wait([dying], timeout=10)
        if not dying.done():
            dying.cancel()
            raise AssertionError(f"the play was over, and {point} was not reached")
        await dying

    async def successor(self, arm: tuple[str, int] | None, *, server: bool) -> None:
        """Start who goes on after the victim; `arm` is its own death."""
        await (self.new_server() if server else self.new_worker(arm))

    @asynccontextmanager
    async def client(self, **order: str) -> AsyncIterator[tuple[Client, Onlooker]]:
        """A client with a conversation in a workspace of its own, and an onlooker who watches it."""
        client = await self.newcomer()
        order["workspace"] = client.token
        made = await client.ask("POST", "/api/v1/conversations", json=order)
        assert made.status_code == 201, made.text
        client.conversation_id = made.json()["id"]
        async with self.watching(client) as onlooker:
            yield client, onlooker

    async def newcomer(self) -> Client:
        """A client with a workspace, but without a conversation yet."""
        token = f"w{uuid.uuid4().hex[:12]}"
        client = Client(self, token, self.nursery.shared / token)
        await asyncio.to_thread(client.place.mkdir)
        await asyncio.to_thread((client.place / "notes.txt").write_text, "the sky is blue\n")
        await asyncio.to_thread((client.place / "config.txt").write_text, "colour: red\n")
        path = str(client.place)
        made = await client.ask("POST", "/api/v1/workspaces", json={"name": token, "path": path})
        assert made.status_code == 201, made.text
        return client

    def watching(self, client: Client) -> Onlooker:
        """Somebody who watches the client's conversation from its beginning."""
        return Onlooker(self._http, client.conversation_id)

    def _http(self) -> httpx2.AsyncClient:
        """A client of the server as it is now."""
        return self.server.http()

    async def audit(self, client: Client, onlooker: Onlooker) -> Audit:
        """Check everything that holds for every conversation, whatever died."""
        audit = Audit(self.database, client.conversation_id)
        await audit.queue_is_empty()
        await audit.read()
        audit.has_no_gap()
        await audit.every_run_ended_once()
        audit.every_call_ended_once()
        audit.no_effect_was_repeated(client.place / "ledger.txt")
        await audit.requests_are_those_of_the_log(self.simulator, client.token)
        await audit.onlooker_saw_the_log(onlooker)
        return audit


@asynccontextmanager
async def open_stage(place: Path, scripts: str, **settings: str) -> AsyncIterator[Stage]:
    """Set the stage, with a server and a worker on it."""
    async with AsyncExitStack() as stack:
        postgres = stack.enter_context(TestDatabases.shared().new(prepare))
        redis = RedisServer(place)
        redis.start()
        stack.callback(redis.stop)
        simulator = await stack.enter_async_context(SimulatorServer(parse_scenarios(scripts), STRICT))
        nursery = Nursery(
            place / "fleet",
            postgres.url,
            simulator.url,
            redis.url,
            {"FLYNN_LEASE_SECONDS": str(LEASE_SECONDS), "FLYNN_PRINCIPAL_RUNS": "200", **settings},
        )
        agents = place / "fleet" / "agents"
        agents.mkdir(parents=True)
        (agents / "ghost.md").write_text(
            f"---\nname: {GHOST}\ndescription: Is not there.\n---\n\nBe silent.\n"
        )
        await stack.enter_async_context(nursery)
        database = await stack.enter_async_context(asyncpg.create_pool(postgres.dsn, min_size=1, max_size=4))
        stage = Stage(nursery, simulator, postgres.dsn, database)
        stack.push_async_callback(stage.close)
        await stage.new_server()
        await stage.new_worker()
        yield stage
