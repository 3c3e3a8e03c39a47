"""The key that holds: taken from one call to the next, also while calls are under way."""

import asyncio
import json
import sys
from contextlib import aclosing
from typing import Literal

import pytest

from flynn.model.failures import BrokenStream, KeyMissing, Permanent, RetryLater
from flynn.model.request import ModelRequest
from flynn.model.stream import MessageReceived
from flynn.model.switches import Switches
from flynn.simulator import Options, SimulatorServer, parse_scenarios
from tests.model.conftest import Connect
from tests.model.raw_server import answer, playing, problem, replying, text

SLOW = """\
name: slow
turns: [{pacing: {tokens_per_second: 20}, blocks: [{text: one two three four five six seven eight nine}]}]
"""


async def test_a_call_under_way_ends_with_the_key_it_began_with(
    connect: Connect, request_: ModelRequest
) -> None:
    held: dict[str, str | None] = {"key": "sk-first"}
    options = Options(keys=frozenset({"sk-first", "sk-second"}))
    async with SimulatorServer(parse_scenarios(SLOW), options) as simulator:
        _, claude = await connect(playing([]), api_key=lambda: held["key"], base_url=simulator.url)
        async with aclosing(claude.stream(request_)) as under_way:
            await anext(under_way)
            held["key"] = "sk-wrong"
            with pytest.raises(Permanent, match="401"):
                await anext(claude.stream(request_))
            said = [claude.key_accepted]
            held["key"] = None
            said.append(claude.key_accepted)
            with pytest.raises(KeyMissing):
                await anext(claude.stream(request_))
            held["key"] = "sk-second"
            items = [item async for item in claude.stream(request_)]
            assert isinstance(items[-1], MessageReceived)
            assert [*said, claude.key_accepted] == [False, None, True]
            rest = [item async for item in under_way]
        assert isinstance(rest[-1], MessageReceived)


@pytest.mark.parametrize("auth", ["bearer", "x-api-key"])
async def test_each_call_carries_the_key_of_its_time_over_one_pool(
    connect: Connect, request_: ModelRequest, auth: Literal["bearer", "x-api-key"]
) -> None:
    key = "sk-first"
    server, claude = await connect(
        replying(200, {"input_tokens": 1}), api_key=lambda: key, switches=Switches(auth=auth)
    )
    name = "authorization" if auth == "bearer" else "x-api-key"
    for key in ("sk-first", "sk-second", "sk-first"):  # noqa: B007  # the client asks for it
        await claude.count_tokens(request_)
    sent = [received.headers[name].removeprefix("Bearer ") for received in server.requests]
    assert sent == ["sk-first", "sk-second", "sk-first"]
    assert auth == "bearer" or all("authorization" not in received.headers for received in server.requests)


async def test_without_a_key_nobody_is_called_and_the_model_is_not_blamed(
    connect: Connect, request_: ModelRequest
) -> None:
    server, claude = await connect(playing(answer(text(0, "Hi"))), api_key=lambda: None)
    for _ in range(10):
        with pytest.raises(KeyMissing):
            await anext(claude.stream(request_))
    missing = claude.refusal(request_.model)
    assert isinstance(missing, KeyMissing)
    assert missing.retry_after == 300
    assert server.requests == []
    assert [standing.state for standing in claude.standings()] == ["closed"]


@pytest.mark.parametrize(
    ("status", "body", "accepted"),
    [
        (200, {"data": [{"id": "claude-haiku-5-5"}], "has_more": True}, True),
        (401, problem("authentication_error", "invalid x-api-key"), False),
        (403, problem("permission_error", "not yours"), False),
        (404, "404 page not found", None),
        (405, "no", None),
    ],
)
async def test_a_key_is_tried_with_a_call_that_costs_nothing(
    connect: Connect, status: int, body: object, accepted: bool | None
) -> None:
    server, claude = await connect(replying(status, body), api_key=None)
    assert await claude.try_key("sk-tried") is accepted
    (sent,) = server.requests
    assert sent.line == "GET /v1/models?limit=1 HTTP/1.1"
    assert sent.headers["authorization"] == "Bearer sk-tried"
    assert isinstance(claude.refusal("m"), KeyMissing), "it was tried, not taken"


async def test_a_try_that_tells_nothing_is_a_failure(connect: Connect) -> None:
    for status, body, kind in (
        (529, problem("overloaded_error"), RetryLater),
        (400, problem("invalid_request_error"), Permanent),
        (200, "<html>Log in to the network</html>", BrokenStream),
        (200, {"models": []}, BrokenStream),
    ):
        _, claude = await connect(replying(status, body), api_key=None)
        with pytest.raises(kind):
            await claude.try_key("sk-tried")
    _, claude = await connect(replying(200, {}), api_key=None, base_url="http://127.0.0.1:1")
    with pytest.raises(RetryLater):
        await asyncio.wait_for(claude.try_key("sk-tried"), 20)


FIRST_CALL = """
import asyncio, json, sys, threading
from flynn.model.claude import Claude
from flynn.model.failures import RetryLater

held_up = []

def hear(event, arguments):
    if event == "import" and threading.current_thread() is threading.main_thread():
        held_up.append(arguments[0].partition(".")[0])

async def call():
    claude = Claude(api_key="k", base_url="http://127.0.0.1:1")
    before = set(sys.modules)
    sys.addaudithook(hear)
    try:
        await claude.facts("claude")
    except RetryLater:
        pass
    heard = list(held_up)
    await claude.close()
    print(json.dumps([heard, sorted(set(sys.modules) - before)]))

asyncio.run(call())
"""


@pytest.mark.slow
async def test_what_the_first_call_loads_does_not_hold_up_the_heartbeats_of_leases() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", FIRST_CALL, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    held_up, loaded = json.loads(out)
    assert "httpcore2" in loaded
    assert "httpcore2" not in held_up
