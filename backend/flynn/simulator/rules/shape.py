"""Shapes: which fields an object may have and of which type, judged by the SDK's own types.

The SDK's TypedDicts are compiled, once and as far as they are reached, into checks. A field that the
types do not know is refused, as the API refuses extra inputs; so are missing fields, wrong types and
values outside a Literal. Source: SDK types/message_create_params.py, types/message_count_tokens_params.py
and their beta twins.
"""

import collections.abc
from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, NotRequired, Required, Union, get_args, get_origin

from anthropic.types import message_count_tokens_params, message_create_params
from anthropic.types.beta import message_count_tokens_params as beta_count_tokens_params
from anthropic.types.beta import message_create_params as beta_create_params
from typing_extensions import get_type_hints, is_typeddict

from flynn.domain.content import Json
from flynn.simulator.api_error import ApiError, invalid

Check = Callable[[Json, str], None]
"""Judges a value at a path. Raises ApiError where it does not fit."""

_HEADERS: Final = frozenset({"betas", "user_profile_id", "workspace_id"})
"""Parameters of the SDK's methods that it sends as headers, not in the body."""
_SEQUENCES: Final = (list, collections.abc.Iterable, collections.abc.Sequence)
_MAPPINGS: Final = (dict, collections.abc.Mapping)
_TAGS: Final = ("type", "role")
_SCALARS: Final[dict[object, tuple[type | tuple[type, ...], str]]] = {
    str: (str, "string"),
    int: (int, "integer"),
    float: ((int, float), "number"),
    bool: (bool, "boolean"),
    datetime: (str, "string"),
    date: (str, "string"),
}


@cache
def body_fields(*, counting: bool, beta: bool) -> Mapping[str, Any]:
    """The fields of a request body and their types."""
    if counting:
        params: Any = (
            beta_count_tokens_params if beta else message_count_tokens_params
        ).MessageCountTokensParams
        fields = _fields(params)
    else:
        module = beta_create_params if beta else message_create_params
        fields = {**_fields(module.MessageCreateParamsBase), "stream": bool}
    return {name: hint for name, hint in fields.items() if name not in _HEADERS}


@cache
def field_check(name: str, *, counting: bool, beta: bool) -> Check:
    """The check of one field of a request body."""
    return _compile(body_fields(counting=counting, beta=beta)[name])


@cache
def message_check(*, beta: bool) -> Check:
    """The check of one message."""
    return _compile(get_args(_plain(body_fields(counting=False, beta=beta)["messages"]))[0])


def _fields(typed_dict: Any) -> dict[str, Any]:
    return get_type_hints(typed_dict, include_extras=True)


def _plain(hint: Any) -> Any:
    """The type without Required, NotRequired and Annotated."""
    while get_origin(hint) in (Required, NotRequired, Annotated):
        hint = get_args(hint)[0]
    return hint


@cache
def _compile(hint: Any) -> Check:
    hint = _plain(hint)
    origin = get_origin(hint)
    if is_typeddict(hint):
        return _object(hint)
    if hint in _SCALARS:
        return _scalar(*_SCALARS[hint])
    if hint is NoneType:
        return _null
    if origin is Literal:
        return _literal(get_args(hint))
    if origin in (Union, UnionType):
        return _union(get_args(hint))
    if origin in _SEQUENCES:
        return _array(get_args(hint)[0])
    if origin in _MAPPINGS:
        return _mapping(get_args(hint)[1])
    return _anything  # object, and what has no form in JSON


def _kind(hint: Any) -> str:
    """How a member of a union is told from the others: by the kind of JSON value."""
    hint = _plain(hint)
    if is_typeddict(hint):
        return "typed"
    if get_origin(hint) in _SEQUENCES:
        return "array"
    if get_origin(hint) in _MAPPINGS:
        return "mapping"
    if hint in _SCALARS or hint is NoneType or get_origin(hint) is Literal:
        return "scalar"
    return "none"  # response models, open files: nothing that a JSON body can hold


