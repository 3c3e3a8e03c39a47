"""Every fault as the SDK sees it (CLAUDE_PLATFORM.md section 4, the lines marked T)."""

import asyncio
import time
from typing import Any

import anthropic
import httpx2
import pytest

from flynn.simulator import Scenario
from tests.eventually import eventually
from tests.simulator.conftest import Start

TOOL: Any = {"name": "Write", "input_schema": {"type": "object"}}
ASK: Any = {
    "model": "claude-haiku-5-5",
    "max_tokens": 5000,
    "tools": [TOOL],
    "messages": [{"role": "user", "content": "Go."}],
}
BLOCKS: Any = [
    {"text": "A first sentence that takes several deltas to say, because it is long enough for that."},
    {"tool": "Write", "input": {"path": "a.txt", "content": "x" * 300}},
]


def scenario(*faults: Any, blocks: Any = BLOCKS) -> list[Scenario]:
    return [Scenario.model_validate({"name": "f", "turns": [{"blocks": blocks, "faults": list(faults)}]})]


async def streamed(sdk: anthropic.AsyncAnthropic) -> tuple[list[str], Any]:
    """The events of a streamed answer, and the message they made."""
    async with sdk.messages.stream(**ASK) as stream:
        names: list[str] = [event.type async for event in stream]
        return names, await stream.get_final_message()


@pytest.mark.parametrize(
    ("kind", "status", "error", "type_"),
    [
        ("rate_limited", 429, anthropic.RateLimitError, "rate_limit_error"),
        ("overloaded", 529, anthropic.InternalServerError, "overloaded_error"),
        ("server_error", 500, anthropic.InternalServerError, "api_error"),
        ("unavailable", 503, anthropic.InternalServerError, "api_error"),
        ("timeout", 504, anthropic.InternalServerError, "timeout_error"),
        ("bad_request", 400, anthropic.BadRequestError, "invalid_request_error"),
        ("unauthenticated", 401, anthropic.AuthenticationError, "authentication_error"),
        ("billing", 402, anthropic.APIStatusError, "billing_error"),
        ("forbidden", 403, anthropic.PermissionDeniedError, "permission_error"),
        ("not_found", 404, anthropic.NotFoundError, "not_found_error"),
        ("conflict", 409, anthropic.ConflictError, "conflict_error"),
        ("too_large", 413, anthropic.APIStatusError, "request_too_large"),
    ],
)
async def test_an_error_status(start: Start, kind: str, status: int, error: Any, type_: str) -> None:
    _, sdk = await start(scenario({"kind": kind, "message": "as written", "error_code": "some_code"}))
    with pytest.raises(error) as caught:
        await streamed(sdk)
    assert caught.value.status_code == status
    assert caught.value.type == type_
    assert caught.value.error_code == "some_code"
    assert caught.value.api_message == "as written"
    assert caught.value.request_id.startswith("req_")
    with pytest.raises(error):
        await sdk.messages.create(**ASK)


async def test_headers_that_steer_retries(start: Start) -> None:
    fault = {"kind": "rate_limited", "retry_after": 7.5, "should_retry": False}
    _, sdk = await start(scenario(fault), max_retries=2)
    began = time.monotonic()
    with pytest.raises(anthropic.RateLimitError) as caught:
        await sdk.messages.create(**ASK)
    assert time.monotonic() - began < 20
    assert caught.value.response.headers["retry-after"] == "7.5"
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert "anthropic-ratelimit-requests-remaining" in caught.value.response.headers


async def test_attempts_are_counted_per_turn_and_conversation(start: Start) -> None:
    server, sdk = await start(scenario({"kind": "overloaded", "on_attempt": [1, 2]}), max_retries=0)
    for _ in range(2):
        with pytest.raises(anthropic.InternalServerError):
            await sdk.messages.create(**ASK)
    assert (await sdk.messages.create(**ASK)).stop_reason == "tool_use"
    other = {**ASK, "metadata": {"user_id": "another"}}
    with pytest.raises(anthropic.InternalServerError):
        await sdk.messages.create(**other)
    assert [r.attempt for r in server.stage.records if r.status == 200] == [3]
    server.stage.reset()
    with pytest.raises(anthropic.InternalServerError):
        await sdk.messages.create(**ASK)


