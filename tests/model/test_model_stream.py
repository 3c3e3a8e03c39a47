"""An answer that comes to its end: the items, the raw blocks, the usage, the bytes that went out."""

import asyncio
import json
from typing import Any

import pytest

from flynn.domain.usage import Usage
from flynn.model.request import ModelRequest
from flynn.model.stream import BlockDelta, BlockStarted, MessageReceived, StreamItem
from flynn.model.switches import Switches
from tests.model.conftest import Connect
from tests.model.raw_server import (
    HEAD,
    MESSAGE_STOP,
    RawServer,
    answer,
    block_start,
    block_stop,
    chunk,
    delta,
    event,
    message_delta,
    message_start,
    playing,
    text,
    tool,
)


async def items_of(
    connect: Connect, request: ModelRequest, events: list[Any], **options: Any
) -> list[StreamItem]:
    _, claude = await connect(playing(events), **options)
    return [item async for item in claude.stream(request)]


def last(items: list[StreamItem]) -> MessageReceived:
    message = items[-1]
    assert isinstance(message, MessageReceived)
    return message


async def test_items_come_in_order_and_end_with_the_message(connect: Connect, request_: ModelRequest) -> None:
    events = answer(text(0, "Hel", "lo"), tool(1, '{"command": ', '"ls"}'), stop_reason="tool_use")
    items = await items_of(connect, request_, events)
    assert items[:-1] == [
        BlockStarted(0, "text"),
        BlockDelta(0, "text", "Hel"),
        BlockDelta(0, "text", "lo"),
        BlockStarted(1, "tool_use", "Bash", "toolu_1"),
        BlockDelta(1, "tool_input", '{"command": '),
        BlockDelta(1, "tool_input", '"ls"}'),
    ]
    message = last(items)
    assert (message.message_id, message.model, message.stop_reason) == (
        "msg_1",
        "claude-haiku-5-5",
        "tool_use",
    )
    assert message.content == [
        {"type": "text", "text": "Hello"},
        {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "ls"}},
    ]
    assert message.request_id == "req_1"
    assert message.first_token_ms is not None
    assert 0 <= message.first_token_ms <= message.duration_ms


@pytest.mark.parametrize(
    "stop_reason", ["end_turn", "stop_sequence", "tool_use", "pause_turn", "compaction", "new"]
)
async def test_stop_reasons_that_the_loop_acts_on(
    connect: Connect, request_: ModelRequest, stop_reason: str
) -> None:
    items = await items_of(connect, request_, answer(text(0, "x"), stop_reason=stop_reason))
    assert last(items).stop_reason == stop_reason


async def test_empty_thinking_keeps_its_signature(connect: Connect, request_: ModelRequest) -> None:
    thinking = [
        block_start(0, {"type": "thinking", "thinking": "", "signature": ""}),
        delta(0, "signature_delta", signature="sig=="),
        block_stop(0),
    ]
    items = await items_of(connect, request_, answer(thinking, text(1, "x")))
    assert items[0] == BlockStarted(0, "thinking")
    assert last(items).content[0] == {"type": "thinking", "thinking": "", "signature": "sig=="}


async def test_thinking_text_is_shown_and_kept(connect: Connect, request_: ModelRequest) -> None:
    thinking = [
        block_start(0, {"type": "thinking", "thinking": ""}),
        delta(0, "thinking_delta", thinking="Let "),
        delta(0, "thinking_delta", thinking="me"),
        delta(0, "signature_delta", signature="s"),
        block_stop(0),
    ]
    items = await items_of(connect, request_, answer(thinking))
    assert items[1] == BlockDelta(0, "thinking", "Let ")
    assert last(items).content == [{"type": "thinking", "thinking": "Let me", "signature": "s"}]


async def test_unknown_blocks_and_fields_survive_as_received(
    connect: Connect, request_: ModelRequest
) -> None:
    new = {"type": "hologram", "data": {"z": 1, "a": [None, 1.5]}, "v": True}
    redacted = {"type": "redacted_thinking", "data": "opaque"}
    call = {"type": "tool_use", "id": "t", "name": "Read", "input": {"p": 1}, "caller": {"type": "direct"}}
    events = answer(
        [block_start(0, new), block_stop(0)],
        [block_start(1, redacted), block_stop(1)],
        [block_start(2, call), block_stop(2)],
        stop_reason="tool_use",
    )
    items = await items_of(connect, request_, events)
    content = last(items).content
    assert content == [new, redacted, call]
    assert list(content[0]["data"]) == ["z", "a"]
    assert items[0] == BlockStarted(0, "other")


