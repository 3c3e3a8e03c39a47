"""From raw stream events to the items of a stream and the message at its end.

Blocks stay the JSON that was received: a delta adds to the fields of the block that its
`content_block_start` brought, and nothing else is touched. Stricter than the SDK's own accumulation:
a delta for a block that has not begun, a delta to a tool call that we do not understand and tool
input that is not one JSON object all break the stream. Elsewhere what is new is passed over, as the
API asks of its clients.
"""

import re
from typing import NoReturn

import structlog

from flynn.domain.content import Block, Json, clean
from flynn.domain.usage import Usage
from flynn.model.failures import BrokenStream, CallFailed, Refused, Truncated
from flynn.model.stream import BlockDelta, BlockKind, BlockStarted, MessageReceived, StreamItem, Tally
from flynn.model.wire import decode

log = structlog.get_logger(__name__)

_KINDS: dict[str, BlockKind] = {"text": "text", "thinking": "thinking", "tool_use": "tool_use"}
_TRUNCATIONS = frozenset({"max_tokens", "model_context_window_exceeded"})
_UNCLEAN = re.compile("[\x00\ud800-\udfff]")
_DEEPEST = 100


class Assembly:
    """One message on its way. `feed` it the events in order; `finish` it after `message_stop`."""

    def __init__(self, tally: Tally, *, missing_usage: bool) -> None:
        self.stopped = False
        self._tally = tally
        self._missing_usage = missing_usage
        self._id = ""
        self._model = ""
        self._started = False
        self._stop_reason: str | None = None
        self._stop_details: dict[str, Json] = {}
        self._usage: dict[str, Json] = {}
        self._blocks: dict[int, Block] = {}
        self._pieces: dict[tuple[int, str], list[str]] = {}

    def feed(self, event: dict[str, Json]) -> StreamItem | None:
        """Take in one event; the item that a viewer should see, if any.

        Raises BrokenStream for an event that contradicts those before it, and KeyError, TypeError,
        AttributeError or ValueError for one that does not have its type's shape.
        """
        match event.get("type"):
            case "content_block_delta":
                return self._delta(event["index"], event["delta"])
            case "content_block_start":
                return self._block(event["index"], event["content_block"])
            case "message_start":
                self._start(event["message"])
            case "message_delta":
                self._message_delta(event)
            case "message_stop":
                self.stopped = True
        return None

    def finish(self, *, first_token_ms: int | None, duration_ms: int) -> MessageReceived:
        """The message, once its stream has ended. Raises what else it turned out to be.

        BrokenStream if the stream ended too early, gave no reason for stopping or holds a tool call
        that cannot be read; Refused and Truncated by the stop reason.
        """
        if not self._started:
            self._break("The answer was empty: the stream ended before a message began.")
        if not self.stopped:
            self._break("The answer broke off: the stream ended without message_stop.")
        if self._stop_reason is None:
            self._break("The answer ended without a stop reason.")
        if not self._usage and not self._missing_usage:
            self._break("The answer does not say what it used; the switch missing_usage accepts that.")
        self._tally.usage_final = bool(self._usage)
        if self._stop_reason == "refusal":
            raise self._refused()
        if self._stop_reason in _TRUNCATIONS:
            raise self._truncated(self._stop_reason)
        return MessageReceived(
            message_id=self._id,
            model=self._model,
            stop_reason=self._stop_reason,
            content=[self._complete(index) for index in sorted(self._blocks)],
            usage=self._tally.usage,
            request_id=self._tally.request_id,
            first_token_ms=first_token_ms,
            duration_ms=duration_ms,
        )

    def _start(self, message: dict[str, Json]) -> None:
        if self._started:
            self._break("A second message began in the same answer.")
        self._started = True
        self._id, self._model = str(message.get("id") or ""), str(message.get("model") or "")
        self._count(message.get("usage"))

    def _message_delta(self, event: dict[str, Json]) -> None:
        delta = event["delta"]
        self._stop_reason = delta.get("stop_reason") or self._stop_reason
        self._stop_details = delta.get("stop_details") or self._stop_details
        usage = event.get("usage")
        self._count(usage)
        if delta.get("stop_reason") is not None and usage and usage.get("output_tokens") is not None:
            # The model has stopped, and this is the sum: what breaks off from here on is billed by it.
            self._tally.usage_final = True

    def _count(self, usage: dict[str, Json] | None) -> None:
        """Counts are cumulative and overwrite; what an event leaves out stays as it was."""
        self._usage |= {k: v for k, v in (usage or {}).items() if v is not None}
        self._tally.usage = usage_of(self._usage)

    def _block(self, index: int, block: Block) -> BlockStarted:
        if not isinstance(index, int) or not self._started or index in self._blocks:
            self._break(f"Content block {index} began out of turn.")
        self._blocks[index] = dict(block)
        if block["type"] != "tool_use":
            return BlockStarted(index, _KINDS.get(block["type"], "other"))
        name, call_id = block.get("name"), block.get("id")
        if not (isinstance(name, str) and name and isinstance(call_id, str) and call_id):
            self._break("A tool call came without a name or an id.")
        return BlockStarted(index, "tool_use", name, call_id)

    def _delta(self, index: int, delta: dict[str, Json]) -> BlockDelta | None:
        block = self._blocks.get(index)
        if block is None:
            self._break(f"A delta came for content block {index}, which has not begun.")
        match delta["type"]:
            case "text_delta":
                return BlockDelta(index, "text", self._add(index, "text", delta["text"]))
            case "thinking_delta":
                return BlockDelta(index, "thinking", self._add(index, "thinking", delta["thinking"]))
            case "input_json_delta":
                return BlockDelta(index, "tool_input", self._add(index, "input", delta["partial_json"]))
            case "signature_delta":
                block["signature"] = delta["signature"]
            case "citations_delta":
                block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
            case unknown if block["type"] == "tool_use":
                # Its input would be incomplete, and it would run.
                self._break(f"A tool call came with a delta of an unknown type, {unknown!r}.")
            case unknown:
                log.warning("delta of an unknown type passed over", delta=unknown, block=block["type"])
        return None

    def _add(self, index: int, field: str, piece: Json) -> str:
        if not isinstance(piece, str):
            raise TypeError(f"a piece of {field} is no string")
        self._pieces.setdefault((index, field), []).append(piece)
        return piece

    def _complete(self, index: int) -> Block:
        """The block with its pieces joined. Raises BrokenStream if it cannot be read."""
        try:
            return self._joined(index)
        except ValueError as error:
            block = self._blocks[index]
            self._break(f"The {block['type']} block {block.get('name', index)!r} cannot be read: {error}.")

    def _joined(self, index: int) -> Block:
        block = self._blocks[index]
        for field in ("text", "thinking"):
            pieces = self._pieces.get((index, field))
            if pieces is not None:
                block[field] = str(block.get(field) or "") + "".join(pieces)
        text = "".join(self._pieces.get((index, "input"), ()))
        if text:
            block["input"] = decode(text)
        if (text or block["type"] == "tool_use") and not isinstance(block.get("input"), dict):
            raise ValueError("its input is no JSON object")
        whole: Block = _storable(block)
        return whole

    def _refused(self) -> Refused:
        category = self._stop_details.get("category")
        words = self._stop_details.get("explanation") or "no explanation given"
        return Refused(
            f"The model declined ({category or 'no category'}): {words}",
            category=category if isinstance(category, str) else None,
            usage=self._tally.usage,
            usage_final=self._tally.usage_final,
            request_id=self._tally.request_id,
            provider_status=200,
        )

    def _truncated(self, stop_reason: str) -> Truncated:
        content: list[Block] = []
        for index in sorted(self._blocks):
            try:
                content.append(self._complete(index))
            except BrokenStream:  # a cut tool call; it is left out
                continue
        limit = "max_tokens" if stop_reason == "max_tokens" else "the model's context window"
        return Truncated(
            f"The answer was cut off by {limit}.",
            stop_reason=stop_reason,
            content=content,
            usage=self._tally.usage,
            usage_final=self._tally.usage_final,
            request_id=self._tally.request_id,
            provider_status=200,
        )

    def _break(self, detail: str) -> NoReturn:
        raise broken(detail, self._tally)


