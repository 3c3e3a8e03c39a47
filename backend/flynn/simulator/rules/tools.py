"""Rules on tool definitions.

Sources: docs: define-tools, structured-outputs; CLAUDE_PLATFORM.md section 3.
"""

import re
from collections.abc import Iterator
from typing import Final

from flynn.domain.content import Block, Json
from flynn.simulator.api_error import invalid

_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_PLAYED: Final = ("bash_", "text_editor_", "memory_")
"""Types of tools that the client runs itself; their name is fixed by the SDK's types."""
_STRICT_TOOLS: Final = 20
_STRICT_OPTIONAL: Final = 24


def check_tools(tools: list[Block]) -> None:
    """Names are valid and differ, schemas are objects, strict ones keep their limits.

    Raises:
        ApiError: 400. Server tools and toolsets are refused by name: the simulator does not play them.
    """
    seen: set[str] = set()
    strict = 0
    optional = 0
    for index, tool in enumerate(tools):
        path = f"tools.{index}"
        kind = tool.get("type") or "custom"
        if kind == "computer_20250124":  # K model-migration.md
            raise invalid("tool-type", f"{path}: computer_20250124 is not supported by this model")
        if kind != "custom" and not kind.startswith(_PLAYED):
            raise invalid("not-simulated", f"{path}: the simulator does not play the server tool {kind}")
        name = tool["name"]
        if name in seen:
            raise invalid("tool-name", f"tools: Tool names must be unique; {name!r} occurs twice")
        seen.add(name)
        if kind != "custom":
            continue
        if not _NAME.fullmatch(name):
            raise invalid("tool-name", f"{path}.name: {name!r} should match '^[a-zA-Z0-9_-]{{1,64}}$'")
        schema = tool["input_schema"]
        _check_schema(schema, f"{path}.input_schema")
        if tool.get("strict"):
            strict += 1
            optional += _check_strict(schema, f"{path}.input_schema")
    if strict > _STRICT_TOOLS:
        raise invalid("strict-tools", f"tools: {strict} are strict; at most {_STRICT_TOOLS} may be")
    if optional > _STRICT_OPTIONAL:
        raise invalid(
            "strict-tools",
            f"tools: the strict schemas have {optional} optional parameters; at most {_STRICT_OPTIONAL}",
        )


def _check_schema(schema: dict[str, Json], path: str) -> None:
    """An object schema (SDK types/tool_param.py) without a choice at its top.

    The latter: github.com/anthropics/claude-code issue 27337.
    """
    if schema.get("type") != "object":
        raise invalid("tool-schema", f"{path}.type: Input should be 'object'")
    for word in ("oneOf", "allOf", "anyOf"):
        if word in schema:
            raise invalid("tool-schema", f"{path}: {word} is not supported at the top level")


def _check_strict(schema: dict[str, Json], path: str) -> int:
    """Every object of a strict schema is closed. Returns the number of optional parameters."""
    optional = 0
    for place, part in _objects(schema, path):
        if part.get("additionalProperties") is not False:
            raise invalid("strict-tools", f"{place}: a strict schema needs additionalProperties: false")
        optional += len(set(part.get("properties") or {}) - set(part.get("required") or []))
    return optional


def _objects(schema: Json, path: str) -> Iterator[tuple[str, dict[str, Json]]]:
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield path, schema
        for name, item in schema.items():
            yield from _objects(item, f"{path}.{name}")
    elif isinstance(schema, list):
        for index, item in enumerate(schema):
            yield from _objects(item, f"{path}.{index}")
