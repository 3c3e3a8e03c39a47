"""Every rule: a request that breaks it, and the request next to it that does not."""

import copy
import io
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image
from pypdf import PdfWriter

from flynn.simulator import Options
from tests.simulator.conftest import Dial

Change = Callable[[dict[str, Any]], None]


def picture(width: int, height: int, format: str = "PNG", media_type: str = "image/png") -> Any:
    """An image block of one colour."""
    file = io.BytesIO()
    Image.new("L", (width, height)).save(file, format)
    data = b64encode(file.getvalue()).decode()
    return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}


def pdf(pages: int, password: str = "") -> Any:
    """A document block of blank pages."""
    writer, file = PdfWriter(), io.BytesIO()
    for _ in range(pages):
        writer.add_blank_page(100, 100)
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    writer.write(file)
    data = b64encode(file.getvalue()).decode()
    return {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": data}}


def holding(block: Any, data: str) -> Any:
    """The same block with other data."""
    return {**block, "source": {**block["source"], "data": data}}


TOOL: Any = {"name": "Read", "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}}}
CALL: Any = {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"path": "a"}}
OTHER: Any = {**CALL, "id": "toolu_2"}
RESULT: Any = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}
MARK: Any = {"type": "ephemeral"}
HOUR: Any = {"type": "ephemeral", "ttl": "1h"}
PICTURE: Any = picture(1, 1)
PDF: Any = pdf(2)
PAGE: Any = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "page"}}
CITATION: Any = {
    "type": "char_location",
    "cited_text": "x",
    "document_index": 0,
    "document_title": None,
    "start_char_index": 0,
    "end_char_index": 1,
}


def text(words: str, **fields: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **fields}


def user(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(content)}


def model(*content: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(content)}


def base() -> dict[str, Any]:
    """A sound request with one answered tool call."""
    return {
        "model": "claude-haiku-5-5",
        "max_tokens": 100,
        "system": [text("Be brief.")],
        "tools": [copy.deepcopy(TOOL)],
        "messages": [user(text("Go.")), model(text("I look."), CALL), user(RESULT)],
    }


def put(**fields: Any) -> Change:
    return lambda payload: payload.update(fields)


def say(*messages: Any) -> Change:
    return put(messages=list(messages))


def without(name: str) -> Change:
    return lambda payload: payload.pop(name)


def tool(**fields: Any) -> Change:
    return put(tools=[{**TOOL, **fields}, {**TOOL, "name": "Other"}], messages=[user(text("Go."))])


def strict_tool(optional: int, *, closed: bool = True) -> Any:
    properties = {f"p{i}": {"type": "string"} for i in range(optional)}
    schema: Any = {"type": "object", "properties": properties, "required": []}
    if closed:
        schema["additionalProperties"] = False
    return {"name": "Strict", "strict": True, "input_schema": schema}


def marked(*marks: Any) -> Any:
    return user(*(text(f"part {i}", cache_control=mark) for i, mark in enumerate(marks)))


SYSTEM_LATE: Any = {"role": "system", "content": "Mind the gap."}

