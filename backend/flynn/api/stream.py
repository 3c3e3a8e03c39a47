"""A conversation's events as Server-Sent Events (WHATWG HTML, section 9.2)."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import orjson
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from flynn.api.counting import untimed
from flynn.api.gate import CUT
from flynn.api.problem import named, problem_of
from flynn.domain.delta import Delta
from flynn.domain.errors import FlynnError
from flynn.live.presence import Present
from flynn.live.subscription import Item
from flynn.live.viewer import Viewer
from flynn.telemetry.logging import get_logger

KEEP_ALIVE = 15.0
"""Seconds of silence after which a comment is sent, and the key is looked at again."""

STALL = 20.0
"""Seconds after which a client that does not take a frame is cut off; it comes back with its cursor."""

_log = get_logger(__name__)

HEADERS = {"x-accel-buffering": "no", "connection": "keep-alive"}


def event_stream(
    viewing: AbstractAsyncContextManager[Viewer],
    viewer: Viewer,
    *,
    deltas: bool,
    still_allowed: Callable[[], Awaitable[object]],
) -> StreamingResponse:
    """Stream what `viewer` gives; ends with an event `problem` when it must. Leaves `viewing` at the end.

    Each event's `id` is its seq, so that a client that comes back says where to go on (Last-Event-ID).
    """
    return _Stream(_frames(viewing, viewer, deltas, still_allowed, KEEP_ALIVE))


class _Stream(StreamingResponse):
    """Streams to a client that reads, and cuts off one that does not."""

    def __init__(self, source: AsyncGenerator[bytes, None]) -> None:
        super().__init__(source, media_type="text/event-stream", headers=HEADERS)
        self._source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def patient(message: Message) -> None:
            try:
                async with asyncio.timeout(STALL):
                    await send(message)
            except TimeoutError as error:
                raise OSError("the client does not read") from error

        untimed(scope)
        try:
            await super().__call__(scope, receive, patient)
        except (ClientDisconnect, OSError):
            _log.info("cut off a client that does not read its stream")
            cut = (scope.get("extensions") or {}).get(CUT)
            if cut is not None:
                cut()
        finally:
            await self._source.aclose()


async def _frames(
    viewing: AbstractAsyncContextManager[Viewer],
    viewer: Viewer,
    deltas: bool,
    still_allowed: Callable[[], Awaitable[object]],
    keep_alive: float,
) -> AsyncGenerator[bytes, None]:
    checked = asyncio.get_running_loop().time()
    try:
        yield b"retry: 1000\n\n"
        while True:
            now = asyncio.get_running_loop().time()
            if now - checked >= keep_alive:
                await still_allowed()
                checked = now
            try:
                async with asyncio.timeout(keep_alive):
                    item = await viewer.next()
            except TimeoutError:
                yield b": still here\n\n"
                continue
            if not isinstance(item, Present) and (deltas or not isinstance(item, Delta)):
                yield _frame(item)
    except FlynnError as error:
        yield b"event: problem\ndata: " + orjson.dumps(problem_of(error)) + b"\n\n"
    except Exception as error:
        yield b"event: problem\ndata: " + orjson.dumps(problem_of(named(error, request_id=None))) + b"\n\n"
    finally:
        await viewing.__aexit__(None, None, None)


def _frame(item: Item) -> bytes:
    if isinstance(item, Delta):
        return b"event: delta\ndata: " + item.model_dump_json(exclude_none=True).encode() + b"\n\n"
    return b"id: %d\nevent: event\ndata: %s\n\n" % (item["seq"], orjson.dumps(item))
