"""Scenarios: reading them, choosing among them, quoting, and the mistakes that are named."""

from pathlib import Path
from typing import Any

import pytest

from flynn.simulator import (
    Pacing,
    Scenario,
    ScenarioError,
    Text,
    ToolCall,
    Turn,
    load_scenarios,
    parse_scenarios,
)
from tests.simulator.conftest import Dial

BASH: Any = {"name": "Bash", "input_schema": {"type": "object"}}

BAD = [
    ("turns: [", "file.yaml:1: no valid YAML"),
    ("- a\n- b\n", "file.yaml:1: a scenario is a mapping"),
    ("", "there is no scenario in this text"),
    ("name: a\n", "file.yaml:1: turns: Field required"),
    ("name: a\nturns: []\n", "file.yaml:2: turns: List should have at least 1 item"),
    (
        "name: a\nturns:\n  - blocks:\n      - words: hi\n",
        "file.yaml:4: turns[0].blocks[0]: a block has one of",
    ),
    (
        "name: a\nturns:\n  - blocks:\n      - text: hi\n        colour: red\n",
        "file.yaml:5: turns[0].blocks[0].colour",
    ),
    ("name: a\nturns:\n  - blocks:\n      - text: ''\n", "file.yaml:4: turns[0].blocks[0].text"),
    ("name: a\nturns:\n  - pacing:\n      speed: 3\n", "file.yaml:4: turns[0].pacing.speed: Extra inputs"),
    (
        "name: a\nturns:\n  - faults:\n      - kind: overloaded\n      - kind: tired\n",
        "file.yaml:5: turns[0].faults[1]",
    ),
    (
        "name: a\nturns:\n  - faults:\n      - kind: hang\n        seconds: -1\n",
        "file.yaml:5: turns[0].faults[0].seconds",
    ),
    (
        "name: a\nturns: [{blocks: [{text: '{{ result( }}'}]}]\n",
        "turn 1: {{ result( }} is no valid expression",
    ),
    (
        "name: a\nturns: [{blocks: [{text: '{{ result(\"b\") }}'}]}]\n",
        "turn 1 quotes the result of 'b', but no earlier turn has such a call (there are: none)",
    ),
    (
        "name: a\nturns: [{blocks: [{tool: A, call: x}, {tool: B, call: x}]}]\n",
        "turn 1: two calls are named 'x'",
    ),
    ("name: ok\nturns: [{}]\n---\nname: a\n", "file.yaml:4: turns: Field required"),
    ("name: a\nmatch_in: result\nturns: [{}]\n", "match_in: result needs a phrase to match"),
]


@pytest.mark.parametrize(("script", "message"), BAD, ids=[str(i) for i in range(len(BAD))])
def test_a_mistake_is_named_with_its_line_and_field(script: str, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse_scenarios(script, "file.yaml")
    assert message in caught.value.detail


def test_a_directory_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text("name: second\nturns: [{}]\n---\nname: third\nturns: [{}]\n")
    (tmp_path / "a.yml").write_text("name: first\nturns: [{}]\n")
    (tmp_path / "notes.txt").write_text("not a scenario")
    assert [s.name for s in load_scenarios(tmp_path)] == ["first", "second", "third"]
    assert [s.name for s in load_scenarios(str(tmp_path / "b.yaml"))] == ["second", "third"]


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"no \*.yaml file"):
        load_scenarios(tmp_path)
    with pytest.raises(ScenarioError, match="cannot be read"):
        load_scenarios(tmp_path / "absent.yaml")
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text("name: same\nturns: [{}]\n")
    with pytest.raises(ScenarioError, match="two scenarios are named 'same'"):
        load_scenarios(tmp_path)


def request(*messages: Any, **fields: Any) -> dict[str, Any]:
    made = [{"role": "user" if i % 2 == 0 else "assistant", "content": m} for i, m in enumerate(messages)]
    return {"model": "claude-haiku-5-5", "max_tokens": 2000, "tools": [BASH], "messages": made, **fields}


async def text_of(http: Any, payload: Any) -> str:
    answer = await http.post("/v1/messages", json=payload)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["content"][-1]["text"])


CHAT = """
name: first
match: Hello
turns: [{blocks: [{text: hello 1}]}, {blocks: [{text: hello 2}]}]
fallback: {blocks: [{text: enough}]}
---
name: latest
match: deploy
match_in: latest_message
turns: [{blocks: [{text: deploy 1}]}, {blocks: [{text: deploy 2}]}]
---
name: ring
match: ring
turns: [{blocks: [{text: ding}]}, {blocks: [{text: dong}]}]
loop: true
"""