# rule, what breaks it, what is next to it and does not
RULES: list[tuple[str, Change, Change]] = [
    ("required-field", without("model"), put()),
    ("required-field", without("messages"), put()),
    ("required-field", without("max_tokens"), put()),
    ("unknown-field", put(colour="red"), put(metadata={"user_id": "u"})),
    ("unknown-field", say(user(text("a", colour="red"))), say(user(text("a", cache_control=None)))),
    ("unknown-field", tool(colour="red"), tool(description="Reads.", eager_input_streaming=True)),
    ("unknown-field", put(betas=["x"]), put()),
    ("unknown-type", say(user({"type": "hologram"})), say(user(PICTURE))),
    ("unknown-type", say({"role": "tool", "content": "x"}), say(user(text("x")))),
    ("type", put(max_tokens="100"), put(max_tokens=100)),
    ("type", put(max_tokens=True), put(max_tokens=1)),
    ("type", put(messages={}), put()),
    ("type", say("hello"), say({"role": "user", "content": "hello"})),
    ("type", say(user(text("a")), model({**CALL, "input": "text"}), user(RESULT)), put()),
    ("type", put(stream="yes"), put(stream=False)),
    ("value", put(output_config={"effort": "huge"}), put(output_config={"effort": "xhigh"})),
    ("sampling", put(temperature=1), put()),
    ("sampling", put(top_p=None), put()),
    ("sampling", put(top_k=5), put()),
    ("max-tokens", put(max_tokens=-1), put(max_tokens=0)),
    ("max-tokens", put(max_tokens=128_001), put(max_tokens=128_000)),
    ("max-tokens", put(max_tokens=0, stream=True), put(max_tokens=1, stream=True)),
    (
        "thinking-budget",
        put(thinking={"type": "enabled", "budget_tokens": 2048}),
        put(thinking={"type": "adaptive", "display": "summarized"}),
    ),
    (
        "thinking-disabled",
        put(thinking={"type": "disabled"}, output_config={"effort": "max"}),
        put(thinking={"type": "disabled"}, output_config={"effort": "high"}),
    ),
    ("tool-choice", put(tool_choice={"type": "tool", "name": "Nope"}), put(tool_choice={"type": "auto"})),
    (
        "forced-tool-choice",
        put(model="claude-sonnet-5-5", tool_choice={"type": "any"}),
        put(tool_choice={"type": "any"}),
    ),
    ("stop-sequence", put(stop_sequences=["END", " \n"]), put(stop_sequences=["END"])),
    ("tool-name", tool(name="Read file"), tool(name="Read-file_2")),
    ("tool-name", tool(name="x" * 65), tool(name="x" * 64)),
    ("tool-name", tool(name="Other"), tool(name="Another")),
    ("tool-schema", tool(input_schema={"properties": {}}), tool(input_schema={"type": "object"})),
    (
        "tool-schema",
        tool(input_schema={"type": "object", "anyOf": [{}]}),
        tool(input_schema={"type": "object", "properties": {"a": {"anyOf": [{}]}}}),
    ),
    (
        "strict-tools",
        put(tools=[strict_tool(1, closed=False)], messages=[user(text("a"))]),
        put(tools=[strict_tool(1)], messages=[user(text("a"))]),
    ),
    (
        "strict-tools",
        put(tools=[strict_tool(25)], messages=[user(text("a"))]),
        put(tools=[strict_tool(24)], messages=[user(text("a"))]),
    ),
    (
        "strict-tools",
        put(tools=[{**strict_tool(0), "name": f"t{i}"} for i in range(21)], messages=[user(text("a"))]),
        put(tools=[{**strict_tool(0), "name": f"t{i}"} for i in range(20)], messages=[user(text("a"))]),
    ),
    (
        "not-simulated",
        put(tools=[TOOL, {"type": "web_search_20250305", "name": "web_search"}]),
        put(tools=[TOOL, {"type": "bash_20250124", "name": "bash"}]),
    ),
    ("not-simulated", put(container="c"), put()),
    ("not-simulated", put(diagnostics={"previous_message_id": None}), put(inference_geo=None)),
    ("no-message", say(), put()),
    ("first-role", say(model(text("a")), user(text("b"))), say(user(text("b")))),
    (
        "prefill",
        say(user(text("a")), model(text("b"))),
        say(user(text("a")), model(text("b")), user(text("c"))),
    ),
    ("empty-text", say(user(text(""))), say(user(text("a")))),
    ("empty-text", say({"role": "user", "content": ""}), say({"role": "user", "content": "a"})),
    ("empty-text", put(system=[text("")]), put(system=[text("s")])),
    (
        "empty-text",
        say(user(text("a")), model(CALL), user({**RESULT, "content": [text("")]})),
        say(user(text("a")), model(CALL), user({**RESULT, "content": [text("b")]})),
    ),
    ("empty-message", say(user(text("a")), model(), user(text("b"))), put()),
    ("empty-message", say(user()), say(user(text("a")))),
    ("unanswered-call", say(user(text("a")), model(CALL), user(text("b"))), put()),
    ("unanswered-call", say(user(text("a")), model(CALL)), put()),
    (
        "unanswered-call",
        say(user(text("a")), model(CALL, OTHER), user(RESULT)),
        say(user(text("a")), model(CALL, OTHER), user(RESULT, {**RESULT, "tool_use_id": "toolu_2"})),
    ),
    (
        "unanswered-call",
        say(user(text("a")), model(CALL), user(text("b")), user(RESULT)),
        say(user(text("a")), model(CALL), user(RESULT), user(text("b"))),
    ),
    (
        "unanswered-call",
        say(user(text("a")), model(CALL), SYSTEM_LATE, user(RESULT)),
        say(user(text("a")), model(CALL), user(RESULT), SYSTEM_LATE),
    ),
    ("unknown-tool-use-id", say(user(RESULT)), say(user(text("a")))),
    (
        "unknown-tool-use-id",
        say(user(text("a")), model(CALL), user(RESULT, {**RESULT, "tool_use_id": "toolu_9"})),
        put(),
    ),
    ("duplicate-result", say(user(text("a")), model(CALL), user(RESULT, RESULT)), put()),
    (
        "results-first",
        say(user(text("a")), model(CALL), user(text("late"), RESULT)),
        say(user(text("a")), model(CALL), user(RESULT, text("late"))),
    ),
    (
        "duplicate-call",
        say(user(text("a")), model(CALL), user(RESULT), model(CALL), user(RESULT)),
        say(
            user(text("a")),
            model(CALL),
            user(RESULT),
            model(OTHER),
            user({**RESULT, "tool_use_id": "toolu_2"}),
        ),
    ),
    ("block-role", say(user(text("a"), CALL), user(RESULT)), put()),
    ("block-role", say(user(text("a")), model(RESULT), user(text("b"))), put()),
    ("system-message", say(user(text("a")), model(text("b")), SYSTEM_LATE, user(text("c"))), put()),
    (
        "system-message",
        say(user(text("a")), SYSTEM_LATE, user(text("c"))),
        say(user(text("a")), SYSTEM_LATE, model(text("b")), user(text("c"))),
    ),
    ("first-role", say(SYSTEM_LATE, user(text("a"))), say(user(text("a")), SYSTEM_LATE)),
    (
        "assistant-document",
        say(user(text("a")), model(PAGE), user(text("b"))),
        say(user(PAGE, text("a")), model(text("b")), user(text("c"))),
    ),
    ("citations", say(user(text("a", citations=[CITATION]))), say(user(text("a", citations=[])))),
    (
        "citations",
        say(user(text("a")), model(CALL), user({**RESULT, "content": [text("b", citations=[CITATION])]})),
        say(user(text("a")), model(text("b", citations=[CITATION])), user(text("c"))),
    ),
    (
        "image-size",
        say(user(holding(PICTURE, "A" * 10_000_001))),
        say(user(PICTURE)),
    ),
    ("image-unreadable", say(user(holding(PICTURE, "iVBORw0K"))), say(user(PICTURE))),
    ("image-unreadable", say(user(holding(PICTURE, "ä"))), say(user(PICTURE))),
    (
        "image-unreadable",
        say(user(holding(PICTURE, picture(90, 90)["source"]["data"][:80]))),
        say(user(picture(90, 90))),
    ),
    (
        "image-type",
        say(user(picture(2, 2, "JPEG"))),
        say(user(picture(2, 2, "JPEG", "image/jpeg"), picture(2, 2, "GIF", "image/gif"))),
    ),
    ("image-pixels", say(user(picture(8_001, 1))), say(user(picture(8_000, 1)))),
    (
        "image-pixels",
        say(user(picture(2_001, 1), *[PICTURE] * 20)),
        say(user(picture(2_001, 1), *[PICTURE] * 19)),
    ),
    (
        "image-unreadable",
        say(user(text("a")), model(CALL), user({**RESULT, "content": [holding(PICTURE, "AAAA")]})),
        say(user(text("a")), model(CALL), user({**RESULT, "content": [PICTURE, text("b"), PDF]})),
    ),
    ("pdf-unreadable", say(user(holding(PDF, "JVBERi0xLjcK"))), say(user(PDF))),
    ("pdf-unreadable", say(user(pdf(1, "secret"))), say(user(pdf(1)))),
    ("too-many-pages", say(user(*[pdf(151)] * 4)), say(user(*[pdf(150)] * 2))),
    ("too-many-images", say(user(*[PICTURE] * 601)), say(user(*[PICTURE] * 600))),
    ("cache-control-count", say(marked(*[MARK] * 5)), say(marked(*[MARK] * 4))),
    (
        "cache-control-count",
        lambda p: p.update(messages=[marked(*[MARK] * 4)], cache_control=MARK),
        lambda p: p.update(messages=[marked(*[MARK] * 3)], cache_control=MARK),
    ),
    (
        "cache-control-count",
        put(
            system=[text(f"s{i}", cache_control=MARK) for i in range(4)],
            tools=[{**TOOL, "cache_control": MARK}],
        ),
        put(
            system=[text(f"s{i}", cache_control=MARK) for i in range(3)],
            tools=[{**TOOL, "cache_control": MARK}],
        ),
    ),
    ("cache-control-order", say(marked(MARK, HOUR)), say(marked(HOUR, MARK))),
    (
        "cache-control-order",
        put(system=[text("s", cache_control=MARK)], cache_control=HOUR),
        put(system=[text("s", cache_control=HOUR)], cache_control=MARK),
    ),
    (
        "unknown-field",
        say(
            user(text("a")),
            model({"type": "thinking", "thinking": "", "signature": "x", "cache_control": MARK}),
            user(text("b")),
        ),
        put(),
    ),
    (
        "signature",
        say(
            user(text("a")),
            model({"type": "thinking", "thinking": "", "signature": "bm9uZQ=="}, text("c")),
            user(text("b")),
        ),
        put(),
    ),
    ("prompt-too-long", say(user(text("word " * 1_000_000))), say(user(text("word ")))),
]


