"""Answers that a request's `output_config.format` asks for, and the schemas that it may have."""

from typing import Any

import httpx2
import jsonschema
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flynn.simulator import Options, SimulatorServer, parse_scenarios
from flynn.simulator.instance import filled, least, misfit

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "summary": {"type": "string"},
        "state": {"type": "string", "enum": ["unknown", "good"]},
        "items": {"type": "array", "items": {"$ref": "#/$defs/item"}, "minItems": 1},
        "more": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    },
    "required": ["summary", "state", "items"],
    "additionalProperties": False,
    "$defs": {
        "item": {
            "type": "object",
            "properties": {"on": {"type": "string", "format": "date"}, "done": {"type": "boolean"}},
            "required": ["on", "done"],
            "additionalProperties": False,
        }
    },
}

SCRIPT = """
name: told
match: hello
turns:
  - blocks: [{text: First.}]
  - blocks: [{text: Second.}]
account: {summary: As it was.}
"""


def body(schema: dict[str, Any] | None, *said: str, **more: Any) -> dict[str, Any]:
    messages = [
        {"role": "user" if place % 2 == 0 else "assistant", "content": words}
        for place, words in enumerate(said)
    ]
    made: dict[str, Any] = {"model": "claude-haiku-5-5", "max_tokens": 1000, "messages": messages, **more}
    if schema is not None:
        made["output_config"] = {"effort": "low", "format": {"type": "json_schema", "schema": schema}}
    return made


async def post(server: SimulatorServer, sent: dict[str, Any]) -> httpx2.Response:
    headers = {"x-api-key": "k", "anthropic-version": "2026-10-21"}
    async with httpx2.AsyncClient(base_url=server.url, headers=headers) as client:
        return await client.post("/v1/messages", json=sent)


def text(answer: httpx2.Response) -> str:
    assert answer.status_code == 200, answer.text
    return str(answer.json()["content"][0]["text"])


STRICT = Options(unproven="refuse")


async def test_a_format_is_answered_without_a_turn_of_the_scenario() -> None:
    async with SimulatorServer(parse_scenarios(SCRIPT), STRICT) as server:
        assert text(await post(server, body(None, "hello"))) == "First."
        account = text(await post(server, body(SCHEMA, "hello", "First.", "account?")))
        assert orjson.loads(account) == {
            "summary": "As it was.",
            "state": "unknown",
            "items": [{"on": "2026-01-01", "done": False}],
        }
        jsonschema.validate(orjson.loads(account), SCHEMA)
        # The conversation goes on with the turn that is due.
        said = ("hello", "First.", "account?", account, "go on")
        assert text(await post(server, body(None, *said))) == "Second."


async def test_without_a_scenario_the_least_object_comes() -> None:
    async with SimulatorServer([], STRICT) as server:
        assert orjson.loads(text(await post(server, body(SCHEMA, "anything"))))["summary"] == ""


async def test_an_account_that_does_not_fit_is_a_mistake_of_the_scenario() -> None:
    wrong = SCRIPT.replace("As it was.}", "x, state: bad}")
    async with SimulatorServer(parse_scenarios(wrong), STRICT) as server:
        answer = await post(server, body(SCHEMA, "hello"))
        assert answer.status_code == 400
        assert "the answer.state is none of 'unknown', 'good'" in answer.text


async def test_an_odd_answer_is_a_turn() -> None:
    odd = SCRIPT.replace("account: {summary: As it was.}", "account_turn: {blocks: [{text: No.}]}")
    async with SimulatorServer(parse_scenarios(odd), STRICT) as server:
        assert text(await post(server, body(SCHEMA, "hello"))) == "No."


def with_(**more: Any) -> dict[str, Any]:
    return {**SCHEMA, "properties": {**SCHEMA["properties"], **more}}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({**SCHEMA, "additionalProperties": True}, "'additionalProperties' must be set to false"),
        (with_(a={"type": "object", "properties": {}}), "'additionalProperties' must be set to false"),
        (with_(a={"type": "integer", "minimum": 1}), "'minimum' is not supported"),
        (with_(a={"type": "string", "maxLength": 5}), "'maxLength' is not supported"),
        (with_(a={"type": "string", "format": "regex"}), "'regex' is not supported"),
        (with_(a={"type": "array", "items": {"type": "string"}, "minItems": 2}), "only 0 and 1"),
        (with_(a={"type": "array", "items": {"type": "string"}, "maxItems": 2}), "'maxItems' is not"),
        (with_(a={"oneOf": [{"type": "string"}]}), "'oneOf' is not supported"),
        (with_(a={"$ref": "https://e.example/x"}), "definitions of the schema itself"),
        (with_(a={"$ref": "#/$defs/none"}), "there is no #/$defs/none"),
        (with_(a={"enum": [{"x": 1}]}), "complex values"),
        (with_(a={"type": "text"}), "is no type"),
        (with_(a={"description": "anything"}), "says nothing of a type"),
        ({**SCHEMA, "required": ["other"]}, "names a property that there is not"),
        (with_(**{f"p{n}": {"type": "string"} for n in range(25)}), "optional parameters"),
        (
            {
                **SCHEMA,
                "properties": {f"u{n}": {"anyOf": [{"type": "string"}, {"type": "null"}]} for n in range(17)},
                "required": [f"u{n}" for n in range(17)],
            },
            "union types",
        ),
        (
            {
                **SCHEMA,
                "$defs": {
                    "item": {
                        "type": "object",
                        "properties": {"next": {"$ref": "#/$defs/item"}},
                        "additionalProperties": False,
                    }
                },
            },
            "recursive",
        ),
    ],
)
async def test_what_the_api_refuses_is_refused(schema: dict[str, Any], words: str) -> None:
    async with SimulatorServer([], STRICT) as server:
        answer = await post(server, body(schema, "hello"))
        assert answer.status_code == 400
        assert words in answer.text


async def test_another_kind_of_format_is_refused() -> None:
    async with SimulatorServer([], STRICT) as server:
        for asked in (
            {"type": "text"},
            {"type": "json_schema"},
            {"type": "json_schema", "schema": {}, "x": 1},
        ):
            sent = body(None, "hello", output_config={"format": asked})
            assert (await post(server, sent)).status_code == 400


async def test_a_format_misses_what_was_cached_without_it() -> None:
    system = [{"type": "text", "text": "word " * 3000, "cache_control": {"type": "ephemeral"}}]
    async with SimulatorServer([], STRICT) as server:
        usages = [
            (await post(server, body(schema, "hello", system=system))).json()["usage"]
            for schema in (None, None, SCHEMA, SCHEMA, None)
        ]
    assert [u["cache_read_input_tokens"] > 0 for u in usages] == [False, True, False, True, True]


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["summary", "state", "items", "more", "on", "done", "x"]), inner),
    ),
)


@given(VALUES)
def test_what_fits_is_what_a_validator_says(value: Any) -> None:
    checker = jsonschema.Draft202012Validator(SCHEMA)
    for candidate in (value, filled(value, SCHEMA, SCHEMA), least(SCHEMA, SCHEMA)):
        assert (misfit(candidate, SCHEMA, SCHEMA) is None) == checker.is_valid(candidate)
