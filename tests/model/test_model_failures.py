"""Every way in which a call gives nothing to adopt, by its class, with what it is known to have cost."""

import asyncio
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from flynn.domain.errors import ModelFailure
from flynn.domain.usage import Usage
from flynn.model.claude import Claude
from flynn.model.failures import (
    BrokenStream,
    CallFailed,
    KeyMissing,
    Permanent,
    Refused,
    RetryLater,
    Truncated,
)
from flynn.model.request import ModelRequest
from flynn.model.stream import BlockDelta
from tests.model.conftest import Connect
from tests.model.raw_server import (
    HEAD,
    MESSAGE_STOP,
    Handler,
    RawServer,
    answer,
    block_start,
    block_stop,
    chunk,
    cutting,
    delta,
    event,
    hanging,
    message_delta,
    message_start,
    playing,
    problem,
    replying,
    text,
    tool,
)


async def failure_of(connect: Connect, request: ModelRequest, handler: Handler, **options: Any) -> CallFailed:
    server, claude = await connect(handler, **options)
    with pytest.raises(ModelFailure) as caught:
        async for _ in claude.stream(request):
            pass
    assert len(server.requests) == 1, "a call is one attempt"
    assert isinstance(caught.value, CallFailed)
    return caught.value


# -- error statuses ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (408, "timeout_error"),
        (409, "conflict_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (502, "api_error"),
        (503, "api_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
    ],
)
async def test_a_busy_provider_is_asked_again_later(
    connect: Connect, request_: ModelRequest, status: int, kind: str
) -> None:
    failure = await failure_of(connect, request_, replying(status, problem(kind)))
    assert isinstance(failure, RetryLater)
    assert failure.provider_status == status
    assert failure.request_id == "req_1"
    assert failure.retry_after is None
    assert failure.detail == f"HTTP {status} {kind}: words of the provider"
    assert (failure.usage, failure.usage_final) == (Usage(), True)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (413, "request_too_large"),
        (422, "invalid_request_error"),
    ],
)
async def test_a_rejected_call_is_permanent_in_the_providers_words(
    connect: Connect, request_: ModelRequest, status: int, kind: str
) -> None:
    failure = await failure_of(connect, request_, replying(status, problem(kind)))
    assert isinstance(failure, Permanent)
    assert failure.detail == f"HTTP {status} {kind}: words of the provider"
    assert failure.status == 502, "our own status stays ours"
    assert failure.provider_status == status


@pytest.mark.parametrize("code", ["enforced", "contract", "linked_organization"])
async def test_a_spend_limit_is_permanent_even_as_429(
    connect: Connect, request_: ModelRequest, code: str
) -> None:
    details = {"error_code": f"{code}_spend_limit_reached"}
    body = problem("rate_limit_error", details=details)
    failure = await failure_of(connect, request_, replying(429, body, retry_after="3"))
    assert isinstance(failure, Permanent)
    assert f"{code}_spend_limit_reached" in failure.detail


async def test_compaction_unavailable_and_ramp_limits_pass(connect: Connect, request_: ModelRequest) -> None:
    for status, code in ((400, "compaction_unavailable"), (429, "ramp_limit_exceeded")):
        body = problem("invalid_request_error", details={"error_code": code})
        assert isinstance(await failure_of(connect, request_, replying(status, body)), RetryLater)


async def test_the_provider_may_ask_for_a_retry_of_a_rejected_call(
    connect: Connect, request_: ModelRequest
) -> None:
    body = problem("invalid_request_error")
    failure = await failure_of(connect, request_, replying(400, body, x_should_retry="true"))
    assert isinstance(failure, RetryLater)
    failure = await failure_of(connect, request_, replying(529, body, x_should_retry="false"))
    assert isinstance(failure, RetryLater)


