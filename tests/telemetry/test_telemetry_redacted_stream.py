"""Redaction of a stream: the same as of the whole, however it is cut; and nothing waits without need."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flynn.telemetry.redacted_stream import MAX_HELD, RedactedStream
from flynn.telemetry.redaction import MARK, Redactor
from tests.telemetry.test_telemetry_redaction import AROUND, TOKENS, armoured

SECRET = "geheim-und/mehr mit\nzwei Zeilen"


def _redactor() -> Redactor:
    redactor = Redactor()
    redactor.register(SECRET)
    redactor.register("geheim")
    redactor.register("heimatlos")
    return redactor


def _streamed(pieces: list[str]) -> list[str]:
    out: list[str] = []
    stream = RedactedStream(out.append, _redactor())
    for piece in pieces:
        stream.feed(piece)
    stream.close()
    return out


_WORDS = [
    *TOKENS.values(),
    *(around.format(secret) for around, secret in AROUND),
    SECRET,
    "geheim",
    "heimatlos",
    "plain words",
    "sk-",
    "-----BEGIN",
    "Bearer",
    "postgres://a:",
    "ünïcode 😀",
    MARK,
    "eyJhbGci",
    "x" * 50,
]


@given(st.data())
def test_any_split_of_a_stream_gives_the_whole_redacted(data: st.DataObject) -> None:
    """Words stand apart here: glued together, a stream may hide more than the whole, never less."""
    text = "\n".join(data.draw(st.lists(st.sampled_from(_WORDS), max_size=6)))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=12)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert "".join(_streamed(pieces)) == _redactor().redact(text)


@given(st.data())
def test_no_secret_passes_whatever_is_glued_to_it(data: st.DataObject) -> None:
    words = data.draw(st.lists(st.sampled_from(_WORDS), max_size=5))
    text = "".join(words)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=12)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    shown, whole = "".join(_streamed(pieces)), _redactor().redact(text)
    for secret in (SECRET, "geheim", "heimatlos", *TOKENS.values()):
        assert secret not in shown or secret in whole


@pytest.mark.parametrize("name", [*TOKENS])
def test_character_by_character_nothing_of_a_token_passes(name: str) -> None:
    text = f"before {TOKENS[name]} after\n"
    assert "".join(_streamed(list(text))) == f"before {MARK} after\n"


@pytest.mark.parametrize(("around", "secret"), AROUND)
def test_character_by_character_nothing_of_a_value_passes(around: str, secret: str) -> None:
    text = around.format(secret) + "\n"
    assert "".join(_streamed(list(text))) == around.format(MARK) + "\n"


@pytest.mark.parametrize(
    "piece",
    [
        "collected 12 items\n",
        ".................... ",
        " 45%|####      | 45/100 [00:01<00:01]\r",
        "Continue? [y/N] ",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "-----BEGIN CERTIFICATE-----\nMIIE\n",
        "pull https://example.com/a/b.tar.gz",
        "plain talk",
        "ünïcode 😀",
    ],
)
def test_ordinary_output_goes_on_at_once(piece: str) -> None:
    out: list[str] = []
    stream = RedactedStream(out.append, _redactor())
    stream.feed(piece)
    assert "".join(out) == piece


def test_only_the_word_that_may_be_a_secret_waits() -> None:
    out: list[str] = []
    stream = RedactedStream(out.append, _redactor())
    stream.feed("a line\nand then ghp_")
    assert out == ["a line\nand then "]
    stream.feed("import works\n")
    assert "".join(out) == "a line\nand then ghp_import works\n"
    stream.feed("and words")
    assert "".join(out).endswith("and word")
    stream.feed("gehei")
    stream.close()
    assert "".join(out).endswith("gehei")


def test_what_waits_is_bounded_and_its_end_does_not_pass() -> None:
    out: list[str] = []
    stream = RedactedStream(out.append, _redactor())
    stream.feed("x sk-ant-")
    for _ in range(100):
        stream.feed("a" * 100)
    assert out == ["x ", MARK]
    assert MAX_HELD < 100 * 100
    stream.feed("aaaa and on")
    stream.close()
    assert "".join(out) == f"x {MARK} and on"


def test_a_private_key_that_never_ends_is_let_go_without_its_lines() -> None:
    key = armoured("PRIVATE KEY").split("\n")
    out: list[str] = []
    stream = RedactedStream(out.append, _redactor())
    stream.feed("\n".join(key[:-1]) + "\n")
    assert out == []
    stream.feed("make: done\n" * 5_000)
    stream.close()
    shown = "".join(out)
    assert not [line for line in key[1:-1] if line in shown]
