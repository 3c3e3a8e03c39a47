"""Scenarios as the real SDK sees them, streamed and whole."""

from typing import Any

from anthropic.types import MessageParam, TextBlock, ToolParam, ToolUseBlock

READ: ToolParam = {"name": "Read", "input_schema": {"type": "object", "properties": {}}}

SCRIPT = """
name: greet
match: hello
turns:
  - blocks:
      - thinking: it is a greeting
      - text: I look first.
      - tool: Read
        call: look
        input: {file_path: a.txt, limit: 3}
      - tool: Read
        call: other
        input: {file_path: b.txt}
  - blocks:
      - text: 'It says {{ result("look").regex("port: (\\\\d+)", 1) }}.'
---
name: rest
turns:
  - blocks: [{text: something else}]
"""

HELLO: MessageParam = {"role": "user", "content": "Hello there"}


async def test_streams_text_thinking_and_parallel_calls(start: Any) -> None:
    _, sdk = await start(SCRIPT)
    async with sdk.messages.stream(
        model="claude-haiku-5-5", max_tokens=1000, messages=[HELLO], tools=[READ]
    ) as stream:
        kinds = [event.type async for event in stream]
        message = await stream.get_final_message()
    assert kinds[0] == "message_start"
    assert kinds[-1] == "message_stop"
    assert [b.type for b in message.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert message.content[0].thinking == ""
    assert message.content[0].signature
    assert message.content[1].text == "I look first."
    assert message.content[2].input == {"file_path": "a.txt", "limit": 3}
    assert message.stop_reason == "tool_use"
    assert message.usage.output_tokens > 10
    assert stream.request_id.startswith("req_")


async def test_quotes_the_result_of_an_earlier_call(start: Any) -> None:
    _, sdk = await start(SCRIPT)
    first = await sdk.messages.create(
        model="claude-haiku-5-5", max_tokens=1000, messages=[HELLO], tools=[READ]
    )
    calls = [b for b in first.content if isinstance(b, ToolUseBlock)]
    assert len({call.id for call in calls}) == 2
    results = [
        {"type": "tool_result", "tool_use_id": c.id, "content": f"port: 80{i}"} for i, c in enumerate(calls)
    ]
    second = await sdk.messages.create(
        model="claude-haiku-5-5",
        max_tokens=1000,
        tools=[READ],
        messages=[
            HELLO,
            {"role": "assistant", "content": [b.to_dict(mode="json") for b in first.content]},
            {"role": "user", "content": results},
        ],
    )
    assert second.stop_reason == "end_turn"
    block = second.content[0]
    assert isinstance(block, TextBlock)
    assert block.text == "It says 800."


async def test_the_first_matching_scenario_plays(start: Any) -> None:
    _, sdk = await start(SCRIPT)
    message = await sdk.messages.create(
        model="claude-haiku-5-5", max_tokens=10, messages=[{"role": "user", "content": "what?"}]
    )
    assert message.content[0].text == "something else"


async def test_echo_sends_as_many_tokens_as_asked(start: Any) -> None:
    _, sdk = await start()
    message = await sdk.messages.create(model="echo-250", max_tokens=1000, messages=[HELLO])
    assert message.usage.output_tokens == 250
