"""What goes out for a request, with and without the switches."""

import copy

from flynn.model.request import ModelRequest
from flynn.model.switches import Switches

EPHEMERAL = {"type": "ephemeral"}


def test_the_default_body(request_: ModelRequest) -> None:
    assert request_.body(Switches()) == {
        "model": "claude-haiku-5-5",
        "max_tokens": 1_000,
        "stream": True,
        "cache_control": EPHEMERAL,
        "output_config": {"effort": "medium"},
        "system": [{"type": "text", "text": "You are Flynn.", "cache_control": EPHEMERAL}],
        "tools": request_.tools,
        "messages": request_.messages,
    }


def test_only_the_last_system_block_is_marked_and_a_mark_of_the_caller_kept(request_: ModelRequest) -> None:
    hour = {"type": "ephemeral", "ttl": "1h"}
    two = ModelRequest(
        model="m", max_tokens=1, tools=[], messages=[], system=[{"text": "a"}, {"text": "b"}]
    ).body(Switches())
    assert two["system"] == [{"text": "a"}, {"text": "b", "cache_control": EPHEMERAL}]
    assert "tools" not in two
    assert "output_config" not in two
    marked = ModelRequest(
        model="m", max_tokens=1, tools=[], messages=[], system=[{"text": "a", "cache_control": hour}]
    ).body(Switches())
    assert marked["system"] == [{"text": "a", "cache_control": hour}]


def test_nothing_that_is_stored_is_touched(request_: ModelRequest) -> None:
    before = copy.deepcopy(request_)
    for switches in (Switches(), Switches(caching=False)):
        request_.body(switches)
    assert request_ == before
    assert request_.body(Switches())["messages"] is request_.messages


def test_an_endpoint_without_caching_gets_no_marker() -> None:
    result = {
        "type": "tool_result",
        "tool_use_id": "t",
        "content": [{"type": "text", "text": "x", "cache_control": EPHEMERAL}],
    }
    request = ModelRequest(
        model="m",
        max_tokens=1,
        system=[{"type": "text", "text": "s", "cache_control": EPHEMERAL}],
        tools=[{"name": "Bash", "cache_control": EPHEMERAL}],
        messages=[
            {"role": "user", "content": "plain"},
            {"role": "user", "content": [{"type": "text", "text": "a", "cache_control": EPHEMERAL}, result]},
        ],
    )
    assert request.body(Switches(caching=False)) == {
        "model": "m",
        "max_tokens": 1,
        "stream": True,
        "system": [{"type": "text", "text": "s"}],
        "tools": [{"name": "Bash"}],
        "messages": [
            {"role": "user", "content": "plain"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "a"},
                    {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "x"}]},
                ],
            },
        ],
    }


def test_effort_and_thinking_are_switches(request_: ModelRequest) -> None:
    body = request_.body(Switches(effort=False, thinking="adaptive"))
    assert "output_config" not in body
    assert body["thinking"] == {"type": "adaptive"}
    assert request_.body(Switches(thinking="disabled"))["thinking"] == {"type": "disabled"}


def test_the_same_request_over_other_messages(request_: ModelRequest) -> None:
    other = request_.with_messages([{"role": "user", "content": "Hi"}])
    assert other.messages == [{"role": "user", "content": "Hi"}]
    assert (other.max_tokens, other.system, other.effort) == (1_000, request_.system, "medium")
    assert request_.with_messages([], max_tokens=5).max_tokens == 5
