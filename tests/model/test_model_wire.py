"""JSON on the wire: what cannot go out is refused by name, what cannot be kept does not come in."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flynn.model.failures import Permanent
from flynn.model.request import ModelRequest
from flynn.model.wire import decode, encode
from tests.model.conftest import Connect
from tests.model.raw_server import answer, playing


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a\x00b", r"messages\[0\]\.content\[0\]\.text holds NUL \(U\+0000\)"),
        ("a\ud800b", r"messages\[0\]\.content\[0\]\.text holds a lone surrogate \(U\+D800\)"),
        ("\\\x00", r"messages\[0\]\.content\[0\]\.text holds NUL"),
    ],
)
def test_what_cannot_go_out_is_named(content: str, words: str) -> None:
    body = {"messages": [{"role": "user", "content": [{"type": "text", "text": content}]}]}
    with pytest.raises(Permanent, match=words) as caught:
        encode(body)
    assert caught.value.usage_final


def test_keys_are_looked_at_too() -> None:
    with pytest.raises(Permanent, match="a key of input holds NUL"):
        encode({"input": {"a\x00": 1}})


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(Permanent, match="cannot be sent"):
        encode({"a": object()})


@pytest.mark.parametrize(
    "harmless", ["\\u0000", "\\\\u0000", "\\\\\\u0000", "C:\\u0000\\x", "\N{SYMBOL FOR NULL}"]
)
def test_an_escape_that_is_only_text_may_go_out(harmless: str) -> None:
    assert json.loads(encode({"a": harmless})) == {"a": harmless}


@given(st.text(alphabet=st.sampled_from(["\\", "u", "0", "\x00", "a"]), max_size=14))
def test_exactly_the_texts_with_nul_are_refused(text: str) -> None:
    if "\x00" in text:
        with pytest.raises(Permanent):
            encode({"a": text})
    else:
        assert json.loads(encode({"a": text})) == {"a": text}


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])), inner)
    ),
    max_leaves=20,
)


@given(JSON)
def test_what_comes_in_goes_out_again(value: object) -> None:
    body = {"a": decode(json.dumps(value))}
    sent = encode(body)
    assert decode(sent.decode()) == {"a": value}
    assert list(map(type, _leaves(decode(sent.decode())["a"]))) == list(map(type, _leaves(value)))


def _leaves(value: object) -> list[object]:
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in _leaves(inner)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in _leaves(inner)]
    return [value]


@pytest.mark.parametrize(
    "text", ["NaN", "-Infinity", "1e400", str(2**64), str(-(2**63) - 1), "[" * 100_000, "{", ""]
)
def test_what_could_not_be_sent_back_does_not_come_in(text: str) -> None:
    with pytest.raises(ValueError):
        decode(text)


async def test_nothing_leaves_the_machine_uncleaned(connect: Connect, request_: ModelRequest) -> None:
    server, claude = await connect(playing(answer()))
    spoilt = request_.with_messages([{"role": "user", "content": "a\ud83db"}])
    with pytest.raises(Permanent, match=r"messages\[0\]\.content holds a lone surrogate"):
        await anext(claude.stream(spoilt))
    assert server.connections == 0
