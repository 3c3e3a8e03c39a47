"""A bare HTTP server on a real socket: it sends exactly the bytes that a test asks for."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

Json = Any
HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nrequest-id: req_1\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
USAGE = {"input_tokens": 10, "output_tokens": 1}


def event(data: Json) -> bytes:
    """One server-sent event named after its type."""
    return f"event: {data['type']}\ndata: {json.dumps(data)}\n\n".encode()


def chunk(data: bytes) -> bytes:
    """`data` as one HTTP chunk."""
    return b"%x\r\n" % len(data) + data + b"\r\n"


def message_start(usage: Json = USAGE, **more: Json) -> Json:
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-5-5",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
        **more,
    }
    return {"type": "message_start", "message": message}


def block_start(index: int, block: Json) -> Json:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, kind: str, **fields: Json) -> Json:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **fields}}


def block_stop(index: int) -> Json:
    return {"type": "content_block_stop", "index": index}


def message_delta(stop_reason: str | None, usage: Json = None, **more: Json) -> Json:
    return {
        "type": "message_delta",
        "delta": {"stop_reason": stop_reason, "stop_sequence": None, **more},
        "usage": usage or {"output_tokens": 7},
    }


MESSAGE_STOP = {"type": "message_stop"}


def text(index: int, *pieces: str) -> list[Json]:
    """The events of a text block."""
    deltas = [delta(index, "text_delta", text=piece) for piece in pieces]
    return [block_start(index, {"type": "text", "text": ""}), *deltas, block_stop(index)]


def tool(index: int, *pieces: str, name: str = "Bash", call_id: str = "toolu_1") -> list[Json]:
    """The events of a tool call whose input comes in pieces."""
    start = {"type": "tool_use", "id": call_id, "name": name, "input": {}}
    deltas = [delta(index, "input_json_delta", partial_json=piece) for piece in pieces]
    return [block_start(index, start), *deltas, block_stop(index)]


def answer(*blocks: list[Json], stop_reason: str = "end_turn") -> list[Json]:
    """The events of a whole answer."""
    inner = [e for block in blocks for e in block]
    return [message_start(), *inner, message_delta(stop_reason), MESSAGE_STOP]


@dataclass
class Received:
    """One request as it came over the socket."""

    line: str
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Json:
        return json.loads(self.raw)


Handler = Callable[["RawServer", asyncio.StreamWriter], Awaitable[None]]


@dataclass
class RawServer:
    """Plays one handler for every request and remembers what it saw."""

    handler: Handler
    url: str = ""
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a request has come."""
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client closes its side of a connection."""
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                line, *fields = head.strip().split("\r\n")
                headers = {k.lower(): v for k, _, v in (f.partition(": ") for f in fields)}
                raw = await reader.readexactly(int(headers.get("content-length", "0")))
                self.requests.append(Received(line, headers, raw))
                self.asked.set()
                playing = asyncio.ensure_future(self.handler(self, writer))
                watching = asyncio.ensure_future(self._watch(reader))
                await asyncio.wait({playing, watching}, return_when=asyncio.FIRST_COMPLETED)
                playing.cancel()
                watching.cancel()
                await asyncio.gather(playing, watching, return_exceptions=True)
                if self.hung_up.is_set() or writer.is_closing():
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            self.hung_up.set()
        finally:
            writer.close()
            self._writers.discard(writer)

    async def _watch(self, reader: asyncio.StreamReader) -> None:
        """Wait until the client hangs up; bytes of a next request are left alone."""
        while not reader.at_eof():  # noqa: ASYNC110 - a read would take the bytes of a next request
            await asyncio.sleep(0.005)
        self.hung_up.set()


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[RawServer]:
    """A server on a free loopback port."""
    server = RawServer(handler)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listener.close()
        for writer in list(server._writers):
            writer.close()
        await asyncio.sleep(0.01)


def playing(events: list[Json], *, end: bytes = b"0\r\n\r\n") -> Handler:
    """Send the events, each in a chunk of its own, then `end`."""

    async def handler(_: RawServer, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD)
        for one in events:
            writer.write(chunk(event(one)))
        writer.write(end)
        await writer.drain()

    return handler


def cutting(events: list[Json]) -> Handler:
    """Send the events, then close the socket in the middle of the answer."""

    async def handler(_: RawServer, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD)
        for one in events:
            writer.write(chunk(event(one)))
        await writer.drain()
        writer.close()

    return handler


def hanging(events: list[Json] | None) -> Handler:
    """Send the events and then nothing; with None, not even a head."""

    async def handler(_: RawServer, writer: asyncio.StreamWriter) -> None:
        if events is not None:
            writer.write(HEAD)
            for one in events:
                writer.write(chunk(event(one)))
            await writer.drain()
        await asyncio.Event().wait()

    return handler


def replying(status: int, body: Json, **headers: str) -> Handler:
    """Answer with a status and a body: JSON, or text as it is."""
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    kind = "text/html" if isinstance(body, str) else "application/json"
    fields = {"content-type": kind, "content-length": str(len(data)), "request-id": "req_1"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())

    async def handler(_: RawServer, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status} Status\r\n{lines}\r\n".encode() + data)
        await writer.drain()

    return handler


def problem(kind: str, message: str = "words of the provider", **more: Json) -> Json:
    """The body of an error, as the API writes it."""
    return {"type": "error", "error": {"type": kind, "message": message, **more}, "request_id": "req_body"}
