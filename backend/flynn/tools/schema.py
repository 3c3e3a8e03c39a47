"""The input schema of a tool as the API takes it: JSON Schema without pydantic's noise."""

from pydantic import BaseModel

from flynn.domain.content import Json

_NOISE = frozenset({"title", "default"})
"""Titles repeat the names. Defaults are said in the descriptions: a default of null says nothing."""


def input_schema(arguments: type[BaseModel]) -> Json:
    """The schema of `arguments`: an object, closed, its parameters in the order of the class.

    A parameter that may be null is shown without null: leaving it out says the same.
    """
    schema = arguments.model_json_schema(by_alias=True)
    return {
        "type": "object",
        "properties": {name: _property(shape) for name, shape in schema["properties"].items()},
        "required": schema.get("required", []),
        "additionalProperties": False,
    }


def _property(shape: dict[str, Json]) -> dict[str, Json]:
    kept = {key: value for key, value in shape.items() if key not in _NOISE and key != "anyOf"}
    for choice in shape.get("anyOf", []):
        if choice != {"type": "null"}:
            kept = {**choice, **kept}
    return kept
