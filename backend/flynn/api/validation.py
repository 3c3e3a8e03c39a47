"""What is wrong with a request, in words that name the field and what would be right."""

import types
from collections.abc import Mapping, Sequence
from typing import Any, Union, get_args, get_origin

from pydantic import AliasChoices, BaseModel
from pydantic_core import ErrorDetails

from flynn.api.problem import MalformedRequest, UnsupportedMediaType
from flynn.domain.errors import FlynnError, InvalidInput

MOST_ERRORS = 20
"""Errors listed in one answer."""


def known_fields(model: object) -> list[str]:
    """The names under which a model's fields may be sent; empty for what is no model."""
    if get_origin(model) in (Union, types.UnionType):
        return [name for part in get_args(model) for name in known_fields(part)]
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return []
    names: list[str] = []
    for name, field in model.model_fields.items():
        alias = field.validation_alias
        if isinstance(alias, AliasChoices):
            names += [str(choice) for choice in alias.choices]
        else:
            names.append(alias if isinstance(alias, str) else name)
    return names


def unknown(names: Sequence[str], known: Sequence[str], *, what: str) -> InvalidInput:
    """Refuse names that nobody knows."""
    message = f"is not known here; known are: {', '.join(known)}" if known else "is not known here"
    return InvalidInput(
        f"{names[0]}: {what} {message}.", errors=[{"field": name, "message": message} for name in names]
    )


def refusal(
    errors: Sequence[Mapping[str, Any] | ErrorDetails], *, fields: Sequence[str] = (), json: bool = True
) -> FlynnError:
    """Turn pydantic's and FastAPI's errors into one of ours.

    `fields` are the names that the body may have, `json` whether the request said that its body is JSON.
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
        {"field": _name(error["loc"]), "message": _message(error, fields)} for error in errors[:MOST_ERRORS]
    ]
    first = problems[0]
    more = f" And {len(errors) - 1} more." if len(errors) > 1 else ""
    return InvalidInput(f"{first['field']}: {first['message']}.{more}", errors=problems)


def _name(location: Sequence[int | str]) -> str:
    parts = [str(part) for part in location]
    if len(parts) > 1 and parts[0] in ("body", "query", "path", "header"):
        parts = parts[1:]
    return ".".join(parts) or "body"


def _message(error: Mapping[str, Any] | ErrorDetails, fields: Sequence[str]) -> str:
    match error["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return f"is not known here; known are: {', '.join(fields)}" if fields else "is not known here"
        case "model_attributes_type" | "model_type" | "dict_type":
            return "should be a JSON object"
        case "string_unicode":
            return "should be text in Unicode, without lone surrogates"
        case _:
            text = str(error["msg"])
            return text.removeprefix("Input ").removeprefix("Value error, ")
