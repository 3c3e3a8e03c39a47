"""Drives socket.io-client 4.8 in a Node of its own, over lines of JSON: tests/api/javascript_client.cjs."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.conftest import ROOT
from tests.node import client_modules, node

PROGRAM = Path(__file__).with_name("javascript_client.cjs")
_LINE = 64 * 1024 * 1024
"""Longest line that it may write: an event, as large as they come."""


class JavaScriptClient:
    """What the client has heard so far, by name, and its calls."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._news = asyncio.Event()
        self.heard: list[tuple[str, Any]] = []

    def got(self, name: str) -> list[Any]:
        """All that was heard under `name`: session, event, delta, notice, problem, connect, disconnect."""
        return [data for kind, data in self.heard if kind == name]

    async def until(self, name: str, count: int = 1, *, seconds: float = 40) -> list[Any]:
        """Wait until so much was heard under `name`."""
        return await self.until_all(name, lambda found: len(found) >= count, seconds=seconds)

    async def until_all(self, name: str, enough: Any, *, seconds: float = 40) -> list[Any]:
        """Wait until `enough(all that was heard under name)`."""
        async with asyncio.timeout(seconds):
            while not enough(self.got(name)):
                self._news.clear()
                await self._news.wait()
        return self.got(name)

    async def call(self, name: str, data: dict[str, Any]) -> Any:
        """Make a call and wait for its acknowledgement."""
        before = len(self.got("answer"))
        self.order(name, data)
        return (await self.until("answer", before + 1))[before]

    def order(self, name: str, data: dict[str, Any]) -> None:
        """Make a call and wait for nothing."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([name, data]).encode() + b"\n")

    def freeze(self) -> None:
        """Let it do nothing more, as a laptop that was closed."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    async def listen(self) -> None:
        """Keep what it says, until its end."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            name, data = json.loads(line)
            self.heard.append((name, data))
            self._news.set()

    async def leave(self) -> str:
        """Let it disconnect and end; gives what it wrote to stderr."""
        assert self._process.stdin is not None
        assert self._process.stderr is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 10)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        return (await self._process.stderr.read()).decode()


@asynccontextmanager
async def javascript(
    url: str, token: str, transports: Sequence[str] = ("websocket",)
) -> AsyncIterator[JavaScriptClient]:
    """A client in a process of its own, which connects at once. At its end it must have had no error."""
    modules = await asyncio.to_thread(client_modules, ROOT)
    given = json.dumps({"url": url, "token": token, "transports": list(transports)})
    process = await asyncio.create_subprocess_exec(
        node(),
        str(PROGRAM),
        given,
        env={"NODE_PATH": str(modules)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=_LINE,
    )
    client = JavaScriptClient(process)
    listening = asyncio.create_task(client.listen())
    try:
        yield client
    finally:
        client.thaw()
        complaints = await client.leave()
        await listening
    assert complaints == ""