async def test_the_sdk_retries_a_fault_before_the_stream_by_itself(start: Start) -> None:
    _, sdk = await start(
        scenario({"kind": "overloaded", "retry_after": 0.01, "on_attempt": 1}), max_retries=1
    )
    assert (await streamed(sdk))[1].stop_reason == "tool_use"


async def test_a_cut_stream_raises_nothing(start: Start) -> None:
    _, sdk = await start(scenario({"kind": "stream_cut", "after_event": "content_block_delta"}))
    names, message = await streamed(sdk)
    assert names[-1] != "message_stop"
    assert message.stop_reason is None
    assert BLOCKS[0]["text"].startswith(message.content[0].text)


@pytest.mark.parametrize(
    ("point", "last"),
    [
        ({"after_events": 1}, "message_start"),
        ({"after_events": 2}, "content_block_start"),
        ({"after_event": "content_block_stop"}, "content_block_stop"),
        ({"after_event": "content_block_start:tool_use"}, "content_block_start"),
        ({"after_event": "message_delta"}, "message_delta"),
        ({}, "message_start"),
    ],
)
async def test_where_a_stream_is_cut(start: Start, point: Any, last: str) -> None:
    _, sdk = await start(scenario({"kind": "stream_cut", **point}))
    raw = await sdk.messages.create(**ASK, stream=True)
    assert [event.type async for event in raw][-1] == last


@pytest.mark.parametrize("point", [{"after_event": "content_block_delta"}, {"after_events": 3}])
async def test_a_lost_socket_is_a_raw_transport_error(start: Start, point: Any) -> None:
    _, sdk = await start(scenario({"kind": "connection_reset", **point}))
    with pytest.raises(httpx2.TransportError):
        await streamed(sdk)


async def test_a_reset_before_the_headers_is_a_connection_error(start: Start) -> None:
    server, sdk = await start(scenario({"kind": "connection_reset", "on_attempt": 1}))
    with pytest.raises(anthropic.APIConnectionError):
        await streamed(sdk)
    assert (await streamed(sdk))[1].stop_reason == "tool_use"
    assert [r.fault for r in server.stage.records] == ["connection_reset", None]


async def test_a_whole_answer_breaks_off(start: Start) -> None:
    _, sdk = await start(scenario({"kind": "connection_reset", "after_events": 1}))
    with pytest.raises((anthropic.APIConnectionError, httpx2.TransportError)):
        await sdk.messages.create(**ASK)


async def test_an_error_event_has_status_200_and_a_type(start: Start) -> None:
    _, sdk = await start(scenario({"kind": "error_event", "after_event": "content_block_delta"}))
    with pytest.raises(anthropic.APIStatusError) as caught:
        await streamed(sdk)
    assert caught.value.status_code == 200
    assert caught.value.type == "overloaded_error"
    with pytest.raises(anthropic.InternalServerError) as whole:
        await sdk.messages.create(**ASK)
    assert whole.value.status_code == 529


async def test_an_empty_stream_is_an_assertion_error(start: Start) -> None:
    _, sdk = await start(scenario({"kind": "empty_stream"}))
    with pytest.raises(AssertionError):
        await streamed(sdk)


async def test_a_hang_before_the_headers_lasts_until_the_client_leaves(start: Start) -> None:
    server, sdk = await start(scenario({"kind": "hang"}), timeout=0.15)
    with pytest.raises(anthropic.APITimeoutError):
        await streamed(sdk)
    record = next(iter(server.stage.records))
    await eventually(lambda: record.client_left, what="the simulator notices that the client left")
    assert record.first_byte is None


