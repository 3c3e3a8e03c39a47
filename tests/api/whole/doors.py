"""The whole service with its doors open on a loopback port, over a scripted model, and its clients."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import socketio

from flynn.app.service import open_service
from flynn.cli.listening import listen, port_of
from flynn.cli.serve import serving
from flynn.settings import Settings
from flynn.simulator import SimulatorServer, parse_scenarios
from tests.house import prepare
from tests.loopback import CLEAR
from tests.postgres import TestDatabases

SCRIPT = """
name: slow
match: slowly
turns:
  - pacing: {tokens_per_second: 10}
    blocks: [{text: 'one two three four five six seven eight nine ten eleven twelve thirteen fourteen'}]
---
name: long
match: three looks
turns:
  - blocks: [{tool: Read, input: {file_path: note.txt}}]
  - blocks: [{tool: Read, input: {file_path: note.txt}}]
  - blocks: [{text: Looked twice.}]
---
name: making
loop: true
match: make files
turns:
  - blocks: [{tool: Write, input: {file_path: deep/made.txt, content: made by Write}}]
  - blocks: [{text: Made.}]
---
name: rest
loop: true
turns:
  - blocks: [{text: All is well.}]
"""
ORIGIN = "https://team.example"
PROBLEM = "application/problem+json"


@dataclass
class Doors:
    """A service as its clients reach it: an address and keys."""

    url: str
    owner_key: str
    workspaces: Path
    owner: httpx2.AsyncClient
    database_url: str = ""
    """For what speaks to the database past the doors."""

    def client(self, key: str | None) -> httpx2.AsyncClient:
        """A client with `key`; the caller closes it."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx2.AsyncClient(base_url=self.url, headers=headers, timeout=20, verify=CLEAR)

    async def key(self, name: str, *scopes: str) -> str:
        """A new key's secret."""
        answer = await self.owner.post("/api/v1/keys", json={"name": name, "scopes": list(scopes)})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["key"])

    async def conversation(self) -> str:
        """A new conversation's id."""
        answer = await self.owner.post("/api/v1/conversations", json={})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def task(self, instructions: str = "Look around", **more: Any) -> dict[str, Any]:
        """Delegate a task."""
        answer = await self.owner.post("/api/v1/tasks", json={"instructions": instructions, **more})
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    async def ended(self, task_id: str) -> dict[str, Any]:
        """The task once it is over or waits."""
        return dict((await self.owner.get(f"/api/v1/tasks/{task_id}?wait=20")).json())

    async def seen(self, conversation_id: str) -> list[dict[str, Any]]:
        """The events so far."""
        answer = await self.owner.get(f"/api/v1/conversations/{conversation_id}/events?limit=500")
        return list(answer.json()["items"])


@asynccontextmanager
async def open_doors(data: Path, *, script: str = SCRIPT, **settings: Any) -> AsyncIterator[Doors]:
    """Start a service on a database of its own, whose model plays `script`, and close it at the end."""
    async with AsyncExitStack() as stack:
        database = stack.enter_context(TestDatabases.shared().new(prepare))
        simulator = await stack.enter_async_context(SimulatorServer(parse_scenarios(script)))
        given = Settings.load(
            None,
            data_dir=data / "data",
            database_url=database.url.replace("postgresql+asyncpg", "postgresql"),
            anthropic_base_url=simulator.url,
            anthropic_api_key="test-key",
            allowed_origins=(ORIGIN,),
            **settings,
        )
        listener = listen("127.0.0.1", 0)
        stack.callback(listener.close)
        service = await stack.enter_async_context(open_service(given))
        await stack.enter_async_context(serving(service, listener))
        workspaces = data / "workspaces"
        workspaces.mkdir()
        (given.data_dir / "workspaces" / "default" / "note.txt").write_text("a note\n")
        doors = Doors(f"http://127.0.0.1:{port_of(listener)}", service.owner_key, workspaces, None)  # type: ignore[arg-type] # set in the next line
        doors.database_url = given.database_url or ""
        doors.owner = await stack.enter_async_context(doors.client(service.owner_key))
        yield doors


class Wire:
    """A Socket.IO client that keeps what it hears, in order."""

    def __init__(self, doors: Doors) -> None:
        self.doors = doors
        self.client = socketio.AsyncClient(reconnection=False)
        self.events: list[dict[str, Any]] = []
        self.deltas: list[dict[str, Any]] = []
        self.problems: list[dict[str, Any]] = []
        self.refusals: list[Any] = []
        self.session: dict[str, Any] = {}
        self._news = asyncio.Event()
        for name, kept in (
            ("event", self.events),
            ("delta", self.deltas),
            ("problem", self.problems),
            ("connect_error", self.refusals),
        ):
            self.client.on(name, self._keeper(kept))
        self.client.on("session", self._greeted)

    def _keeper(self, kept: list[Any]) -> Any:
        def keep(item: Any = None) -> None:
            kept.append(item)
            self._news.set()

        return keep

    def _greeted(self, session: dict[str, Any]) -> None:
        self.session = session
        self._news.set()

    async def connect(self, auth: dict[str, Any] | None = None, **headers: str) -> None:
        """Connect with the owner's key unless told otherwise."""
        await self.client.connect(
            self.doors.url,
            headers=headers,
            auth=auth if auth is not None else {"token": self.doors.owner_key},
            transports=["websocket"],
            wait_timeout=30,
        )

    async def call(self, name: str, body: object) -> dict[str, Any]:
        """Call and wait for the acknowledgement."""
        return dict(await self.client.call(name, body, timeout=30))

    async def until(self, found: Any, seconds: float = 40) -> None:
        """Wait until `found()` is true of what was heard."""
        async with asyncio.timeout(seconds):
            while not found():
                self._news.clear()
                await self._news.wait()

    def types(self) -> list[str]:
        """The types of the events heard."""
        return [event["type"] for event in self.events]

    async def close(self) -> None:
        """Hang up."""
        await self.client.disconnect()


@asynccontextmanager
async def wired(doors: Doors, auth: dict[str, Any] | None = None) -> AsyncIterator[Wire]:
    """A connected client whose session has begun."""
    wire = Wire(doors)
    try:
        await wire.connect(auth)
        await wire.until(lambda: wire.session)
        yield wire
    finally:
        await wire.close()