async def test_the_turn_follows_from_the_answers_so_far(dial: Dial) -> None:
    http = await dial(CHAT)
    assert await text_of(http, request("oh HELLO you")) == "hello 1"
    assert await text_of(http, request("hello", "x", "b")) == "hello 2"
    assert await text_of(http, request("hello", "x", "b", "x", "c")) == "enough"
    assert await text_of(http, request("ring")) == "ding"
    assert await text_of(http, request("ring", "x", "b", "x", "c", "x", "d")) == "dong"
    assert "No scenario" in await text_of(http, request("who?"))


LOST = """
name: lost
match: outcome unknown
match_in: result
turns:
  - blocks: [{text: I look.}, {tool: Bash, call: look, input: {command: ls}}]
  - blocks: [{text: 'There is {{ result("look") }}.'}]
---
name: usual
turns:
  - blocks: [{text: usual 1}]
  - blocks: [{text: usual 2}]
  - blocks: [{text: usual 3}]
  - blocks: [{text: usual 4}]
"""


async def test_a_scenario_of_a_result_counts_from_the_latest_one_until_there_are_new_words(
    dial: Dial,
) -> None:
    http = await dial(LOST)

    def called(name: str, result: str) -> list[Any]:
        call = [{"type": "tool_use", "id": name, "name": "Bash", "input": {}}]
        return [call, [{"type": "tool_result", "tool_use_id": name, "content": result}]]

    async def blocks_of(*messages: Any) -> list[Any]:
        answer = await http.post("/v1/messages", json=request(*messages))
        assert answer.status_code == 200, answer.text
        found: list[Any] = answer.json()["content"]
        return found

    begun = ["go", *called("t1", "fine")]
    assert await text_of(http, request(*begun)) == "usual 2"
    lost = [*begun, *called("t2", "Outcome UNKNOWN. Look first.")]
    looks = await blocks_of(*lost)
    assert [block["type"] for block in looks] == ["text", "tool_use"]
    assert await text_of(http, request(*lost, *called("t3", "a file"))) == "There is a file."
    # Lost again on the way: it looks again.
    again = [*lost, *called("t3", "outcome unknown"), *called("t4", "two files")]
    assert await text_of(http, request(*again)) == "There is two files."
    # New words are another matter.
    assert await text_of(http, request(*lost, "There is nothing.", "and now?")) == "usual 4"


async def test_a_scenario_of_the_latest_message_counts_from_there(dial: Dial) -> None:
    http = await dial(CHAT)
    assert await text_of(http, request("hi", "x", "y", "x", "deploy it")) == "deploy 1"
    call = [{"type": "tool_use", "id": "t1", "name": "Bash", "input": {}}]
    result = [
        {"type": "tool_result", "tool_use_id": "t1", "content": "ok"},
        {"type": "text", "text": "hello, late words"},
    ]
    assert await text_of(http, request("hi", "x", "deploy it", call, result)) == "deploy 2"
    assert await text_of(http, request("deploy it", "x", "and hello", "x", "now?")) != "deploy 2"


async def test_conversations_at_once_do_not_meet(dial: Dial) -> None:
    http = await dial(CHAT)
    assert await text_of(http, request("hello a", "x", "b")) == "hello 2"
    assert await text_of(http, request("hello b")) == "hello 1"
    assert await text_of(http, request("hello a", "x", "b")) == "hello 2"


QUOTES = """
name: q
turns:
  - blocks:
      - {tool: Bash, call: one, input: {command: ls}}
      - {tool: Bash, call: two, input: {command: id}}
  - blocks:
      - tool: Bash
        call: three
        input:
          command: EXPRESSION
          list: ['{{ result("one").line(2) }}']
"""


async def played(http: Any, first: str, second: Any, **fields: Any) -> Any:
    """Play the two turns of QUOTES over these results; gives the answer to the second request."""
    content = (await http.post("/v1/messages", json=request("go now"))).json()["content"]
    results = [
        {"type": "tool_result", "tool_use_id": content[0]["id"], "content": first},
        {"type": "tool_result", "tool_use_id": content[1]["id"], "content": second, **fields},
    ]
    return await http.post("/v1/messages", json=request("go now", content, results))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('{{ result("one") }}', "port: 80\nname: web\n"),
        ('{{ result("one").text | upper }}', "PORT: 80\nNAME: WEB\n"),
        ('on {{ result("one").regex("^name: (\\\\w+)", 1) }}!', "on web!"),
        ('{{ result("one").regex("(?P<n>\\\\d+)", "n") | int + 1 }}', 81),
        ('{{ result("two").is_error }}', True),
        ('{{ result("two") }}', "no\nway"),
        ('{{ result("one").line(-1) }}', "name: web"),
        ("{{ latest_message }}/{{ first_message }}", "go now/go now"),
        ("{{ messages | length }}", 3),
        ("{{ attempt }}", 1),
        ("{{ words(4) | length }}", 12),
        ("${{ github.sha }} and ${{ secrets.X }}", "${{ github.sha }} and ${{ secrets.X }}"),
        ("docker ps --format '{{ \"{{\" }}.Names}}'", "docker ps --format '{{.Names}}'"),
        ("{{ [1, 2] + [3] }}", [1, 2, 3]),
    ],
)
async def test_arguments_quote_earlier_results(dial: Dial, expression: str, expected: Any) -> None:
    turns = parse_scenarios(QUOTES)[0].model_dump()
    turns["turns"][1]["blocks"][0]["input"]["command"] = expression
    http = await dial([Scenario.model_validate(turns)])
    second = [{"type": "text", "text": "no"}, {"type": "text", "text": "way"}]
    answer = await played(http, "port: 80\nname: web\n", second, is_error=True)
    assert answer.json()["content"][0]["input"] == {"command": expected, "list": ["name: web"]}