@pytest.mark.parametrize(("rule", "breaks", "keeps"), RULES, ids=[f"{i}-{r[0]}" for i, r in enumerate(RULES)])
async def test_a_rule_refuses_what_breaks_it_and_nothing_else(
    dial: Dial, rule: str, breaks: Change, keeps: Change
) -> None:
    http = await dial(options=Options(unproven="refuse", max_body_bytes=64_000_000))
    broken, sound = base(), base()
    breaks(broken)
    keeps(sound)
    refused = await http.post("/v1/messages", json=broken)
    assert refused.headers.get("simulator-rule") == rule, refused.text
    assert refused.status_code == 400
    body = refused.json()
    assert body["type"] == "error"
    assert body["error"]["type"] == "invalid_request_error"
    assert body["request_id"] == refused.headers["request-id"]
    for _ in range(2):  # the second time from the kept readings
        answer = await http.post("/v1/messages", json=sound)
        assert answer.status_code == 200, answer.text
    assert (await http.post("/v1/messages", json=broken)).status_code == 400


COUNTED = [
    "empty-text",
    "unanswered-call",
    "sampling",
    "assistant-document",
    "citations",
    "tool-name",
    "signature",
]


@pytest.mark.parametrize("rule", COUNTED)
async def test_count_tokens_keeps_the_rules_too(dial: Dial, rule: str) -> None:
    http = await dial()
    payload = base()
    next(breaks for name, breaks, _ in RULES if name == rule)(payload)
    del payload["max_tokens"]
    refused = await http.post("/v1/messages/count_tokens", json=payload)
    assert refused.headers["simulator-rule"] == rule