def broken(detail: str, tally: Tally) -> CallFailed:
    """A BrokenStream with what is known of the call."""
    return BrokenStream(
        detail,
        usage=tally.usage,
        usage_final=tally.usage_final,
        request_id=tally.request_id,
        provider_status=200,
    )


def usage_of(raw: dict[str, Json]) -> Usage:
    """The API's usage object as ours. Absent and null counts are zero.

    Cache writes whose lifetime is not said count as 5-minute ones.
    """
    split = raw.get("cache_creation") or {}
    one_hour = split.get("ephemeral_1h_input_tokens") or 0
    five_minutes = split.get("ephemeral_5m_input_tokens") or 0
    written = raw.get("cache_creation_input_tokens")
    if written is not None:
        five_minutes = max(five_minutes, written - one_hour)
    return Usage(
        input=raw.get("input_tokens") or 0,
        output=raw.get("output_tokens") or 0,
        cache_read=raw.get("cache_read_input_tokens") or 0,
        cache_write_5m=five_minutes,
        cache_write_1h=one_hour,
    )


def _storable(value: Json, depth: int = 0) -> Json:
    """`value` with NUL and lone surrogates replaced in its strings. Raises ValueError if nested too deeply.

    A model can write both as escapes in tool input. Neither could be stored or sent back, so an
    answer that holds one would brick its conversation, and so would nesting that no encoder follows.
    """
    if depth > _DEEPEST:
        raise ValueError(f"it is nested more than {_DEEPEST} levels deep")
    match value:
        case str():
            return clean(value) if _UNCLEAN.search(value) else value
        case dict():
            return {_storable(key): _storable(inner, depth + 1) for key, inner in value.items()}
        case list():
            return [_storable(inner, depth + 1) for inner in value]
        case _:
            return value
