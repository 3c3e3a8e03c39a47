"""Where clients meet a fleet: its servers, conversations in workspaces of their own, and their logs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    nullcontext,
)
from pathlib import Path
from typing import Any

import httpx2

from flynn.simulator import SimulatorServer, parse_scenarios
from tests.drills.fleet import Fleet, Member
from tests.house import prepare
from tests.postgres import TestDatabases


class Place:
    """A fleet with some of its servers, and a client with the owner's key."""

    def __init__(self, fleet: Fleet, servers: list[Member], http: httpx2.AsyncClient) -> None:
        self.fleet, self.servers, self.http = fleet, servers, http
        self._workspaces = 0

    def asking(self) -> AbstractAsyncContextManager[httpx2.AsyncClient]:
        """The client that the place's own requests are made with."""
        return nullcontext(self.http)

    async def conversation(self) -> str:
        """A conversation in a new workspace on the shared volume."""
        self._workspaces += 1
        name = f"w{self._workspaces}"
        path = self.fleet.shared / name
        await asyncio.to_thread(path.mkdir)
        async with self.asking() as http:
            made = await http.post("/api/v1/workspaces", json={"name": name, "path": str(path)})
            assert made.status_code == 201, made.text
            opened = await http.post("/api/v1/conversations", json={"workspace": name})
        assert opened.status_code == 201, opened.text
        return str(opened.json()["id"])

    async def log(self, conversation: str) -> list[dict[str, Any]]:
        """All events of a conversation."""
        async with self.asking() as http:
            found = await http.get(f"/api/v1/conversations/{conversation}/events", params={"limit": 500})
        items: list[dict[str, Any]] = found.json()["items"]
        return items


@asynccontextmanager
async def open_fleet(
    directory: Path, script: str, *, redis_url: str | None = None, **settings: str
) -> AsyncIterator[Fleet]:
    """A fleet on a database of its own whose model plays `script`; nobody is started yet."""
    async with AsyncExitStack() as stack:
        postgres = stack.enter_context(TestDatabases.shared().new(prepare))
        simulator = await stack.enter_async_context(SimulatorServer(parse_scenarios(script)))
        yield await stack.enter_async_context(
            Fleet(directory, postgres.url, simulator.url, redis_url=redis_url, settings=settings)
        )
