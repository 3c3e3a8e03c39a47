"""The form in which conversations are compared when a thinking signature is checked.

Not compared (docs: preserved-thinking): cache_control, the order of tools, the order of JSON keys, 1
against 1.0, whitespace at the edges of text, and every parameter that is neither system, tools nor
messages. Thinking blocks are left out too, since a run of them may be taken away.
"""

from collections.abc import Iterable
from typing import Final

import orjson

from flynn.domain.content import Block, Json

_THINKING: Final = frozenset({"thinking", "redacted_thinking"})
_SORTED: Final = orjson.OPT_SORT_KEYS
_EXACT: Final = 2**53


def message(role: str, blocks: Iterable[Block]) -> bytes:
    """The canonical form of a message."""
    kept = [_block(block) for block in blocks if block["type"] not in _THINKING]
    return orjson.dumps([role, kept], option=_SORTED)


def prefix(system: Iterable[Block], tools: Iterable[Block]) -> bytes:
    """The canonical form of what stands before the messages: system text and the set of tools."""
    definitions = sorted(orjson.dumps(_block(tool), option=_SORTED) for tool in tools)
    return orjson.dumps([[_block(block) for block in system], [d.decode() for d in definitions]])


def _block(block: Block) -> Block:
    return {name: _value(name, item) for name, item in block.items() if name != "cache_control"}


def _value(name: str, value: Json) -> Json:
    if name == "text" and isinstance(value, str):
        return value.strip()
    if name == "content":
        if isinstance(value, str):
            return value.strip()
        if isinstance(value, list):
            return [_block(part) if isinstance(part, dict) else part for part in value]
    return _numbers(value)


def _numbers(value: Json) -> Json:
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return int(value)
    if isinstance(value, dict):
        return {name: _numbers(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_numbers(item) for item in value]
    return value