@pytest.mark.parametrize(
    ("header", "value", "seconds"),
    [
        ("retry_after", "17", 17.0),
        ("retry_after", "0.5", 0.5),
        ("retry_after", "86400", 86_400.0),
        ("retry_after_ms", "1500", 1.5),
        ("retry_after", "-4", 0.0),
        ("retry_after", "soon", None),
        ("retry_after", "nan", None),
        ("retry_after", "inf", None),
        ("retry_after", "Mon, 01 Jan 2024 00:00:00 GMT", 0.0),
    ],
)
async def test_retry_after_is_handed_on_and_not_slept(
    connect: Connect, request_: ModelRequest, header: str, value: str, seconds: float | None
) -> None:
    async with asyncio.timeout(2):
        handler = replying(429, problem("rate_limit_error"), **{header: value})
        failure = await failure_of(connect, request_, handler)
    assert failure.retry_after == seconds


async def test_retry_after_may_be_a_date(connect: Connect, request_: ModelRequest) -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    failure = await failure_of(connect, request_, replying(503, problem("api_error"), retry_after=moment))
    assert failure.retry_after is not None
    assert 50 < failure.retry_after <= 60


async def test_an_error_page_of_a_proxy_is_shortened(connect: Connect, request_: ModelRequest) -> None:
    page = "<html>\n<b>502</b>" + "x" * 5_000
    failure = await failure_of(connect, request_, replying(502, page))
    assert isinstance(failure, RetryLater)
    assert failure.detail.startswith("HTTP 502: <html> <b>502</b>")
    assert len(failure.detail) < 600


async def test_an_error_without_a_body_has_words_too(connect: Connect, request_: ModelRequest) -> None:
    failure = await failure_of(connect, request_, replying(418, ""))
    assert isinstance(failure, Permanent)
    assert failure.detail == "HTTP 418: Status"


