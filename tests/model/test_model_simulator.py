"""The client against the simulator: whole conversations, and each fault that it plays."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from flynn.domain.content import Json
from flynn.model.claude import Claude
from flynn.model.failures import BrokenStream, CallFailed, Permanent, Refused, RetryLater, Truncated
from flynn.model.request import ModelRequest
from flynn.model.stream import MessageReceived
from flynn.simulator import Scenario, SimulatorServer

Play = Callable[..., Any]


@pytest.fixture
async def play() -> AsyncIterator[Play]:
    """`await play(turn, …)` is a simulator that plays the turns, and a client of it."""
    async with AsyncExitStack() as stack:

        async def _play(*turns: Json, **options: Any) -> tuple[SimulatorServer, Claude]:
            scenario = Scenario.model_validate({"name": "test", "turns": list(turns)})
            server = await stack.enter_async_context(SimulatorServer([scenario]))
            claude = Claude(**{"api_key": "sk-test", "base_url": server.url, **options})
            stack.push_async_callback(claude.close)
            return server, claude

        yield _play


async def message_of(claude: Claude, request: ModelRequest) -> MessageReceived:
    items = [item async for item in claude.stream(request)]
    message = items[-1]
    assert isinstance(message, MessageReceived)
    return message


CALLS = {
    "blocks": [
        {"thinking": "Look first."},
        {"text": "I look."},
        {"tool": "Bash", "input": {"command": "ls -la", "timeout": 5}},
        {"tool": "Bash", "input": {"command": "cat x"}},
    ]
}


async def test_a_conversation_goes_back_as_it_came(play: Play, request_: ModelRequest) -> None:
    _, claude = await play(CALLS, CALLS, {"blocks": [{"text": "Done."}]})
    messages = list(request_.messages)
    for stop_reason in ("tool_use", "tool_use", "end_turn"):
        message = await message_of(claude, request_.with_messages(messages))
        assert message.stop_reason == stop_reason
        assert message.usage.prompt > 0
        assert message.usage.output > 0
        assert message.request_id
        results = [
            {"type": "tool_result", "tool_use_id": block["id"], "content": "ok"}
            for block in message.content
            if block["type"] == "tool_use"
        ]
        messages += [{"role": "assistant", "content": message.content}, {"role": "user", "content": results}]
    first = messages[1]["content"]
    assert [block["type"] for block in first] == ["thinking", "text", "tool_use", "tool_use"]
    assert first[0]["thinking"] == ""
    assert first[0]["signature"]
    assert first[2]["input"] == {"command": "ls -la", "timeout": 5}


async def test_a_count_comes_without_a_call(play: Play, request_: ModelRequest) -> None:
    _, claude = await play(CALLS)
    short = await claude.count_tokens(request_)
    long = await claude.count_tokens(request_.with_messages([{"role": "user", "content": "word " * 500}]))
    assert short is not None
    assert long is not None
    assert 0 < short < long


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("rate_limited", RetryLater),
        ("overloaded", RetryLater),
        ("server_error", RetryLater),
        ("unavailable", RetryLater),
        ("timeout", RetryLater),
        ("conflict", RetryLater),
        ("bad_request", Permanent),
        ("unauthenticated", Permanent),
        ("billing", Permanent),
        ("forbidden", Permanent),
        ("not_found", Permanent),
        ("too_large", Permanent),
    ],
)
async def test_an_error_strikes_one_attempt_and_nobody_retries_in_secret(
    play: Play, request_: ModelRequest, kind: str, expected: type[CallFailed]
) -> None:
    fault = {"kind": kind, "on_attempt": 1, "message": "so it is", "retry_after": 7}
    _, claude = await play({"blocks": [{"text": "x"}], "faults": [fault]})
    with pytest.raises(expected, match="so it is") as caught:
        await message_of(claude, request_)
    if expected is RetryLater:
        assert caught.value.retry_after == 7
    assert (await message_of(claude, request_)).content == [{"type": "text", "text": "x"}]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"kind": "connection_reset"}, RetryLater),
        ({"kind": "connection_reset", "after_event": "content_block_delta"}, BrokenStream),
        ({"kind": "stream_cut"}, BrokenStream),
        ({"kind": "stream_cut", "after_event": "content_block_delta:input_json_delta"}, BrokenStream),
        ({"kind": "stream_cut", "after_event": "message_delta"}, BrokenStream),
        ({"kind": "error_event"}, RetryLater),
        ({"kind": "error_event", "error_type": "invalid_request_error"}, Permanent),
        ({"kind": "empty_stream"}, BrokenStream),
        ({"kind": "hang"}, RetryLater),
        ({"kind": "hang", "after_event": "content_block_start"}, BrokenStream),
        ({"kind": "max_tokens"}, Truncated),
        ({"kind": "refusal", "category": "cyber"}, Refused),
        ({"kind": "stop_reason", "value": "model_context_window_exceeded"}, Truncated),
        ({"kind": "stop_reason", "value": None}, BrokenStream),
    ],
)
async def test_each_fault_of_a_stream_has_its_class(
    play: Play, request_: ModelRequest, fault: Json, expected: type[CallFailed]
) -> None:
    turn = {"blocks": CALLS["blocks"], "faults": [{**fault, "on_attempt": 1}]}
    _, claude = await play(turn, idle_timeout_seconds=0.3)
    with pytest.raises(CallFailed) as caught:
        await message_of(claude, request_)
    assert type(caught.value) is expected
    assert (await message_of(claude, request_)).stop_reason == "tool_use"


async def test_an_unknown_stop_reason_is_handed_on(play: Play, request_: ModelRequest) -> None:
    _, claude = await play({"blocks": [{"text": "x"}], "faults": [{"kind": "stop_reason", "value": "tired"}]})
    assert (await message_of(claude, request_)).stop_reason == "tired"


async def test_tool_input_that_does_not_parse(play: Play, request_: ModelRequest) -> None:
    _, claude = await play({"blocks": [{"tool": "Bash", "input": '{"command": "ls'}]})
    with pytest.raises(BrokenStream, match="'Bash' cannot be read"):
        await message_of(claude, request_)


async def test_hanging_up_is_seen_at_the_other_end(play: Play, request_: ModelRequest) -> None:
    pacing = {"tokens_per_second": 20}
    server, claude = await play({"blocks": [{"text": "word " * 500}], "pacing": pacing})
    stream = claude.stream(request_)
    await anext(stream)
    await anext(stream)
    await stream.aclose()
    async with asyncio.timeout(20):
        while not all(r.client_left for r in server.stage.records):  # noqa: ASYNC110 - the server has no event
            await asyncio.sleep(0.01)
    assert stream.usage.prompt > 0


async def test_the_models_api(play: Play) -> None:
    _, claude = await play(CALLS)
    facts = await claude.facts("claude-haiku-5-5")
    assert facts.lifecycle == "active"
    assert facts.max_input_tokens == 1_000_000
    assert facts.efforts == ("low", "medium", "high", "xhigh", "max")
    with pytest.raises(Permanent):
        await claude.facts("claude-none")


async def test_calls_do_not_wait_for_each_other(play: Play, request_: ModelRequest) -> None:
    _, claude = await play({"blocks": [{"text": "x"}], "pacing": {"headers_ms": 100}})
    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.gather(*(message_of(claude, request_) for _ in range(20)))
    assert loop.time() - began < 1.5
