"""JSON on the wire: requests as the bytes that go out, events as the values that come in.

Out: the API takes neither lone surrogates nor NUL. Text is cleaned where it is captured
(flynn.domain.content.clean); what was stored uncleaned must not be changed here, because a request
that differs from what was stored would break the signatures of the thinking blocks behind it.

In: a value that could not be stored and sent back as it came is refused: NaN, and numbers that
neither a double nor a 64-bit integer holds.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import NoReturn

import orjson

from flynn.domain.content import Json
from flynn.model.failures import Permanent

_ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_UNSENDABLE = re.compile("[\x00\ud800-\udfff]")


def encode(body: dict[str, Json]) -> bytes:
    """The JSON text of `body`. Raises Permanent, naming the place, if it cannot be sent."""
    try:
        data = orjson.dumps(body)
    except TypeError as error:
        raise _unsendable(_place(body) or str(error)) from error
    if b"\\u0000" in data and _ESCAPED_NUL.search(data):
        raise _unsendable(_place(body) or "it holds NUL")
    return data


def decode(text: str) -> Json:
    """The value of a JSON text. Raises ValueError if it is no JSON or holds a number out of range."""
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _integer(text: str) -> int:
    number = int(text)
    if not -(2**63) <= number < 2**64:
        raise ValueError(f"the integer {text[:40]} does not fit into 64 bits")
    return number


def _double(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:40]} is out of range")
    return number


_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_double, parse_constant=_no_constant)


def _unsendable(why: str) -> Permanent:
    return Permanent(f"The request cannot be sent: {why}.", usage_final=True)


def _place(value: Json) -> str | None:
    """Where the first character that cannot be sent stands, in words; None if there is none."""
    for path, text in _strings(value, ""):
        found = _UNSENDABLE.search(text)
        if found is not None:
            name = "NUL" if found[0] == "\0" else "a lone surrogate"
            return f"{path} holds {name} (U+{ord(found[0]):04X}); text must be cleaned where it is captured"
    return None


def _strings(value: Json, path: str) -> Iterator[tuple[str, str]]:
    """Every string in `value` with its path, keys included."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield f"a key of {path}", str(key)
            yield from _strings(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _strings(inner, f"{path}[{index}]")
