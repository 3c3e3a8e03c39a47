"""A receiver of callbacks: a plain HTTP server on a loopback port that keeps what it gets, and misbehaves."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal

Answer = int | bytes | Literal["hang", "drop"]
"""A status, the very bytes, no answer at all, or a closed connection."""


@dataclass
class Got:
    """One request."""

    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass
class Receiver:
    """`answers` are given in turn, then 204s. `on_request` is called before each answer."""

    url: str = ""
    port: int = 0
    answers: list[Answer] = field(default_factory=list)
    got: list[Got] = field(default_factory=list)
    on_request: Callable[[], None] = lambda: None
    seconds: float = 0
    """How long an answer takes."""
    busy: dict[str, int] = field(default_factory=dict)
    crowded: bool = False
    """Whether two requests for one target were there at a time."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one request."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.split("\r\n")
            headers = {n.lower(): v for n, v in (line.split(": ", 1) for line in lines if line)}
            body = await reader.readexactly(int(headers["content-length"]))
            target = first.split(" ")[1]
            self.got.append(Got(target, headers, body))
            self.busy[target] = self.busy.get(target, 0) + 1
            self.crowded |= self.busy[target] > 1
            self.on_request()
            await asyncio.sleep(self.seconds)
            self.busy[target] -= 1
            answer = self.answers.pop(0) if self.answers else 204
            if answer == "hang":
                await reader.read()
            elif isinstance(answer, bytes):
                writer.write(answer)
            elif isinstance(answer, int):
                writer.write(f"HTTP/1.1 {answer} So it is\r\ncontent-length: 0\r\n\r\n".encode())
            with suppress(ConnectionError):
                await writer.drain()
        writer.close()

    @property
    def ids(self) -> list[str]:
        return [got.id for got in self.got]


@asynccontextmanager
async def receiving(*answers: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """A receiver that is there."""
    receiver = Receiver(answers=list(answers))
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    receiver.url = f"{'https' if tls else 'http'}://{'localhost' if tls else '127.0.0.1'}:{receiver.port}"
    try:
        yield receiver
    finally:
        server.close()
