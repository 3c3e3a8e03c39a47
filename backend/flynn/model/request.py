"""A request: one call to the model, as the loop prepared it.

It renders nothing: system, tools and messages go out exactly as they were stored. The only fields
that an endpoint's switches add or take away are `cache_control`, `thinking` and `output_config`,
none of which a thinking signature binds (CLAUDE_PLATFORM.md, section 3).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from flynn.domain.content import Block, Json
from flynn.model.switches import Switches

_EPHEMERAL: Block = {"type": "ephemeral"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """One call. `messages` are `{"role", "content"}`; `effort` is low, medium, high, xhigh or max.

    `format` is what the answer is held to (`{"type": "json_schema", "schema": …}`). It is part of what the
    provider caches by, so nothing of such a request but its system prompt is worth keeping there.
    """

    model: str
    max_tokens: int
    system: list[Block]
    tools: list[Block]
    messages: list[dict[str, Json]]
    effort: str | None = None
    format: Json = None

    def with_messages(
        self, messages: list[dict[str, Json]], *, max_tokens: int | None = None
    ) -> "ModelRequest":
        """The same request over `messages`, with another limit on the answer if one is given."""
        return replace(self, messages=messages, max_tokens=max_tokens or self.max_tokens)

    def body(self, switches: Switches) -> dict[str, Json]:
        """The JSON object of a streamed call.

        With caching there are two breakpoints: one on the last system block, which closes the prefix
        that all conversations of an agent share, and the automatic one on the last block of the
        request (top-level `cache_control`). A marker that the system block already carries is kept.
        """
        return {"max_tokens": self.max_tokens, "stream": True, **self.prompt(switches)}

    def prompt(self, switches: Switches) -> dict[str, Json]:
        """The part of the body that is read as prompt: what a token count is asked for."""
        prompt: dict[str, Json] = {"model": self.model}
        if switches.caching and not self.format:
            prompt["cache_control"] = _EPHEMERAL
        if switches.thinking != "default":
            prompt["thinking"] = {"type": switches.thinking}
        if config := self._output_config(switches):
            prompt["output_config"] = config
        if self.tools:
            prompt["tools"] = self.tools if switches.caching else _unmarked(self.tools)
        if self.system:
            prompt["system"] = _marked(self.system) if switches.caching else _unmarked(self.system)
        prompt["messages"] = (
            self.messages if switches.caching else [_unmarked_message(m) for m in self.messages]
        )
        return prompt

    def _output_config(self, switches: Switches) -> dict[str, Json]:
        config: dict[str, Json] = {}
        if switches.effort and self.effort is not None:
            config["effort"] = self.effort
        if switches.structured and self.format:
            config["format"] = self.format
        return config


def _marked(system: list[Block]) -> list[Block]:
    """`system` with a breakpoint on its last block."""
    *rest, last = system
    return system if "cache_control" in last else [*rest, {**last, "cache_control": _EPHEMERAL}]


def _unmarked(blocks: Iterable[Block]) -> list[Block]:
    """`blocks` without their breakpoints."""
    return [
        {k: v for k, v in b.items() if k != "cache_control"} if "cache_control" in b else b for b in blocks
    ]


def _unmarked_message(message: dict[str, Json]) -> dict[str, Json]:
    """`message` without the breakpoints of its blocks (those inside a tool result too)."""
    content = message["content"]
    if not isinstance(content, list):
        return message
    blocks = [
        {**b, "content": _unmarked(b["content"])} if isinstance(b.get("content"), list) else b
        for b in _unmarked(content)
    ]
    return {**message, "content": blocks}
