"""A reply as server-sent events.

Source: SDK types/raw_message_stream_event.py and its parts; docs: build-with-claude/streaming. A tool
call opens with an empty `partial_json`, a ping follows the first block's start, usage in
`message_delta` is cumulative.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import orjson

from flynn.domain.content import Json
from flynn.simulator import tokens
from flynn.simulator.api_error import ApiError
from flynn.simulator.reply import Reply, ReplyBlock


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event, encoded.

    `event_class` is its name, followed by `:` and the type of the block or delta it carries; `tokens` is
    how much of the output it brings, for pacing.
    """

    event_class: str
    data: bytes
    tokens: int = 0


PING: Final = StreamEvent("ping", b'event: ping\ndata: {"type":"ping"}\n\n')


def events(reply: Reply, delta_characters: int) -> Iterator[StreamEvent]:
    """Encode `reply`; deltas carry `delta_characters` code points each."""
    yield _event("message_start", {"message": reply.head()})
    for index, block in enumerate(reply.blocks):
        yield from _block_events(index, block, delta_characters)
        if index == 0:
            yield PING
    delta = {
        "stop_reason": reply.stop_reason,
        "stop_sequence": reply.stop_sequence,
        "stop_details": reply.stop_details,
    }
    usage = {**reply.usage.json(), "output_tokens": reply.output_tokens}
    del usage["cache_creation"]  # not part of SDK types/message_delta_usage.py
    yield _event("message_delta", {"delta": delta, "usage": usage})
    yield _event("message_stop", {})


def error_event(error: ApiError, request_id: str) -> StreamEvent:
    """An `error` event: the error body as data (docs: streaming, error events)."""
    return StreamEvent("error", b"event: error\ndata: " + error.body(request_id) + b"\n\n")


def _block_events(index: int, reply_block: ReplyBlock, size: int) -> Iterator[StreamEvent]:
    block, wire = reply_block.block, reply_block.wire
    kind: str = block["type"]
    start, signature = block, None
    match kind:
        case "text":
            start, delta_type, key = {**block, "text": ""}, "text_delta", "text"
        case "thinking":
            signature = block.get("signature")
            start = {**block, "thinking": "", "signature": ""}
            delta_type, key = "thinking_delta", "thinking"
        case "tool_use":
            start, delta_type, key = {**block, "input": {}}, "input_json_delta", "partial_json"
        case _:
            delta_type, key, wire = "", "", ""
    yield _event("content_block_start", {"index": index, "content_block": start}, kind)
    if kind == "tool_use":
        yield _delta(index, delta_type, key, "", 0)
    for at in range(0, len(wire), size):
        piece = wire[at : at + size]
        yield _delta(index, delta_type, key, piece, tokens.of_text(piece))
    if signature:
        yield _delta(index, "signature_delta", "signature", signature, 0)
    yield _event("content_block_stop", {"index": index})


def _delta(index: int, delta_type: str, key: str, value: str, weight: int) -> StreamEvent:
    body = {"index": index, "delta": {"type": delta_type, key: value}}
    return _event("content_block_delta", body, delta_type, weight)


def _event(name: str, body: dict[str, Json], detail: str = "", weight: int = 0) -> StreamEvent:
    data = orjson.dumps({"type": name, **body})
    event_class = f"{name}:{detail}" if detail else name
    return StreamEvent(event_class, b"event: %s\ndata: %s\n\n" % (name.encode(), data), weight)