@pytest.mark.parametrize(
    "expression",
    [
        '{{ result("one").regex("absent") }}',
        '{{ result("one").line(9) }}',
        "{{ nothing }}",
        "{{ 1 // 0 }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ messages.append(1) }}",
        "{{ words(1000001) }}",
    ],
)
async def test_what_cannot_be_quoted_is_a_mistake_of_the_scenario(dial: Dial, expression: str) -> None:
    turns = parse_scenarios(QUOTES)[0].model_dump()
    turns["turns"][1]["blocks"][0]["input"]["command"] = expression
    http = await dial([Scenario.model_validate(turns)])
    answer = await played(http, "a\nb", "c")
    assert answer.status_code == 400
    assert answer.headers["simulator-rule"] == "scenario"
    assert "scenario 'q', turn 2" in answer.json()["error"]["message"]


async def test_a_call_needs_its_tool(dial: Dial) -> None:
    def play(**fields: Any) -> list[Scenario]:
        return [
            Scenario(name="s", turns=[Turn(blocks=[ToolCall(tool="Bash"), ToolCall(tool="Read", **fields)])])
        ]

    refused = await (await dial(play())).post("/v1/messages", json=request("go"))
    assert refused.headers["simulator-rule"] == "scenario"
    assert "calls the tool 'Read', but the request defines Bash" in refused.json()["error"]["message"]
    invented = await (await dial(play(undeclared=True))).post("/v1/messages", json=request("go"))
    assert [b["name"] for b in invented.json()["content"]] == ["Bash", "Read"]


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"type": "none"}, "tool_choice is none"),
        ({"type": "auto", "disable_parallel_tool_use": True}, "parallel"),
    ],
)
async def test_a_call_respects_the_tool_choice(dial: Dial, choice: Any, message: str) -> None:
    calls = [ToolCall(tool="Bash"), ToolCall(tool="Bash")]
    http = await dial([Scenario(name="s", turns=[Turn(blocks=calls)])])
    refused = await http.post("/v1/messages", json=request("go", tool_choice=choice))
    assert message in refused.json()["error"]["message"]


async def test_stop_sequences_stop(dial: Dial) -> None:
    http = await dial(
        [Scenario(name="s", turns=[Turn(blocks=[Text(text="one STOP two"), Text(text="three")])])]
    )
    answer = (await http.post("/v1/messages", json=request("go", stop_sequences=["END", "STOP"]))).json()
    assert (answer["stop_reason"], answer["stop_sequence"]) == ("stop_sequence", "STOP")
    assert answer["content"] == [{"type": "text", "text": "one "}]


async def test_reported_tokens_and_stop_reason_can_be_set(dial: Dial) -> None:
    turn = Turn(blocks=[Text(text="hm")], stop_reason="odd", output_tokens=4321)
    http = await dial([Scenario(name="s", turns=[turn])])
    answer = (await http.post("/v1/messages", json=request("go"))).json()
    assert answer["stop_reason"] == "odd"
    assert answer["usage"]["output_tokens"] == 4321


async def test_pacing(dial: Dial) -> None:
    pacing = Pacing(headers_ms=40, first_token_ms=60, tokens_per_second=100)
    scenario = Scenario(name="s", pacing=pacing, turns=[Turn(blocks=[Text(text="x" * 60)])])
    http = await dial([scenario])
    for stream in (True, False):
        answer = await http.post("/v1/messages", json=request("go", stream=stream))
        assert answer.status_code == 200
    streamed, whole = (await http.get("/_simulator/requests")).json()["requests"]
    assert streamed["first_byte"] - streamed["received"] >= 0.04
    assert streamed["last_byte"] - streamed["first_byte"] >= 0.06 + 20 / 100 - 0.01
    assert whole["first_byte"] - whole["received"] >= 0.04 + 0.06 + 20 / 100 - 0.01
