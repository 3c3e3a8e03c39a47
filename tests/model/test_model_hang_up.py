"""Hanging up: the socket of a call is closed at once, and what was billed so far is known."""

import asyncio
import contextlib

import pytest

from flynn.domain.usage import Usage
from flynn.model.failures import CallFailed
from flynn.model.request import ModelRequest
from flynn.model.stream import BlockDelta
from tests.model.conftest import Connect
from tests.model.raw_server import answer, hanging, playing, text

BEGUN = answer(text(0, "Hello"))[:3]


async def test_closing_the_stream_closes_the_socket(connect: Connect, request_: ModelRequest) -> None:
    server, claude = await connect(hanging(BEGUN))
    stream = claude.stream(request_)
    async for item in stream:
        if isinstance(item, BlockDelta):
            break
    assert not server.hung_up.is_set()
    await stream.aclose()
    async with asyncio.timeout(20):
        await server.hung_up.wait()
    assert stream.usage == Usage(input=10, output=1)
    assert not stream.usage_final
    assert stream.request_id == "req_1"
    await stream.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


@pytest.mark.parametrize("events", [None, BEGUN], ids=["before the head", "in the answer"])
async def test_cancelling_the_task_closes_the_socket(
    connect: Connect, request_: ModelRequest, events: list[object] | None
) -> None:
    server, claude = await connect(hanging(events))

    async def call() -> None:
        async for _ in claude.stream(request_):
            pass

    task = asyncio.create_task(call())
    async with asyncio.timeout(20):
        await server.asked.wait()
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.hung_up.wait()


async def test_a_stream_that_was_never_begun_sends_nothing(connect: Connect, request_: ModelRequest) -> None:
    server, claude = await connect(playing(answer()))
    await claude.stream(request_).aclose()
    assert server.connections == 0


async def test_other_calls_go_on_when_one_hangs_up(connect: Connect, request_: ModelRequest) -> None:
    server, claude = await connect(hanging(BEGUN))
    first, second = claude.stream(request_), claude.stream(request_)
    await anext(first)
    await anext(second)
    await first.aclose()
    assert isinstance(await anext(second), BlockDelta)
    assert server.connections == 2
    await second.aclose()


async def test_closing_the_client_ends_what_is_under_way(connect: Connect, request_: ModelRequest) -> None:
    _, claude = await connect(hanging(BEGUN))
    stream = claude.stream(request_)
    await anext(stream)
    await anext(stream)
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0.02)
    await claude.close()
    async with asyncio.timeout(20):
        with contextlib.suppress(CallFailed):
            await waiting
            pytest.fail("an item came over a closed connection")