async def test_count_tokens_takes_no_max_tokens(dial: Dial) -> None:
    http = await dial()
    refused = await http.post("/v1/messages/count_tokens", json=base())
    assert refused.headers["simulator-rule"] == "unknown-field"
    payload = base()
    del payload["max_tokens"]
    count = (await http.post("/v1/messages/count_tokens", json=payload)).json()["input_tokens"]
    usage = (await http.post("/v1/messages", json=base())).json()["usage"]
    assert count == usage["input_tokens"] > 0


BETAS = [
    ("compaction", put(compaction={"type": "summarize"}), "compact-2026-09-04", "not-simulated"),
    (
        "context_management",
        put(context_management={"edits": []}),
        "context-management-2025-06-27",
        "not-simulated",
    ),
    ("thread", put(thread={"type": "create"}), "message-threads-2026-08-12", "not-simulated"),
    (
        "thinking.block_binding",
        put(thinking={"type": "adaptive", "block_binding": {"prefix_mismatch_behavior": "error"}}),
        "thinking-binding-controls-2026-08-01",
        None,
    ),
    (
        "clear_at",
        say(user(text("a")), {**SYSTEM_LATE, "clear_at": "next_user_message"}),
        "mid-conversation-system-clear-at-2026-08-21",
        None,
    ),
    (
        "thinking.display",
        put(thinking={"type": "adaptive", "display": "updates"}),
        "thinking-display-updates-2026-08-18",
        None,
    ),
]