@pytest.mark.parametrize("cut", [True, False], ids=["cut", "silent"])
async def test_an_error_whose_words_do_not_come(connect: Connect, request_: ModelRequest, cut: bool) -> None:
    async def handler(_: RawServer, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 500 Oh\r\ncontent-length: 100\r\n\r\nhalf")
        await writer.drain()
        if cut:
            writer.close()
        else:
            await asyncio.Event().wait()

    failure = await failure_of(connect, request_, handler, idle_timeout_seconds=0.2)
    assert isinstance(failure, RetryLater)


# -- no answer -----------------------------------------------------------------------------------------


async def test_a_provider_that_cannot_be_reached(request_: ModelRequest) -> None:
    claude = Claude(api_key="k", base_url="http://127.0.0.1:1")
    with pytest.raises(RetryLater, match="No connection to the provider") as caught:
        await anext(claude.stream(request_))
    assert caught.value.usage_final
    await claude.close()


async def test_a_reset_before_the_answer(connect: Connect, request_: ModelRequest) -> None:
    async def handler(_: RawServer, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    failure = await failure_of(connect, request_, handler)
    assert isinstance(failure, RetryLater)
    assert not failure.usage_final, "nobody knows whether the call is billed"


async def test_no_head_within_the_idle_timeout(connect: Connect, request_: ModelRequest) -> None:
    failure = await failure_of(connect, request_, hanging(None), idle_timeout_seconds=0.2)
    assert isinstance(failure, RetryLater)
    assert failure.detail == "The provider did not answer within 0.2 s."


async def test_no_connection_within_the_connect_timeout(request_: ModelRequest) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        claude = Claude(api_key="k", base_url=f"http://127.0.0.1:{port}", connect_timeout_seconds=0.2)
        with pytest.raises(RetryLater, match=r"No connection to the provider within 0.2 s\.") as caught:
            await anext(claude.stream(request_))
        assert caught.value.usage_final
        await claude.close()
        for one in waiting:
            one.close()


async def test_a_base_url_that_is_none(request_: ModelRequest) -> None:
    claude = Claude(api_key="k", base_url="localhost:8000")
    with pytest.raises(Permanent, match="base URL"):
        await anext(claude.stream(request_))
    await claude.close()


async def test_a_key_that_no_header_carries_is_not_quoted(connect: Connect, request_: ModelRequest) -> None:
    _, claude = await connect(playing(answer()), api_key="sk-secret\nx")
    with pytest.raises(Permanent) as caught:
        await anext(claude.stream(request_))
    assert "key" in caught.value.detail
    assert "secret" not in caught.value.detail
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("key", [None, ""])
async def test_without_a_key_each_call_says_what_is_missing(
    connect: Connect, request_: ModelRequest, key: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-of-the-environment")
    server, claude = await connect(playing(answer()), api_key=key)
    for call in (anext(claude.stream(request_)), claude.count_tokens(request_), claude.facts("haiku")):
        with pytest.raises(KeyMissing, match="There is no key of the model's API"):
            await call
    assert server.requests == []


# -- errors inside a stream ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("overloaded_error", RetryLater),
        ("api_error", RetryLater),
        ("timeout_error", RetryLater),
        ("rate_limit_error", RetryLater),
        ("invalid_request_error", Permanent),
        ("authentication_error", Permanent),
        ("billing_error", Permanent),
        ("permission_error", Permanent),
        ("new_error", BrokenStream),
    ],
)
async def test_an_error_event_is_told_by_its_type(
    connect: Connect, request_: ModelRequest, kind: str, expected: type[CallFailed]
) -> None:
    events = [message_start(), *text(0, "half")[:2], problem(kind)]
    failure = await failure_of(connect, request_, playing(events))
    assert type(failure) is expected
    assert "words of the provider" in failure.detail
    assert failure.request_id == "req_1"
    assert failure.usage == Usage(input=10, output=1)
    assert not failure.usage_final


async def test_an_error_event_with_a_spend_limit(connect: Connect, request_: ModelRequest) -> None:
    body = problem("rate_limit_error", details={"error_code": "enforced_spend_limit_reached"})
    assert isinstance(await failure_of(connect, request_, playing([message_start(), body])), Permanent)


# -- streams that break --------------------------------------------------------------------------------


WHOLE = answer(text(0, "Hello"), tool(1, '{"command":"ls"}'), stop_reason="tool_use")


@pytest.mark.parametrize("kept", range(1, len(WHOLE)))
async def test_a_stream_that_ends_early_is_broken_wherever_it_ends(
    connect: Connect, request_: ModelRequest, kept: int
) -> None:
    failure = await failure_of(connect, request_, playing(WHOLE[:kept]))
    assert isinstance(failure, BrokenStream)
    assert "without message_stop" in failure.detail
    assert failure.usage.input == 10
    # Behind message_delta nothing is generated any more: its sum is the bill.
    assert failure.usage_final == (kept == len(WHOLE) - 1)


async def test_an_empty_stream(connect: Connect, request_: ModelRequest) -> None:
    failure = await failure_of(connect, request_, playing([]))
    assert isinstance(failure, BrokenStream)
    assert "empty" in failure.detail


async def test_a_lost_connection(connect: Connect, request_: ModelRequest) -> None:
    failure = await failure_of(connect, request_, cutting(WHOLE[:4]))
    assert isinstance(failure, BrokenStream)
    assert "connection was lost" in failure.detail
    assert failure.usage == Usage(input=10, output=1)


async def test_a_reset_in_the_middle(connect: Connect, request_: ModelRequest) -> None:
    async def handler(_: RawServer, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + chunk(event(WHOLE[0])))
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.transport.abort()

    assert isinstance(await failure_of(connect, request_, handler), BrokenStream)


async def test_silence_is_cut_by_the_watchdog(connect: Connect, request_: ModelRequest) -> None:
    failure = await failure_of(connect, request_, hanging(WHOLE[:3]), idle_timeout_seconds=0.2)
    assert isinstance(failure, BrokenStream)
    assert failure.detail == "The answer broke off: nothing came for 0.2 s."


async def test_pings_keep_the_watchdog_quiet(connect: Connect, request_: ModelRequest) -> None:
    async def handler(_: RawServer, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + chunk(event(WHOLE[0])))
        for _i in range(6):
            writer.write(chunk(event({"type": "ping"})))
            await writer.drain()
            await asyncio.sleep(0.08)
        for one in WHOLE[1:]:
            writer.write(chunk(event(one)))
        writer.write(b"0\r\n\r\n")

    _, claude = await connect(handler, idle_timeout_seconds=0.25)
    items = [item async for item in claude.stream(request_)]
    assert isinstance(items[1], BlockDelta)


async def test_pings_before_the_answer_begins_are_no_answer(connect: Connect, request_: ModelRequest) -> None:
    async def handler(_: RawServer, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD)
        while not writer.is_closing():
            writer.write(chunk(event({"type": "ping"})) + chunk(b": still there\n\n"))
            await writer.drain()
            await asyncio.sleep(0.03)

    failure = await failure_of(connect, request_, handler, idle_timeout_seconds=0.2)
    assert isinstance(failure, BrokenStream)
    assert failure.detail == "The answer broke off: signs of life came, but no content for 0.2 s."


@pytest.mark.parametrize("sign", [event({"type": "ping"}), b": still there\n\n"], ids=["pings", "comments"])
async def test_signs_of_life_are_believed_for_as_long_as_an_answer_could_take(
    connect: Connect, request_: ModelRequest, sign: bytes
) -> None:
    async def handler(_: RawServer, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + chunk(event(WHOLE[0])))
        while not writer.is_closing():
            writer.write(chunk(sign))
            await writer.drain()
            await asyncio.sleep(0.03)

    # 10 tokens at 20 a second: half a second, and the silence that is allowed.
    request = request_.with_messages(request_.messages, max_tokens=10)
    failure = await failure_of(connect, request, handler, idle_timeout_seconds=0.2)
    assert isinstance(failure, BrokenStream)
    assert failure.detail == "The answer broke off: signs of life came, but no content for 0.7 s."


async def test_deltas_before_the_break_were_shown(connect: Connect, request_: ModelRequest) -> None:
    _, claude = await connect(playing(WHOLE[:3]))
    stream = claude.stream(request_)
    seen = [await anext(stream), await anext(stream)]
    with pytest.raises(BrokenStream):
        await anext(stream)
    assert seen[-1] == BlockDelta(0, "text", "Hello")
    assert stream.usage == Usage(input=10, output=1)
    assert not stream.usage_final


@pytest.mark.parametrize(
    "given",
    [
        '{"a": 1',
        '{"a": 1} x',
        "[1]",
        '"ls"',
        "null",
        '{"a": NaN}',
        '{"a": 1e999}',
        '{"a": 36893488147419103232}',
        "{'a': 1}",
        '{"a":' + "[" * 150 + "]" * 150 + "}",
        '{"a":' + "[" * 100_000,
    ],
)
async def test_tool_input_must_be_one_json_object(
    connect: Connect, request_: ModelRequest, given: str
) -> None:
    failure = await failure_of(connect, request_, playing(answer(tool(0, given), stop_reason="tool_use")))
    assert isinstance(failure, BrokenStream)
    assert "'Bash' cannot be read" in failure.detail
    assert failure.usage_final, "the whole answer was billed"
    assert failure.usage.output == 7


@pytest.mark.parametrize(
    "events",
    [
        [text(0, "x")[0]],
        [message_start(), delta(3, "text_delta", text="x")],
        [message_start(), text(0, "x")[0], text(0, "x")[0]],
        [message_start(), message_start()],
        [message_start(), block_start(0, {"type": "tool_use", "id": "t", "input": {}})],
        [message_start(), block_start(0, {"type": "tool_use", "id": "", "name": "Bash", "input": {}})],
        [message_start(), tool(0)[0], delta(0, "input_yaml_delta", yaml="a: 1")],
        [message_start(), {"type": "content_block_start"}],
        [message_start(), {"type": "content_block_delta", "index": 0, "delta": None}],
        [message_start(), text(0)[0], {"type": "content_block_delta", "index": 0, "delta": None}],
        [message_start(), text(0)[0], delta(0, "text_delta", text=None)],
        [{"type": "message_start", "message": "hi"}],
        [message_start({"input_tokens": "many", "output_tokens": 1})],
        [message_start(), {"type": "message_delta"}],
    ],
)
async def test_events_that_make_no_sense(connect: Connect, request_: ModelRequest, events: list[Any]) -> None:
    ended = [*events, message_delta("end_turn"), MESSAGE_STOP]
    assert isinstance(await failure_of(connect, request_, playing(ended)), BrokenStream)


@pytest.mark.parametrize(
    "data", [b"data: {\n\n", b"data: []\n\n", b"data: 1\n\n", b"data: {}\n\n", b"data: \xff\n\n"]
)
async def test_data_that_is_no_event(connect: Connect, request_: ModelRequest, data: bytes) -> None:
    async def handler(_: RawServer, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + chunk(data) + b"0\r\n\r\n")

    failure = await failure_of(connect, request_, handler)
    assert isinstance(failure, BrokenStream)
    assert "cannot be read" in failure.detail


async def test_a_message_that_does_not_say_why_it_stopped(connect: Connect, request_: ModelRequest) -> None:
    events = [message_start(), *text(0, "x"), message_delta(None), MESSAGE_STOP]
    failure = await failure_of(connect, request_, playing(events))
    assert isinstance(failure, BrokenStream)
    assert "stop reason" in failure.detail


async def test_a_message_that_does_not_say_what_it_used(connect: Connect, request_: ModelRequest) -> None:
    start, end = message_start(), message_delta("end_turn")
    del start["message"]["usage"], end["usage"]
    failure = await failure_of(connect, request_, playing([start, *text(0, "x"), end, MESSAGE_STOP]))
    assert isinstance(failure, BrokenStream)
    assert "missing_usage" in failure.detail


async def test_a_success_that_is_no_event_stream(connect: Connect, request_: ModelRequest) -> None:
    failure = await failure_of(connect, request_, replying(200, "<html>Sign in</html>"))
    assert isinstance(failure, BrokenStream)
    assert "text/html" in failure.detail
    assert "Sign in" in failure.detail


# -- stop reasons that are failures --------------------------------------------------------------------


async def test_a_refusal(connect: Connect, request_: ModelRequest) -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "It looks like an attack."}
    events = [message_start(), *text(0, "I"), message_delta("refusal", stop_details=details), MESSAGE_STOP]
    failure = await failure_of(connect, request_, playing(events))
    assert isinstance(failure, Refused)
    assert failure.category == "cyber"
    assert "It looks like an attack." in failure.detail
    assert (failure.usage, failure.usage_final) == (Usage(input=10, output=7), True)
    assert failure.request_id == "req_1"