def _union(members: tuple[Any, ...]) -> Check:
    flat: list[Any] = []
    for member in members:
        plain = _plain(member)
        flat += get_args(plain) if get_origin(plain) in (Union, UnionType) else (plain,)
    by_kind: dict[str, list[Any]] = {}
    for member in flat:
        by_kind.setdefault(_kind(member), []).append(member)
    typed = by_kind.get("typed", [])
    objects = _choice(typed) if typed else _first(by_kind.get("mapping", []))
    if typed and "mapping" in by_kind:  # an open schema, such as a tool's input_schema
        objects = _first(by_kind["mapping"])
    arrays = _first(by_kind.get("array", []))
    scalars = by_kind.get("scalar", [])
    nullable = NoneType in scalars
    scalar_checks = [_compile(member) for member in scalars if member is not NoneType]
    expected = " or ".join(
        word
        for word, there in (
            ("string, number or boolean", bool(scalar_checks)),
            ("array", arrays is not None),
            ("object", objects is not None),
            ("null", nullable),
        )
        if there
    )

    def check(value: Json, path: str) -> None:
        if value is None and nullable:
            return
        if isinstance(value, dict) and objects is not None:
            objects(value, path)
        elif isinstance(value, list) and arrays is not None:
            arrays(value, path)
        elif len(scalar_checks) == 1 and arrays is None and objects is None:
            scalar_checks[0](value, path)
        elif not any(_passes(one, value, path) for one in scalar_checks):
            raise invalid("type", f"{path}: Input should be a valid {expected}")

    return check


def _passes(check: Check, value: Json, path: str) -> bool:
    try:
        check(value, path)
    except ApiError:
        return False
    return True


def _first(members: list[Any]) -> Check | None:
    return _compile(members[0]) if members else None


def _choice(typed: list[Any]) -> Check:
    """Several objects told apart by a field of Literal type."""
    if len(typed) == 1:
        return _compile(typed[0])
    tag = next(t for t in _TAGS if any(t in _fields(one) for one in typed))
    by_value: dict[str, list[Any]] = {}
    untagged: list[Any] = []
    for one in typed:
        hint = _plain(_fields(one).get(tag))
        choices = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
        optional = NoneType in choices or (tag not in one.__required_keys__ and len(choices) > 1)
        for choice in choices:
            if get_origin(_plain(choice)) is Literal:
                for value in get_args(_plain(choice)):
                    by_value.setdefault(value, []).append(one)
        if optional:
            untagged.append(one)

    def check(value: dict[str, Json], path: str) -> None:
        chosen = value.get(tag)
        candidates = by_value.get(chosen, []) if isinstance(chosen, str) else untagged
        if not candidates:
            if chosen is None:
                raise invalid("required-field", f"{path}.{tag}: Field required")
            known = ", ".join(sorted(by_value))
            raise invalid("unknown-type", f"{path}.{tag}: {chosen!r} is none of {known}")
        for candidate in candidates[:-1]:
            if _passes(_compile(candidate), value, path):
                return
        _compile(candidates[-1])(value, path)

    return check


def _object(typed_dict: Any) -> Check:
    fields = _fields(typed_dict)
    required = [name for name, hint in fields.items() if get_origin(hint) is Required]
    extra_allowed = getattr(typed_dict, "__pydantic_config__", {}).get("extra") == "allow"
    checks: dict[str, Check] = {}

    def check(value: Json, path: str) -> None:
        if not isinstance(value, dict):
            raise invalid("type", f"{path}: Input should be a valid object")
        for name in required:
            if name not in value:
                raise invalid("required-field", f"{path}.{name}: Field required")
        for name, item in value.items():
            one = checks.get(name)
            if one is None:
                if name not in fields:
                    if extra_allowed:
                        continue
                    raise invalid("unknown-field", f"{path}.{name}: Extra inputs are not permitted")
                one = checks[name] = _compile(fields[name])
            one(item, f"{path}.{name}")

    return check


def _array(item_hint: Any) -> Check:
    compiled: list[Check] = []

    def check(value: Json, path: str) -> None:
        if not isinstance(value, list):
            raise invalid("type", f"{path}: Input should be a valid array")
        if not compiled:
            compiled.append(_compile(item_hint))
        for index, item in enumerate(value):
            compiled[0](item, f"{path}.{index}")

    return check


def _mapping(value_hint: Any) -> Check:
    one = _compile(value_hint)

    def check(value: Json, path: str) -> None:
        if not isinstance(value, dict):
            raise invalid("type", f"{path}: Input should be a valid object")
        for name, item in value.items():
            one(item, f"{path}.{name}")

    return check


def _scalar(kind: type | tuple[type, ...], name: str) -> Check:
    def check(value: Json, path: str) -> None:
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise invalid("type", f"{path}: Input should be a valid {name}")

    return check


def _literal(values: tuple[Any, ...]) -> Check:
    def check(value: Json, path: str) -> None:
        if value not in values or isinstance(value, bool) is not isinstance(values[0], bool):
            raise invalid("value", f"{path}: Input should be {' or '.join(repr(v) for v in values)}")

    return check


def _null(value: Json, path: str) -> None:
    if value is not None:
        raise invalid("type", f"{path}: Input should be null")


def _anything(value: Json, path: str) -> None:
    del value, path