async def test_citations_are_collected(connect: Connect, request_: ModelRequest) -> None:
    cited = [
        block_start(0, {"type": "text", "text": "", "citations": None}),
        delta(0, "text_delta", text="x"),
        delta(0, "citations_delta", citation={"type": "char_location", "cited_text": "a"}),
        delta(0, "citations_delta", citation={"type": "char_location", "cited_text": "b"}),
        block_stop(0),
    ]
    message = last(await items_of(connect, request_, answer(cited)))
    assert [c["cited_text"] for c in message.content[0]["citations"]] == ["a", "b"]


async def test_a_tool_without_arguments_has_an_empty_object(connect: Connect, request_: ModelRequest) -> None:
    message = last(await items_of(connect, request_, answer(tool(0, ""), stop_reason="tool_use")))
    assert message.content[0]["input"] == {}


async def test_tool_input_keeps_its_digits_order_and_unicode(
    connect: Connect, request_: ModelRequest
) -> None:
    given = '{"z":18446744073709551615,"a":-9223372036854775808,"f":1.0,"s":"\\ud83d\\ude00 \\\\u0000"}'
    pieces = [given[i : i + 7] for i in range(0, len(given), 7)]
    message = last(await items_of(connect, request_, answer(tool(0, *pieces), stop_reason="tool_use")))
    assert json.dumps(message.content[0]["input"], separators=(",", ":")) == given


async def test_nul_and_lone_surrogates_of_the_model_are_replaced(
    connect: Connect, request_: ModelRequest
) -> None:
    events = answer(text(0, "a\x00b"), tool(1, '{"k\\u0000": ["\\ud800x"]}'), stop_reason="tool_use")
    message = last(await items_of(connect, request_, events))
    assert message.content[0]["text"] == "a\N{SYMBOL FOR NULL}b"
    assert message.content[1]["input"] == {"k\N{SYMBOL FOR NULL}": ["\N{REPLACEMENT CHARACTER}x"]}


async def test_an_answer_without_content_is_received(connect: Connect, request_: ModelRequest) -> None:
    message = last(await items_of(connect, request_, answer()))
    assert message.content == []
    assert message.first_token_ms is None


async def test_pings_comments_and_new_events_are_passed_over(
    connect: Connect, request_: ModelRequest
) -> None:
    async def handler(_: RawServer, writer: asyncio.StreamWriter) -> None:
        whole = answer(text(0, "x"))
        writer.write(HEAD + chunk(b": hello\n\n") + chunk(event({"type": "ping"})))
        for one in [whole[0], {"type": "weather", "sun": True}, *whole[1:]]:
            writer.write(chunk(event(one)))
        writer.write(b"0\r\n\r\n")

    _, claude = await connect(handler)
    items = [item async for item in claude.stream(request_)]
    assert last(items).content == [{"type": "text", "text": "x"}]


async def test_a_new_kind_of_delta_spoils_no_text(connect: Connect, request_: ModelRequest) -> None:
    odd = [block_start(0, {"type": "text", "text": ""}), delta(0, "mood_delta", mood=1), *text(0, "x")[1:]]
    assert last(await items_of(connect, request_, answer(odd))).content == [{"type": "text", "text": "x"}]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
async def test_events_may_be_cut_anywhere(connect: Connect, request_: ModelRequest, size: int) -> None:
    data = b"".join(event(e) for e in answer(text(0, "Grüße, 世界 🌍"), tool(1, '{"a":"é"}')))

    async def handler(_: RawServer, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD)
        for start in range(0, len(data), size):
            writer.write(chunk(data[start : start + size]))
            if start % 50 == 0:
                await writer.drain()
        writer.write(b"0\r\n\r\n")

    _, claude = await connect(handler)
    content = last([item async for item in claude.stream(request_)]).content
    assert (content[0]["text"], content[1]["input"]) == ("Grüße, 世界 🌍", {"a": "é"})


