"""A rendition: a scenario's turn rendered for one request, with the faults that change the message."""

from collections.abc import Callable
from dataclasses import replace
from typing import assert_never

import orjson

from flynn.domain.content import Json
from flynn.simulator.api_error import ApiError
from flynn.simulator.conversation import Conversation
from flynn.simulator.fault import Fault, MaxTokens, Refusal, StopReason
from flynn.simulator.instance import filled, misfit
from flynn.simulator.part import Part
from flynn.simulator.reply import InputUsage, Reply, ReplyBlock, new_id, text, tool_use
from flynn.simulator.request import ApiRequest
from flynn.simulator.template import TemplateError, render
from flynn.simulator.turn import Object, Raw, Text, Thinking, ToolCall, TurnBlock

Sign = Callable[[str], str]
"""Makes the signature of a thinking block with this text at the end of the request's conversation."""


def scenario_error(part: Part, message: str) -> ApiError:
    """The scenario itself is at fault: a 400, so that no client retries it."""
    return ApiError(
        400,
        "invalid_request_error",
        f"simulator: scenario {part.name!r}, turn {part.index + 1}: {message}",
        rule="scenario",
    )


class Rendition:
    """Makes the reply of one part to one request."""

    def __init__(
        self, request: ApiRequest, conversation: Conversation, part: Part, attempt: int, sign: Sign
    ) -> None:
        self._request = request
        self._part = part
        self._names = part.names(conversation, attempt)
        self._sign = sign

    def reply(self, usage: InputUsage, fault: Fault | None, extra: dict[str, Json] | None = None) -> Reply:
        """The reply, limited by max_tokens and stop_sequences, changed by `fault` where it changes words.

        `extra` are further top-level fields of the message.

        Raises:
            ApiError: the scenario asks for what this request does not allow, or quotes what is not there.
        """
        turn = self._part.turn
        blocks = [made for block in turn.blocks if (made := self._block(block)) is not None]
        self._check_calls()
        calls = any(block.block["type"] == "tool_use" for block in blocks)
        reply = Reply(
            model=self._request.payload["model"],
            blocks=tuple(blocks),
            stop_reason=turn.stop_reason or ("tool_use" if calls else "end_turn"),
            usage=usage,
            reported_output=turn.output_tokens,
            extra=extra or {},
        )
        reply = reply.stopped_at(self._request.payload.get("stop_sequences") or [])
        reply = reply.within(self._request.payload["max_tokens"])
        return _changed(reply, fault)

    def _block(self, block: TurnBlock) -> ReplyBlock | None:
        match block:
            case Text():
                return text(str(self._rendered(block.text)))
            case Thinking():
                return self._thinking(block) if self._request.thinks else None
            case ToolCall():
                return tool_use(block.tool, self._rendered(block.input))
            case Raw():
                return ReplyBlock(self._rendered(block.raw))
            case Object():
                return text(orjson.dumps(self._object(self._rendered(block.object))).decode())
            case _:
                assert_never(block)

    def _thinking(self, block: Thinking) -> ReplyBlock:
        """Thinking text is shown only on request; the default is omitted (K model-migration.md)."""
        thinking = self._request.payload.get("thinking") or {}
        shown = str(self._rendered(block.thinking)) if thinking.get("display") == "summarized" else ""
        signature = self._sign(shown)
        return ReplyBlock({"type": "thinking", "thinking": shown, "signature": signature}, shown)

    def _object(self, value: Json) -> Json:
        """The object, whole and as the request's format wants it."""
        schema = self._request.schema
        if schema is None:
            return value
        whole = filled(value, schema, schema)
        if (why := misfit(whole, schema, schema)) is not None:
            raise scenario_error(self._part, f"does not fit the request's format: {why}")
        return whole

    def _rendered(self, value: Json) -> Json:
        try:
            return render(value, self._names)
        except TemplateError as error:
            raise scenario_error(self._part, str(error)) from error

    def _check_calls(self) -> None:
        """A model calls only what the request defines and allows (docs: define-tools, tool_choice)."""
        calls = [call for call in self._part.turn.calls if not call.undeclared]
        if not calls:
            return
        payload = self._request.payload
        defined = {tool.get("name") for tool in payload.get("tools") or []}
        for call in calls:
            if call.tool not in defined:
                names = ", ".join(sorted(str(name) for name in defined)) or "none"
                raise scenario_error(
                    self._part, f"calls the tool {call.tool!r}, but the request defines {names}"
                )
        choice = payload.get("tool_choice") or {}
        if choice.get("type") == "none":
            raise scenario_error(self._part, "calls a tool, but the request's tool_choice is none")
        if choice.get("disable_parallel_tool_use") and len(calls) > 1:
            raise scenario_error(self._part, "makes parallel calls, but the request forbids them")


def _changed(reply: Reply, fault: Fault | None) -> Reply:
    match fault:
        case MaxTokens(keep=keep):
            blocks = reply.blocks
            if blocks:
                blocks = (*blocks[:-1], blocks[-1].cut(int(len(blocks[-1].wire) * keep)))
            return replace(reply, blocks=blocks, stop_reason="max_tokens", stop_sequence=None)
        case Refusal():
            details: dict[str, Json] = {
                "type": "refusal",
                "category": fault.category,
                "explanation": fault.explanation,
            }
            return replace(
                reply, blocks=reply.blocks[: fault.keep_blocks], stop_reason="refusal", stop_details=details
            )
        case StopReason(value="pause_turn"):
            pause = {"type": "server_tool_use", "id": new_id("srvtoolu"), "name": "web_search", "input": {}}
            return replace(reply, blocks=(*reply.blocks, ReplyBlock(pause)), stop_reason="pause_turn")
        case StopReason(value=value):
            return replace(reply, stop_reason=value)
        case _:
            return reply
