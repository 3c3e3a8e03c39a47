"""The input of a tool: what every set of arguments has in common, and its JSON Schema for the API."""

from copy import deepcopy
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator
from pydantic_core import PydanticCustomError

from flynn.domain.content import Json

_NOISE = frozenset({"title", "default"})
"""Titles repeat the names. Defaults are said in the descriptions: a default of null says nothing."""


class Arguments(BaseModel):
    """The arguments of a tool: no others than its own, and text that can be written down."""

    model_config = ConfigDict(extra="forbid")

    @field_validator("*")
    @classmethod
    def _is_text(cls, value: Any) -> Any:
        """Refuse lone surrogates, which JSON can carry but no file, path or command can."""
        if isinstance(value, str):
            try:
                value.encode()
            except UnicodeEncodeError:
                raise PydanticCustomError("string_unicode", "half of a surrogate pair") from None
        return value


def input_schema(arguments: type[BaseModel]) -> Json:
    """The schema of `arguments`: an object, closed, its parameters in the order of the class.

    A parameter that may be null is shown without null: leaving it out says the same.
    """
    # Pydantic takes milliseconds for each, and a claim asks for all of them.
    return deepcopy(_schema(arguments))


@cache
def _schema(arguments: type[BaseModel]) -> Json:
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
