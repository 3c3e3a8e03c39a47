"""Preserved thinking: what a thinking block may not survive, and what it must."""

import copy
from collections.abc import Callable
from typing import Any

import anthropic
import pytest

from flynn.simulator import Options, Scenario
from tests.simulator.conftest import Dial, Start

Change = Callable[[dict[str, Any]], object]
BETA = "thinking-binding-controls-2026-08-01"
TOOLS: Any = [
    {
        "name": "Read",
        "input_schema": {"type": "object", "properties": {"n": {"type": "number", "minimum": 1}}},
    },
    {"name": "Grep", "input_schema": {"type": "object"}},
]
SCRIPT = [
    Scenario.model_validate(
        {
            "name": "thinker",
            "turns": [
                {
                    "blocks": [
                        {"thinking": "one"},
                        {"tool": "Read", "input": {"n": 1, "deep": {"a": 1, "b": 2}}},
                    ]
                },
                {"blocks": [{"thinking": "two"}, {"text": "Second."}]},
                {"blocks": [{"thinking": "three"}, {"text": "Third."}]},
                {"blocks": [{"text": "Fourth."}]},
            ],
        }
    )
]


async def conversation(http: Any) -> dict[str, Any]:
    """A request that ends three turns with thinking, as a client that changes nothing would send it."""
    request: dict[str, Any] = {
        "model": "claude-haiku-5-5",
        "max_tokens": 500,
        "system": "Be brief.",
        "tools": copy.deepcopy(TOOLS),
        "messages": [{"role": "user", "content": "Look at it."}],
    }
    for turn in range(3):
        answer = await http.post("/v1/messages", json=request)
        assert answer.status_code == 200, answer.text
        content = answer.json()["content"]
        assert content[0]["type"] == "thinking"
        calls = [b for b in content if b["type"] == "tool_use"]
        results: list[Any] = [
            {"type": "tool_result", "tool_use_id": c["id"], "content": "found"} for c in calls
        ]
        follow_up = results or [{"type": "text", "text": f"And {turn}?"}]
        request["messages"] += [
            {"role": "assistant", "content": content},
            {"role": "user", "content": follow_up},
        ]
    return request


def thinking_free(request: dict[str, Any], *indexes: int) -> None:
    """Take the thinking out of these messages."""
    for index in indexes:
        message = request["messages"][index]
        message["content"] = [b for b in message["content"] if b["type"] != "thinking"]


def reorder(value: Any) -> Any:
    return dict(reversed(list(value.items())))