async def test_a_refusal_without_details_or_content(connect: Connect, request_: ModelRequest) -> None:
    failure = await failure_of(connect, request_, playing(answer(stop_reason="refusal")))
    assert isinstance(failure, Refused)
    assert failure.category is None


@pytest.mark.parametrize("stop_reason", ["max_tokens", "model_context_window_exceeded"])
async def test_a_truncated_answer_leaves_out_the_cut_call(
    connect: Connect, request_: ModelRequest, stop_reason: str
) -> None:
    cut = tool(2, '{"command": "rm -r', call_id="toolu_2")
    events = answer(text(0, "So"), tool(1, '{"command":"ls"}'), cut, stop_reason=stop_reason)
    failure = await failure_of(connect, request_, playing(events))
    assert isinstance(failure, Truncated)
    assert failure.stop_reason == stop_reason
    assert [b["type"] for b in failure.content] == ["text", "tool_use"]
    assert failure.content[1]["input"] == {"command": "ls"}
    assert (failure.usage, failure.usage_final) == (Usage(input=10, output=7), True)


async def test_a_block_need_not_be_closed_before_the_message(
    connect: Connect, request_: ModelRequest
) -> None:
    events = [message_start(), *text(0, "So")[:-1], message_delta("max_tokens"), MESSAGE_STOP]
    failure = await failure_of(connect, request_, playing(events))
    assert isinstance(failure, Truncated)
    assert failure.content == [{"type": "text", "text": "So"}]
    assert block_stop(0) not in events


async def test_a_failure_knows_its_reason_for_the_log() -> None:
    reasons = {kind: kind.reason for kind in (RetryLater, Permanent, Refused, Truncated, BrokenStream)}
    assert list(reasons.values()) == ["retry", "permanent", "refused", "truncated", "broken_stream"]