@pytest.mark.parametrize(("name", "change", "beta", "then"), BETAS, ids=[b[0] for b in BETAS])
async def test_a_beta_field_needs_its_header(
    dial: Dial, name: str, change: Change, beta: str, then: str | None
) -> None:
    http = await dial()
    payload = base()
    change(payload)
    bare = await http.post("/v1/messages", json=payload)
    assert bare.status_code == 400
    assert bare.headers["simulator-rule"] in {"beta-header", "unknown-field", "value"}
    wrong = await http.post("/v1/messages", json=payload, headers={"anthropic-beta": "files-api-2025-04-14"})
    assert wrong.headers["simulator-rule"] == "beta-header"
    assert beta in wrong.json()["error"]["message"]
    right = await http.post("/v1/messages", json=payload, headers={"anthropic-beta": f"x-1, {beta}"})
    assert right.headers.get("simulator-rule") == then
    assert right.status_code == (400 if then else 200)


UNPROVEN = [
    ("blank-text", say(user(text("  \n")))),
    ("nul", say(user(text("a\x00b")))),
    ("nul", put(system="a\x00b")),
    ("calls-without-tools", without("tools")),
    (
        "tool-use-id",
        say(user(text("a")), model({**CALL, "id": "a b"}), user({**RESULT, "tool_use_id": "a b"})),
    ),
    ("thinking-between-tools", put(thinking={"type": "between_tools"})),
]


@pytest.mark.parametrize(("rule", "breaks"), UNPROVEN, ids=[u[0] for u in UNPROVEN])
async def test_a_rule_without_proof_warns_unless_told_to_refuse(
    dial: Dial, rule: str, breaks: Change
) -> None:
    payload = base()
    breaks(payload)
    lenient = await dial()
    for _ in range(2):
        answer = await lenient.post("/v1/messages", json=payload)
        assert answer.status_code == 200
        assert rule in answer.headers["simulator-warnings"]
    strict = await dial(options=Options(unproven="refuse"))
    refused = await strict.post("/v1/messages", json=payload)
    assert refused.status_code == 400
    assert refused.headers["simulator-rule"] == rule


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("fallbacks", put(fallbacks=[{"model": "claude-sonnet-5-5"}])),
        (
            "tool-type",
            put(
                tools=[
                    TOOL,
                    {
                        "type": "computer_20250124",
                        "name": "computer",
                        "display_width_px": 800,
                        "display_height_px": 600,
                    },
                ]
            ),
        ),
    ],
)
async def test_what_the_model_refuses_even_with_a_beta_header(dial: Dial, rule: str, change: Change) -> None:
    http = await dial()
    payload = base()
    change(payload)
    headers = {"anthropic-beta": "server-side-fallback-2026-07-01,computer-use-2025-01-24"}
    refused = await http.post("/v1/messages", json=payload, headers=headers)
    assert refused.headers["simulator-rule"] == rule
    assert (await http.post("/v1/messages", json=base(), headers=headers)).status_code == 200


async def test_a_backslash_before_u0000_is_no_nul(dial: Dial) -> None:
    http = await dial(options=Options(unproven="refuse"))
    payload = base()
    payload["messages"] = [user(text(r"a\u0000b and \\u0000"))]
    assert (await http.post("/v1/messages", json=payload)).status_code == 200


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"a": NaN}', b'{"model": "\\ud800"}', b'{"model": "\xff"}'])
async def test_a_body_that_is_no_json_object(dial: Dial, body: bytes) -> None:
    http = await dial()
    refused = await http.post("/v1/messages", content=body)
    assert refused.status_code == 400
    assert refused.headers["simulator-rule"] == "json"


async def test_older_versions_lack_the_breaks_of_the_current_one(dial: Dial) -> None:
    http = await dial()
    payload = base()
    payload["messages"] = [user(text("a", citations=[CITATION]))]
    old = {"anthropic-version": "2023-06-01"}
    assert (await http.post("/v1/messages", json=payload, headers=old)).status_code == 200
    assert (await http.post("/v1/messages", json=payload)).status_code == 400


async def test_too_many_messages(dial: Dial) -> None:
    http = await dial(options=Options(max_body_bytes=64_000_000))
    payload = base()
    payload["messages"] = [{"role": "user", "content": "a"}] * 100_001
    refused = await http.post("/v1/messages", json=payload, timeout=30)
    assert refused.headers["simulator-rule"] == "too-many-messages"


async def test_the_context_is_counted_whole(dial: Dial) -> None:
    http = await dial(options=Options(context_tokens=100))
    payload = base()
    assert (await http.post("/v1/messages", json=payload)).status_code == 200
    payload["system"] = [text("word " * 100)]
    refused = await http.post("/v1/messages", json=payload)
    assert "prompt is too long" in refused.json()["error"]["message"]