CHANGES: dict[str, Change] = {
    "system": lambda r: r.update(system="Be very brief."),
    "a tool's text": lambda r: r["tools"][1].update(description="New words."),
    "a tool less": lambda r: r["tools"].pop(),
    "a tool more": lambda r: r["tools"].append({"name": "Glob", "input_schema": {"type": "object"}}),
    "an earlier message": lambda r: r["messages"][0].update(content="Look at it now."),
    "an earlier result": lambda r: r["messages"][2]["content"][0].update(content="trimmed"),
    "an earlier call's input": lambda r: r["messages"][1]["content"][1]["input"].update(n=2),
    "a message put in": lambda r: r["messages"].insert(1, {"role": "user", "content": "Hey."}),
    "thinking taken from the middle": lambda r: thinking_free(r, 3),
}
KEEPS: dict[str, Change] = {
    "nothing": lambda r: None,
    "cache_control": lambda r: r["messages"][2]["content"][0].update(cache_control={"type": "ephemeral"}),
    "the order of tools": lambda r: r["tools"].reverse(),
    "the order of keys": lambda r: r["messages"][1]["content"][1].update(
        input=reorder(r["messages"][1]["content"][1]["input"])
    ),
    "1 as 1.0": lambda r: r["messages"][1]["content"][1]["input"].update(n=1.0),
    "whitespace at the edges": lambda r: r["messages"][0].update(content="  Look at it.\n"),
    "a string as a block": lambda r: r["messages"][0].update(
        content=[{"type": "text", "text": "Look at it."}]
    ),
    "system as a block": lambda r: r.update(system=[{"type": "text", "text": "Be brief."}]),
    "max_tokens": lambda r: r.update(max_tokens=77),
    "effort": lambda r: r.update(output_config={"effort": "low"}),
    "tool_choice": lambda r: r.update(tool_choice={"type": "none"}),
    "thinking taken from the front": lambda r: thinking_free(r, 1, 3),
    "thinking taken from the back": lambda r: thinking_free(r, 5),
    "all thinking taken": lambda r: thinking_free(r, 1, 3, 5),
    "a later message": lambda r: r["messages"][-1].update(content="Something else?"),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
async def test_a_changed_conversation_is_refused(dial: Dial, name: str, path: str) -> None:
    http = await dial(SCRIPT)
    request = await conversation(http)
    CHANGES[name](request)
    if path.endswith("count_tokens"):
        del request["max_tokens"]
    refused = await http.post(path, json=request)
    assert refused.status_code == 400
    assert refused.headers["simulator-rule"] == "binding"
    assert "bound to a different conversation" in refused.json()["error"]["message"]


@pytest.mark.parametrize("name", KEEPS)
async def test_what_is_not_compared_may_change(dial: Dial, name: str) -> None:
    http = await dial(SCRIPT)
    request = await conversation(http)
    KEEPS[name](request)
    answer = await http.post("/v1/messages", json=request)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("name", CHANGES)
async def test_an_older_account_is_not_checked(dial: Dial, name: str) -> None:
    http = await dial(SCRIPT, Options(binding="off"))
    request = await conversation(http)
    CHANGES[name](request)
    answer = await http.post("/v1/messages", json=request, headers={"anthropic-beta": BETA})
    assert answer.status_code == 200, answer.text
    reported = answer.json()["input_transformations"]
    assert {(r["type"], r["reason"]) for r in reported} == {
        ("thinking_mismatch_allowed", "prefix_binding_mismatch")
    }


async def test_an_older_account_may_ask_for_the_check(dial: Dial) -> None:
    http = await dial(SCRIPT, Options(binding="off"))
    request = await conversation(http)
    CHANGES["system"](request)
    request["thinking"] = {"type": "adaptive", "block_binding": {"prefix_mismatch_behavior": "error"}}
    refused = await http.post("/v1/messages", json=request, headers={"anthropic-beta": BETA})
    assert refused.headers["simulator-rule"] == "binding"


async def test_failing_blocks_can_be_dropped_and_are_not_billed(dial: Dial) -> None:
    http = await dial(SCRIPT)
    request = await conversation(http)
    sound = await http.post("/v1/messages", json=request, headers={"anthropic-beta": BETA})
    assert sound.json()["input_transformations"] == []
    CHANGES["an earlier result"](request)
    request["thinking"] = {"type": "adaptive", "block_binding": {"prefix_mismatch_behavior": "drop_block"}}
    answer = await http.post("/v1/messages", json=request, headers={"anthropic-beta": BETA})
    assert answer.status_code == 200
    assert answer.json()["input_transformations"] == [
        {"type": "thinking_dropped", "path": f"messages.{i}.content.0", "reason": "prefix_binding_mismatch"}
        for i in (3, 5)
    ]
    assert answer.json()["usage"]["input_tokens"] < sound.json()["usage"]["input_tokens"]


async def test_thinking_that_was_taken_away_cannot_be_put_back(dial: Dial) -> None:
    http = await dial(SCRIPT)
    whole = await conversation(http)
    stripped = copy.deepcopy(whole)
    stripped["messages"] = stripped["messages"][:5]
    thinking_free(stripped, 1)
    thinking_free(stripped, 3)
    answer = (await http.post("/v1/messages", json=stripped)).json()
    assert answer["content"][0]["type"] == "thinking"
    restored = copy.deepcopy(whole)
    restored["messages"] = [
        *whole["messages"][:5],
        {"role": "assistant", "content": answer["content"]},
        {"role": "user", "content": "?"},
    ]
    refused = await http.post("/v1/messages", json=restored)
    assert refused.headers["simulator-rule"] == "binding"


async def test_a_tool_round_keeps_all_its_thinking(dial: Dial) -> None:
    http = await dial(SCRIPT)
    request = await conversation(http)
    thinking_free(request, 1)
    thinking_free(request, 5)
    request["messages"] = request["messages"][:5]
    refused = await http.post("/v1/messages", json=request)
    assert refused.headers["simulator-rule"] == "binding"


@pytest.mark.parametrize("field", ["thinking", "signature"])
async def test_a_changed_block_is_invalid_whatever_the_account(dial: Dial, field: str) -> None:
    http = await dial(SCRIPT, Options(binding="off"))
    request = await conversation(http)
    block = request["messages"][1]["content"][0]
    block[field] = block[field][:-8] + "AAAAAAA=" if field == "signature" else "invented"
    refused = await http.post("/v1/messages", json=request)
    assert refused.headers["simulator-rule"] == "signature"


async def test_signatures_survive_a_restart(dial: Dial) -> None:
    request = await conversation(await dial(SCRIPT))
    assert (await (await dial(SCRIPT)).post("/v1/messages", json=request)).status_code == 200
    other = await dial(SCRIPT, Options(signing_key=b"another account"))
    assert (await other.post("/v1/messages", json=request)).headers["simulator-rule"] == "signature"


async def test_which_models_read_whose_thinking(dial: Dial) -> None:
    http = await dial(SCRIPT)
    request = await conversation(http)
    by_sonnet = await http.post(
        "/v1/messages", json={**request, "model": "claude-sonnet-5-5"}, headers={"anthropic-beta": BETA}
    )
    assert by_sonnet.json()["input_transformations"] == []
    start = {**request, "messages": request["messages"][:1], "model": "claude-sonnet-5-5"}
    first = (await http.post("/v1/messages", json=start)).json()["content"]
    result = {"type": "tool_result", "tool_use_id": first[1]["id"], "content": "found"}
    follow = [
        *start["messages"],
        {"role": "assistant", "content": first},
        {"role": "user", "content": [result]},
    ]
    by_haiku = await http.post(
        "/v1/messages", json={**request, "messages": follow}, headers={"anthropic-beta": BETA}
    )
    assert by_haiku.json()["input_transformations"] == [
        {"type": "thinking_dropped", "path": "messages.1.content.0", "reason": "model_binding_mismatch"}
    ]


async def test_thinking_is_shown_on_request_and_skipped_when_off(start: Start) -> None:
    _, sdk = await start(SCRIPT)
    ask: Any = {
        "model": "claude-haiku-5-5",
        "max_tokens": 500,
        "tools": TOOLS,
        "messages": [{"role": "user", "content": "Look."}],
    }
    shown = await sdk.messages.create(**ask, thinking={"type": "adaptive", "display": "summarized"})
    assert shown.content[0].type == "thinking"
    assert shown.content[0].thinking == "one"
    follow_up: Any = {
        **ask,
        "messages": [
            *ask["messages"],
            {"role": "assistant", "content": [b.to_dict(mode="json") for b in shown.content]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": shown.content[1].id}]},
        ],
    }
    assert (await sdk.messages.create(**follow_up)).content[0].type == "thinking"
    for off in ({"thinking": {"type": "disabled"}}, {"tool_choice": {"type": "any"}}):
        assert (await sdk.messages.create(**{**ask, **off})).content[0].type == "tool_use"
    follow_up["messages"][1]["content"][0]["thinking"] = "edited"
    with pytest.raises(anthropic.BadRequestError, match="signature"):
        await sdk.messages.create(**follow_up)