async def test_usage_is_cumulative_and_split_by_lifetime(connect: Connect, request_: ModelRequest) -> None:
    usage = {
        "input_tokens": 5,
        "cache_creation_input_tokens": 300,
        "cache_read_input_tokens": 2_000,
        "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
        "output_tokens": 1,
    }
    events = [
        message_start(usage),
        *text(0, "x"),
        message_delta(
            "end_turn", {"output_tokens": 42, "input_tokens": None, "cache_read_input_tokens": 2_001}
        ),
        MESSAGE_STOP,
    ]
    _, claude = await connect(playing(events))
    stream = claude.stream(request_)
    message = last([item async for item in stream])
    expected = Usage(input=5, output=42, cache_read=2_001, cache_write_5m=100, cache_write_1h=200)
    assert message.usage == stream.usage == expected
    assert stream.usage_final


async def test_cache_counts_may_be_missing_or_unsplit(connect: Connect, request_: ModelRequest) -> None:
    bare = last(await items_of(connect, request_, answer(text(0, "x"))))
    assert bare.usage == Usage(input=10, output=7)
    unsplit = {"input_tokens": 1, "output_tokens": 1, "cache_creation_input_tokens": 9}
    events = [message_start(unsplit), *text(0, "x"), message_delta("end_turn"), MESSAGE_STOP]
    message = last(await items_of(connect, request_, events))
    assert message.usage == Usage(input=1, output=7, cache_write_5m=9)


async def test_an_endpoint_that_counts_nothing_can_be_accepted(
    connect: Connect, request_: ModelRequest
) -> None:
    start = message_start()
    del start["message"]["usage"]
    end = message_delta("end_turn")
    del end["usage"]
    events = [start, *text(0, "x"), end, MESSAGE_STOP]
    message = last(await items_of(connect, request_, events, switches=Switches(missing_usage=True)))
    assert message.usage == Usage()


async def test_the_stored_blocks_go_out_as_they_are(connect: Connect, request_: ModelRequest) -> None:
    stored: list[dict[str, Any]] = [
        {"role": "user", "content": [{"type": "text", "text": "Grüße \N{SYMBOL FOR NULL} \\u0000"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "", "signature": "s=="},
                {"type": "hologram", "z": 1, "a": 1.0},
                {"type": "tool_use", "id": "t", "name": "Bash", "input": {"b": 2**64 - 1, "a": 1e-7}},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "ok"}]},
    ]
    server, claude = await connect(playing(answer(text(0, "x"))))
    async for _ in claude.stream(request_.with_messages(stored, max_tokens=77)):
        pass
    (sent,) = server.requests
    assert sent.line == "POST /v1/messages HTTP/1.1"
    assert sent.headers["authorization"] == "Bearer sk-test"
    assert sent.headers["anthropic-version"] == "2026-10-21"
    assert sent.headers["content-type"] == "application/json"
    assert "x-api-key" not in sent.headers
    assert sent.body["messages"] == stored
    assert (
        json.dumps(sent.body["messages"], separators=(",", ":")).encode()
        in json.dumps(sent.body, separators=(",", ":")).encode()
    )
    assert (sent.body["stream"], sent.body["max_tokens"]) == (True, 77)
    assert "Grüße".encode() in sent.raw


async def test_switches_reach_the_wire(connect: Connect, request_: ModelRequest) -> None:
    switches = Switches(auth="x-api-key", betas=("a-2026-01-01", "b-2026-02-02"), caching=False)
    server, claude = await connect(playing(answer(text(0, "x"))), switches=switches)
    async for _ in claude.stream(request_):
        pass
    (sent,) = server.requests
    assert sent.headers["x-api-key"] == "sk-test"
    assert "authorization" not in sent.headers
    assert sent.headers["anthropic-beta"] == "a-2026-01-01,b-2026-02-02"
    assert b"cache_control" not in sent.raw


async def test_a_connection_is_kept_for_the_next_call(connect: Connect, request_: ModelRequest) -> None:
    server, claude = await connect(playing(answer(text(0, "x"))))
    for _ in range(3):
        async for _item in claude.stream(request_):
            pass
    assert len(server.requests) == 3
    assert server.connections == 1


async def test_the_message_does_not_wait_for_a_server_that_keeps_the_socket(
    connect: Connect, request_: ModelRequest
) -> None:
    async def handler(_: RawServer, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"".join(chunk(event(e)) for e in answer(text(0, "x"))))
        await asyncio.Event().wait()

    server, claude = await connect(handler)
    async with asyncio.timeout(20):
        items = [item async for item in claude.stream(request_)]
        assert last(items).stop_reason == "end_turn"
        await server.hung_up.wait()
