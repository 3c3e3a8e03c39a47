"""Rules on `output_config.format`: which JSON Schemas an answer can be held to.

Sources: docs: structured-outputs (what is supported, and the limits over all strict schemas of a request);
SDK lib/_parse/_transform.py (what the SDK takes out, since the API refuses it).
"""

from collections.abc import Iterator
from typing import Final

from flynn.domain.content import Json
from flynn.simulator.api_error import invalid
from flynn.simulator.instance import Schema
from flynn.simulator.request import ApiRequest
from flynn.simulator.rules.finding import Unproven

_KINDS: Final = frozenset({"object", "array", "string", "integer", "number", "boolean", "null"})
_FORMATS: Final = frozenset(
    ("date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid")
)
_SAID: Final = frozenset({"title", "description", "default", "examples", "$schema", "$id", "$comment"})
_KNOWN: Final = _SAID | frozenset(
    (
        *("type", "enum", "const", "anyOf", "allOf", "$ref", "$defs", "definitions", "format"),
        *("properties", "required", "additionalProperties", "items", "minItems"),
    )
)
_UNPROVEN: Final = frozenset({"pattern"})
"""Some of it is said to be supported, and not which."""
_OPTIONAL: Final = 24
_UNIONS: Final = 16


def check_format(request: ApiRequest, unproven: Unproven) -> None:
    """The schema is closed, refers to nothing outside or to itself, and uses only what is supported.

    Raises:
        ApiError: 400.
    """
    schema = request.schema
    if schema is None:
        return
    optional = unions = 0
    for path, part in _parts(schema, "output_config.format.schema"):
        _check_words(part, path, unproven)
        if part.get("type") == "object" or "properties" in part:
            if part.get("additionalProperties") is not False:
                raise _refused(f"{path}: For 'object' type, 'additionalProperties' must be set to false")
            optional += len(set(part.get("properties") or {}) - set(part.get("required") or []))
        if any(name not in (part.get("properties") or {}) for name in part.get("required") or []):
            raise _refused(f"{path}.required: names a property that there is not")
        unions += "anyOf" in part or isinstance(part.get("type"), list)
    _check_references(schema, schema, (), "output_config.format.schema")
    if optional > _OPTIONAL:
        raise _refused(f"the schema has {optional} optional parameters; at most {_OPTIONAL}")
    if unions > _UNIONS:
        raise _refused(f"the schema has {unions} parameters with union types; at most {_UNIONS}")


def _check_words(part: Schema, path: str, unproven: Unproven) -> None:
    for word in part:
        if word in _UNPROVEN:
            unproven("format", f"{path}.{word}: may not be supported")
        elif word not in _KNOWN:
            raise _refused(f"{path}: the keyword {word!r} is not supported")
    kinds = part.get("type")
    for kind in kinds if isinstance(kinds, list) else [kinds] if kinds is not None else []:
        if kind not in _KINDS:
            raise _refused(f"{path}.type: {kind!r} is no type")
    if not part.keys() & {"type", "enum", "const", "anyOf", "allOf", "$ref"}:
        raise _refused(f"{path}: says nothing of a type")
    if part.get("format", "date") not in _FORMATS:
        raise _refused(f"{path}.format: {part['format']!r} is not supported")
    if part.get("minItems", 0) not in (0, 1):
        raise _refused(f"{path}.minItems: only 0 and 1 are supported")
    if any(isinstance(choice, dict | list) for choice in part.get("enum") or ()):
        raise _refused(f"{path}.enum: complex values are not supported")


def _parts(schema: Json, path: str) -> Iterator[tuple[str, Schema]]:
    """Every schema within `schema`, itself included."""
    if not isinstance(schema, dict):
        raise _refused(f"{path}: Input should be a schema")
    yield path, schema
    for word in ("properties", "$defs", "definitions"):
        for name, inner in (schema.get(word) or {}).items():
            yield from _parts(inner, f"{path}.{word}.{name}")
    for word in ("anyOf", "allOf"):
        for place, inner in enumerate(schema.get(word) or []):
            yield from _parts(inner, f"{path}.{word}.{place}")
    if "items" in schema:
        yield from _parts(schema["items"], f"{path}.items")


def _check_references(schema: Schema, root: Schema, within: tuple[str, ...], path: str) -> None:
    """References lead to a definition of the schema, and never back to where they come from."""
    reference = schema.get("$ref")
    if reference is not None:
        if not isinstance(reference, str) or not reference.startswith(("#/$defs/", "#/definitions/")):
            raise _refused(f"{path}.$ref: only definitions of the schema itself can be referred to")
        if reference in within:
            raise _refused(f"{path}.$ref: recursive schemas are not supported")
        group, name = reference.removeprefix("#/").split("/", 1)
        if name not in (root.get(group) or {}):
            raise _refused(f"{path}.$ref: there is no {reference}")
        _check_references(root[group][name], root, (*within, reference), path)
    for name, inner in (schema.get("properties") or {}).items():
        _check_references(inner, root, within, f"{path}.{name}")
    for word in ("anyOf", "allOf"):
        for place, inner in enumerate(schema.get(word) or []):
            _check_references(inner, root, within, f"{path}.{word}.{place}")
    if "items" in schema:
        _check_references(schema["items"], root, within, f"{path}.items")


def _refused(message: str) -> Exception:
    return invalid("format", message)
