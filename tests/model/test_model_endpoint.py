"""The calls beside the stream: token counts and the Models API."""

from typing import Any

import pytest

from flynn.model.failures import BrokenStream, Permanent, RetryLater
from flynn.model.request import ModelRequest
from flynn.model.switches import Switches
from tests.model.conftest import Connect
from tests.model.raw_server import hanging, problem, replying


async def test_a_count_asks_for_the_prompt_alone(connect: Connect, request_: ModelRequest) -> None:
    server, claude = await connect(replying(200, {"input_tokens": 1234}))
    assert await claude.count_tokens(request_) == 1234
    (sent,) = server.requests
    assert sent.line == "POST /v1/messages/count_tokens HTTP/1.1"
    assert sent.headers["authorization"] == "Bearer sk-test"
    assert sent.body["messages"] == request_.messages
    assert "max_tokens" not in sent.body
    assert "stream" not in sent.body


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_an_endpoint_that_does_not_count(connect: Connect, request_: ModelRequest, status: int) -> None:
    _, claude = await connect(replying(status, "404 page not found"))
    assert await claude.count_tokens(request_) is None


async def test_a_switch_spares_the_question(connect: Connect, request_: ModelRequest) -> None:
    server, claude = await connect(replying(500, {}), switches=Switches(count_tokens=False))
    assert await claude.count_tokens(request_) is None
    assert server.requests == []


async def test_a_count_that_fails_is_a_failure(connect: Connect, request_: ModelRequest) -> None:
    _, claude = await connect(replying(404, problem("not_found_error", "model: gone")))
    with pytest.raises(Permanent, match="model: gone"):
        await claude.count_tokens(request_)
    _, claude = await connect(replying(529, problem("overloaded_error"), retry_after="2"))
    with pytest.raises(RetryLater) as caught:
        await claude.count_tokens(request_)
    assert caught.value.retry_after == 2


def yes(*names: str) -> dict[str, Any]:
    return {name: {"supported": True} for name in names}


MODEL = {
    "type": "model",
    "id": "claude-haiku-5-5",
    "display_name": "Claude Haiku 5.5",
    "created_at": "2026-10-07T00:00:00Z",
    "line": "haiku",
    "lifecycle": "active",
    "deprecated_at": None,
    "retires_at": "2027-10-07T00:00:00Z",
    "max_input_tokens": 1_000_000,
    "max_tokens": 128_000,
    "capabilities": {
        "effort": {"supported": True, **yes("low", "medium", "high"), "max": {"supported": False}},
        "thinking": {
            "supported": True,
            "types": {**yes("adaptive"), "disabled": {"supported": False}, "enabled": {"supported": False}},
        },
        **yes("structured_outputs", "image_input"),
        "pdf_input": {"supported": False},
    },
}


async def test_the_facts_of_a_model(connect: Connect) -> None:
    server, claude = await connect(replying(200, MODEL))
    facts = await claude.facts("claude-haiku-5-5")
    assert server.requests[0].line == "GET /v1/models/claude-haiku-5-5 HTTP/1.1"
    assert (facts.id, facts.line, facts.lifecycle) == ("claude-haiku-5-5", "haiku", "active")
    assert facts.retires_at is not None
    assert facts.retires_at.startswith("2027-10-07")
    assert (facts.max_input_tokens, facts.max_tokens) == (1_000_000, 128_000)
    assert facts.efforts == ("low", "medium", "high")
    assert facts.thinking == ("adaptive",)
    assert (facts.structured_outputs, facts.image_input, facts.pdf_input) == (True, True, False)


async def test_an_endpoint_that_says_little_of_its_models(connect: Connect) -> None:
    _, claude = await connect(replying(200, {"id": "qwen3", "object": "model"}))
    facts = await claude.facts("qwen3")
    assert (facts.id, facts.display_name, facts.lifecycle) == ("qwen3", "qwen3", None)
    assert (facts.max_tokens, facts.efforts, facts.thinking) == (None, (), ())


async def test_a_model_that_the_key_does_not_know(connect: Connect) -> None:
    _, claude = await connect(replying(404, problem("not_found_error", "model: nope")))
    with pytest.raises(Permanent, match="model: nope"):
        await claude.facts("nope")


async def test_answers_that_are_no_json(connect: Connect, request_: ModelRequest) -> None:
    _, claude = await connect(replying(200, "<html>Sign in</html>"))
    assert await claude.count_tokens(request_) is None
    with pytest.raises(BrokenStream, match="Sign in"):
        await claude.facts("haiku")
    _, claude = await connect(replying(200, "{oops", content_type="application/json"))
    with pytest.raises(BrokenStream, match="no JSON"):
        await claude.count_tokens(request_)
    with pytest.raises(BrokenStream, match="no JSON"):
        await claude.facts("haiku")


async def test_calls_beside_the_stream_meet_the_same_failures(
    connect: Connect, request_: ModelRequest
) -> None:
    _, claude = await connect(hanging(None), idle_timeout_seconds=0.1)
    with pytest.raises(RetryLater, match=r"within 0\.1 s"):
        await claude.count_tokens(request_)
    with pytest.raises(RetryLater, match=r"within 0\.1 s"):
        await claude.facts("haiku")


async def test_a_models_name_stays_one_segment_of_the_path(connect: Connect) -> None:
    server, claude = await connect(replying(200, MODEL))
    await claude.facts("../keys?x=1")
    assert server.requests[0].line == "GET /v1/models/..%2Fkeys%3Fx%3D1 HTTP/1.1"
