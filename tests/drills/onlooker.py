"""A client that watches one conversation over SSE from its beginning, and comes back when it is cut off."""

import asyncio
from collections.abc import Callable
from typing import Any, Self

import httpx2
import orjson

from tests.eventually import eventually


class Onlooker:
    """Keeps what it is shown: `events` in the order they came, and the `deltas` between them.

    Each delta has one key more: `after`, how many events were there before it.

    `server` gives a client of the server as it is now, which may be another one after a crash.
    """

    def __init__(self, server: Callable[[], httpx2.AsyncClient], conversation_id: str) -> None:
        self._server = server
        self._path = f"/api/v1/conversations/{conversation_id}/events"
        self.events: list[dict[str, Any]] = []
        self.deltas: list[dict[str, Any]] = []
        self.problems: list[dict[str, Any]] = []
        self.connections = 0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._watch())
        await eventually(lambda: self.connections > 0, what="the onlooker's connection", seconds=60)
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def seen(self, kind: str, count: int = 1, *, seconds: float = 60) -> dict[str, Any]:
        """Wait for the `count`-th event of a type, and give it."""
        await eventually(
            lambda: len(self.of(kind)) >= count, what=f"{kind} number {count}, as seen", seconds=seconds
        )
        return self.of(kind)[count - 1]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The events of a type."""
        return [event for event in self.events if event["type"] == kind]

    async def _watch(self) -> None:
        while True:
            try:
                await self._read()
            except httpx2.TransportError:
                await asyncio.sleep(0.05)

    async def _read(self) -> None:
        headers = {"Accept": "text/event-stream"}
        if self.events:
            headers["Last-Event-ID"] = str(self.events[-1]["seq"])
        async with (
            self._server() as http,
            http.stream("GET", self._path, headers=headers, params={"deltas": True}) as answer,
        ):
            assert answer.status_code == 200, await answer.aread()
            self.connections += 1
            kind = ""
            async for line in answer.aiter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    kind = value
                elif name == "data":
                    self._take(kind, orjson.loads(value))

    def _take(self, kind: str, data: dict[str, Any]) -> None:
        match kind:
            case "event":
                self.events.append(data)
            case "delta":
                self.deltas.append({**data, "after": len(self.events)})
            case _:
                self.problems.append(data)