async def test_a_hang_in_the_stream_goes_on_afterwards(start: Start) -> None:
    fault = {"kind": "hang", "after_event": "message_start", "seconds": 0.2, "ping_every_ms": 50}
    _, sdk = await start(scenario(fault))
    began = time.monotonic()
    _, message = await streamed(sdk)
    assert time.monotonic() - began >= 0.2
    assert message.stop_reason == "tool_use"


async def test_pings_only_carry_no_event(start: Start) -> None:
    _, sdk = await start(scenario({"kind": "pings_only", "every_ms": 20, "seconds": 0.1}))
    raw = await sdk.messages.create(**ASK, stream=True)
    assert [event async for event in raw] == []


async def test_a_call_cut_at_max_tokens_is_silently_partial(start: Start) -> None:
    _, sdk = await start(scenario({"kind": "max_tokens"}))
    _, message = await streamed(sdk)
    assert message.stop_reason == "max_tokens"
    assert message.content[-1].type == "tool_use"
    assert message.content[-1].input != BLOCKS[1]["input"]


async def test_a_small_max_tokens_cuts_without_any_fault(start: Start) -> None:
    _, sdk = await start(scenario())
    message = await sdk.messages.create(**{**ASK, "max_tokens": 12})
    assert message.stop_reason == "max_tokens"
    assert message.usage.output_tokens <= 12
    assert BLOCKS[0]["text"].startswith(message.content[0].text)


async def test_input_that_does_not_parse_is_a_value_error(start: Start) -> None:
    _, sdk = await start(scenario(blocks=[{"tool": "Write", "input": '{"path": oops}'}]))
    with pytest.raises(ValueError, match="parse tool parameter JSON"):
        await streamed(sdk)


async def test_a_refusal_is_http_200_with_details(start: Start) -> None:
    fault = {"kind": "refusal", "category": "cyber", "explanation": "no", "keep_blocks": 1}
    _, sdk = await start(scenario(fault))
    for message in ((await streamed(sdk))[1], await sdk.messages.create(**ASK)):
        assert message.stop_reason == "refusal"
        assert (message.stop_details.category, message.stop_details.explanation) == ("cyber", "no")
        assert [b.type for b in message.content] == ["text"]


@pytest.mark.parametrize("value", ["model_context_window_exceeded", "something_new", None])
async def test_other_stop_reasons(start: Start, value: str | None) -> None:
    _, sdk = await start(scenario({"kind": "stop_reason", "value": value}))
    assert (await streamed(sdk))[1].stop_reason == value
    assert (await sdk.messages.create(**ASK)).stop_reason == value


async def test_a_paused_turn_goes_on_when_it_is_sent_back(start: Start) -> None:
    turns = [
        {"blocks": [{"text": "Searching."}], "faults": [{"kind": "stop_reason", "value": "pause_turn"}]},
        {"blocks": [{"text": "Found."}]},
    ]
    _, sdk = await start([Scenario.model_validate({"name": "p", "turns": turns})])
    paused = (await streamed(sdk))[1]
    assert paused.stop_reason == "pause_turn"
    content = [block.to_dict(mode="json") for block in paused.content]
    again = {**ASK, "messages": [*ASK["messages"], {"role": "assistant", "content": content}]}
    assert (await sdk.messages.create(**again)).content[0].text == "Found."


async def test_unknown_blocks_come_through(start: Start) -> None:
    _, sdk = await start(scenario(blocks=[{"raw": {"type": "hologram", "shape": [1, 2]}}, {"text": "Hm."}]))
    _, message = await streamed(sdk)
    assert message.content[0].to_dict(mode="json") == {"type": "hologram", "shape": [1, 2]}


async def test_cancelling_the_task_closes_the_socket(start: Start) -> None:
    server, sdk = await start(scenario({"kind": "hang", "after_event": "content_block_delta"}))
    task = asyncio.create_task(streamed(sdk))
    await eventually(lambda: any(r.status == 200 for r in server.stage.records), what="the answer begins")
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    record = next(iter(server.stage.records))
    await eventually(lambda: record.client_left, what="the simulator notices that the client left")
