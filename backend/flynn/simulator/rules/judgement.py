"""The judgement on a request: every rule, in an order that reports the plainest mistake first."""

import re
from dataclasses import dataclass
from typing import Final

import orjson

from flynn.simulator.api_error import invalid
from flynn.simulator.catalog import Model
from flynn.simulator.options import Options
from flynn.simulator.reading import (
    Position,
    PrefixReading,
    Reading,
    Readings,
    digest,
    read_message,
    read_prefix,
    system_blocks,
)
from flynn.simulator.request import ApiRequest
from flynn.simulator.rules import betas, content, formats, order, parameters, tools
from flynn.simulator.rules.binding import Bound, check_binding
from flynn.simulator.rules.breakpoints import check_breakpoints
from flynn.simulator.rules.finding import Unproven, unproven
from flynn.simulator.signatures import Signer

_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""The escape of NUL in JSON, and no escaped backslash before such letters."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A request that may be answered, and what was learnt about it on the way."""

    model: Model
    readings: tuple[Reading, ...]
    bound: Bound
    automatic: str | None
    """The TTL of the top-level cache_control."""

    positions: list[tuple[int | None, Position]]
    """Every place where the cache may end, in order, with the index of its message (None: before)."""
    prompt_tokens: int
    """The estimated size of the whole prompt, without dropped thinking."""


class Judge:
    """Applies the rules. Readings of messages it has seen are kept: growing conversations stay cheap."""

    def __init__(self, options: Options, signer: Signer) -> None:
        self._options = options
        self._signer = signer
        self._messages: Readings[tuple[Reading, tuple[tuple[str, str], ...]]] = Readings()
        self._prefixes: Readings[tuple[PrefixReading, tuple[tuple[str, str], ...]]] = Readings()

    def judge(self, request: ApiRequest) -> Verdict:
        """Apply every rule.

        Raises:
            ApiError: the first broken rule: 404 for an unknown model, else 400.
        """
        options, payload = self._options, request.payload
        found = unproven(request, options)
        parameters.check_body(request)
        betas.check_fields(request)
        model = parameters.check_model(request, options)
        if not request.counting:
            parameters.check_max_tokens(request, model)
            parameters.check_stop_sequences(request)
        parameters.check_thinking(request, options, found)
        parameters.check_tool_choice(request, model, found)
        formats.check_format(request, found)
        order.check_count(payload["messages"])
        prefix = self._read_prefix(request, found)
        readings = tuple(self._read(request, index, found) for index in range(len(request.messages)))
        order.check_order(readings)
        if any(reading.calls or reading.results for reading in readings) and not payload.get("tools"):
            found(
                "calls-without-tools", "messages: tool calls in a conversation whose request defines no tools"
            )
        mark = payload.get("cache_control")
        automatic = (mark.get("ttl") or "5m") if mark else None
        ttls = [*prefix.ttls, *(ttl for reading in readings for ttl in reading.ttls)]
        check_breakpoints(ttls, automatic)
        bound = check_binding(request, readings, prefix.binding, model, options, self._signer)
        positions = _positions(prefix, readings, bound)
        size = sum(position.tokens for _, position in positions)
        self._check_length(size, model)
        return Verdict(model, readings, bound, automatic, positions, size)

    def _read(self, request: ApiRequest, index: int, found: Unproven) -> Reading:
        message = request.messages[index]

        def make() -> tuple[Reading, tuple[tuple[str, str], ...]]:
            warnings: list[tuple[str, str]] = []
            content.check_message(request, message, index, lambda rule, text: warnings.append((rule, text)))
            if _NUL.search(raw):
                warnings.append(("nul", f"messages.{index}: holds the character NUL"))
            return read_message(message), tuple(warnings)

        raw = orjson.dumps(message)
        key = digest(request.version.encode(), " ".join(sorted(request.betas)).encode(), raw)
        reading, warnings = self._messages.get(key, make)
        for rule, text in warnings:
            found(rule, text)
        return reading

    def _read_prefix(self, request: ApiRequest, found: Unproven) -> PrefixReading:
        payload = request.payload

        def make() -> tuple[PrefixReading, tuple[tuple[str, str], ...]]:
            warnings: list[tuple[str, str]] = []
            tools.check_tools(payload.get("tools") or [])
            for index, block in enumerate(system_blocks(payload)):
                content.check_text(
                    block["text"], f"system.{index}", lambda rule, text: warnings.append((rule, text))
                )
            if _NUL.search(raw):
                warnings.append(("nul", "system or tools hold the character NUL"))
            return read_prefix(payload), tuple(warnings)

        raw = orjson.dumps([payload.get("tools"), payload.get("system")])
        prefix, warnings = self._prefixes.get(digest(raw), make)
        for rule, text in warnings:
            found(rule, text)
        return prefix

    def _check_length(self, size: int, model: Model) -> None:
        """The prompt fits into the context (docs: errors; CLAUDE_PLATFORM.md section 6)."""
        limit = min(model.context, self._options.context_tokens or model.context)
        if size > limit:
            raise invalid("prompt-too-long", f"prompt is too long: {size} tokens > {limit} maximum")


def _positions(
    prefix: PrefixReading, readings: tuple[Reading, ...], bound: Bound
) -> list[tuple[int | None, Position]]:
    before: list[tuple[int | None, Position]] = [(None, p) for p in (*prefix.tools, *prefix.system)]
    return before + [
        (index, position)
        for index, reading in enumerate(readings)
        for number, position in enumerate(reading.positions)
        if (index, number) not in bound.dropped
    ]
