"""What is wrong with a request, in words that name the field and what would be right."""

import re
import types
from collections.abc import Mapping, Sequence
from typing import Any, Union, get_args, get_origin

from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from flynn.api.problem import MalformedRequest, UnsupportedMediaType
from flynn.domain.errors import FlynnError, InvalidInput

MOST_ERRORS = 20
"""Errors listed in one answer."""

_PLACES = ("body", "query", "path", "header")
_SUBJECT = re.compile(r"^(?:Value error, |[A-Z]\w* (?=should ))")
"""How pydantic's sentences begin, where ours begin with the field's name."""


def known_fields(model: object, path: Sequence[int | str] = ()) -> list[str]:
    """The names that fields may be sent under, where `path` leads in `model`; none in what is no model."""
    models = _models(model)
    for part in path:
        if isinstance(part, str):
            models = [
                found
                for model in models
                for name, field in model.model_fields.items()
                if part in _names(name, field)
                for found in _models(field.annotation)
            ]
    return [
        known
        for model in models
        for name, field in model.model_fields.items()
        for known in _names(name, field)
    ]


def _models(annotation: object) -> list[type[BaseModel]]:
    """The models that a value of this type, or an item of it, may be of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Union, types.UnionType, list):
        return [found for part in get_args(annotation) for found in _models(part)]
    return []


def _names(name: str, field: FieldInfo) -> list[str]:
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        return [str(choice) for choice in alias.choices]
    return [alias if isinstance(alias, str) else name]


def unknown(names: Sequence[str], known: Sequence[str], *, what: str) -> InvalidInput:
    """Refuse names that nobody knows."""
    message = f"is not known here; known are: {', '.join(known)}" if known else "is not known here"
    return InvalidInput(
        f"{names[0]}: {what} {message}.", errors=[{"field": name, "message": message} for name in names]
    )


def refusal(
    errors: Sequence[Mapping[str, Any] | ErrorDetails], *, body: object = None, json: bool = True
) -> FlynnError:
    """Turn pydantic's and FastAPI's errors into one of ours.

    `body` is the type that the body has to have, `json` whether the request said that its body is JSON.
    """
    for error in errors:
        if error["type"] == "json_invalid":
            reason = error.get("ctx", {}).get("error", "not JSON")
            return MalformedRequest(
                f"The body is not JSON: {reason} at character {error['loc'][-1]}.",
            )
        if tuple(error["loc"]) == ("body",) and not json and error["type"] != "missing":
            return UnsupportedMediaType("Send the body as JSON, with Content-Type: application/json.")
    problems = [
        {"field": _name(error["loc"]), "message": _message(error, body)} for error in errors[:MOST_ERRORS]
    ]
    first = problems[0]
    more = f" And {len(errors) - 1} more." if len(errors) > 1 else ""
    return InvalidInput(f"{first['field']}: {first['message']}.{more}", errors=problems)


def _name(location: Sequence[int | str]) -> str:
    return ".".join(str(part) for part in _path(location)) or "body"


def _path(location: Sequence[int | str]) -> Sequence[int | str]:
    """Where in the body, or which parameter."""
    return location[1:] if len(location) > 1 and location[0] in _PLACES else location


def _message(error: Mapping[str, Any] | ErrorDetails, body: object) -> str:
    match error["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            *way, name = _path(error["loc"])
            known = known_fields(body, way)
            if name in known:
                return "is given under another name too: leave out one of the two"
            return f"is not known here; known are: {', '.join(known)}" if known else "is not known here"
        case "model_attributes_type" | "model_type" | "dict_type":
            return "should be a JSON object"
        case "list_type":
            return "should be a JSON array"
        case "string_unicode":
            return "should be text in Unicode, without lone surrogates"
        case _:
            return _SUBJECT.sub("", str(error["msg"]), count=1)
