"""Instances of a JSON Schema: the least one, one that is filled up, and why a value is none.

Only for schemas that flynn.simulator.rules.formats lets pass: closed ones that do not refer to themselves.
"""

from typing import Final

from flynn.domain.content import Json

Schema = dict[str, Json]

_TEXTS: Final = {
    "date-time": "2026-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "date": "2026-01-01",
    "duration": "P1D",
    "email": "flynn@example.com",
    "hostname": "example.com",
    "uri": "https://example.com/",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_KINDS: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
    "array": (list,),
    "object": (dict,),
}


def resolved(schema: Schema, root: Schema) -> Schema:
    """`schema`, or what its `$ref` leads to within `root`. Raises KeyError where that leads nowhere."""
    while "$ref" in schema:
        steps = str(schema["$ref"]).removeprefix("#/").split("/")
        found: Json = root
        for step in steps:
            found = found[step]
        schema = found
    return schema


def least(schema: Schema, root: Schema) -> Json:
    """The least value that fits: empty text, no items, zero, the first of several choices."""
    schema = resolved(schema, root)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    for word in ("anyOf", "allOf"):
        if word in schema:
            return least(schema[word][0], root)
    kind = schema.get("type")
    match kind[0] if isinstance(kind, list) else kind:
        case "object":
            return _filled_object({}, schema, root)
        case "array":
            return [least(schema["items"], root)] * schema.get("minItems", 0) if "items" in schema else []
        case "string":
            return _TEXTS.get(schema.get("format", ""), "")
        case "integer" | "number":
            return 0
        case "boolean":
            return False
        case _:
            return None


def filled(value: Json, schema: Schema, root: Schema) -> Json:
    """`value` with everything that objects in it lack of what is required."""
    schema = resolved(schema, root)
    if isinstance(value, dict) and schema.get("type") == "object":
        return _filled_object(value, schema, root)
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        return [filled(item, schema["items"], root) for item in value]
    return value


def _filled_object(value: dict[str, Json], schema: Schema, root: Schema) -> dict[str, Json]:
    """In the order of the schema, as the API's answers are."""
    known: dict[str, Json] = schema.get("properties") or {}
    required = schema.get("required") or []
    made = {
        name: filled(value[name], known[name], root) if name in value else least(known[name], root)
        for name in known
        if name in value or name in required
    }
    return {**made, **{name: item for name, item in value.items() if name not in known}}


def misfit(value: Json, schema: Schema, root: Schema, path: str = "the answer") -> str | None:
    """Why `value` is no instance; None when it is one."""
    schema = resolved(schema, root)
    if "const" in schema and value != schema["const"]:
        return f"{path} is not {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{path} is none of {', '.join(repr(choice) for choice in schema['enum'])}"
    if "anyOf" in schema and all(misfit(value, one, root, path) for one in schema["anyOf"]):
        return f"{path} fits none of its choices"
    for one in schema.get("allOf") or ():
        if (why := misfit(value, one, root, path)) is not None:
            return why
    kind = schema.get("type")
    kinds = kind if isinstance(kind, list) else [kind] if kind else []
    if kinds and not any(_is(value, one) for one in kinds):
        return f"{path} is no {' or '.join(kinds)}"
    if isinstance(value, dict):
        return _misfit_object(value, schema, root, path)
    if isinstance(value, list):
        if len(value) < schema.get("minItems", 0):
            return f"{path} has too few items"
        for place, item in enumerate(value):
            if "items" in schema and (why := misfit(item, schema["items"], root, f"{path}.{place}")):
                return why
    return None


def _misfit_object(value: dict[str, Json], schema: Schema, root: Schema, path: str) -> str | None:
    known = schema.get("properties") or {}
    for name in schema.get("required") or ():
        if name not in value:
            return f"{path} lacks {name}"
    for name, item in value.items():
        if name not in known:
            if schema.get("additionalProperties") is False:
                return f"{path} has {name}, which the schema does not know"
        elif (why := misfit(item, known[name], root, f"{path}.{name}")) is not None:
            return why
    return None


def _is(value: Json, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _KINDS.get(kind, ()))
