"""What an exit code proves of each command in a piece of shell text."""

import shlex

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from flynn.tools.shell_outcome import End, ends, parts

P, F, N, U = End.PASSED, End.FAILED, End.NOT_PASSED, End.UNKNOWN


@pytest.mark.parametrize(
    ("text", "code", "expected"),
    [
        ("pytest -q", 0, {"pytest -q": P}),
        ("pytest -q", 1, {"pytest -q": F}),
        ("pytest -q", None, {"pytest -q": N}),
        ("cd app && FOO=1 timeout 60 pytest -q 2>&1", 0, {"pytest -q": P}),
        ("cd app && pytest", 1, {"pytest": N}),
        ("python3 -m pytest -q > out.txt", 0, {"pytest -q": P}),
        (".venv/bin/python -m pytest 'a b'", 0, {"pytest a b": P}),
        ("uv run pytest", 0, {"pytest": P}),
        ("env A=b nice -n 5 ./scripts/x.sh", 1, {"scripts/x.sh": F}),
        ("bash scripts/x.sh", 0, {"scripts/x.sh": P}),
        ("a && b", 0, {"a": P, "b": P}),
        ("a && b", 1, {"a": U, "b": N}),
        ("a; b", 0, {"a": U, "b": P}),
        ("a\nb", 1, {"a": U, "b": F}),
        ("a || true", 0, {"a": U}),
        ("a && b || c", 0, {"a": U, "b": U, "c": U}),
        ("pytest | tail -5", 0, {"pytest": U, "tail -5": P}),
        ("! pytest", 0, {"pytest": U}),
        ("pytest &", 0, {"pytest": U}),
        ("for i in 1 2; do pytest; done", 0, {"pytest": U}),
        ("if pytest; then b; fi", 0, {"pytest": U, "b": U}),
        ("(cd x && pytest)", 0, {"pytest": U}),
        ("pytest; exit 0", 0, {"pytest": U, "exit 0": P}),
        ("set -euo pipefail\na\nb", 0, {"a": P, "b": P}),
        ("set -eu; a; b", 1, {"a": U, "b": N}),
        ("set -e\na && b\nc", 0, {"a": U, "b": U, "c": P}),
        ("set -x\na\nb", 0, {"a": U, "b": P}),
        ("set -e\nset +e\na\nb", 0, {"a": U, "b": P}),
        ("set -e; a; set +o errexit; b", 0, {"a": U, "b": P}),
        ("set -e; set +x; a; b", 0, {"a": P, "b": P}),
        ("exit 0 && a", 0, {"exit 0": P, "a": U}),
        ("set -e; exit; a", 0, {"exit": P, "a": U}),
        ("a && exit 0", 0, {"a": P, "exit 0": P}),
        ("if b; then exit; fi; a", 0, {"b": U, "exit": U, "a": U}),
        ("if b; then exit 1; fi; a", 0, {"b": U, "exit 1": U, "a": P}),
        ("command exit 256 && a", 0, {"exit 256": P, "a": U}),
        ("builtin exit && a", 0, {"builtin exit": P, "a": U}),
        ("exec b && a", 0, {"b": P, "a": U}),
        ("exec 2>log; a", 0, {"exec": U, "a": P}),
        ("exec a", 0, {"a": P}),
        ("trap 'exit 0' EXIT; a", 0, {"trap exit 0 EXIT": U, "a": U}),
        ("trap 'rm -r x' EXIT; a", 0, {"trap rm -r x EXIT": U, "a": P}),
        ('eval "$b" && a', 0, {'eval "$b"': U, "a": U}),
        ("exit 0; a", None, {"exit 0": U, "a": N}),
    ],
)
def test_what_is_known(text: str, code: int | None, expected: dict[str, End]) -> None:
    found = ends(text, code)
    assert found is not None
    assert {" ".join(part.words): part.end for part in found} == expected


@pytest.mark.parametrize("text", ["echo 'oops", "pytest() { true; }\npytest", "x" * 20_000])
def test_what_cannot_be_taken_apart(text: str) -> None:
    assert ends(text, 0) is None
    assert parts(text) is None


WORD = st.text("abcdefgh-_./=:é ü'\"$*", min_size=1, max_size=8).filter(lambda word: word.strip())
NAME = st.text("bcdfghjkmqvwxz", min_size=3, max_size=8)


@given(NAME, st.lists(WORD, max_size=4), st.integers(0, 255))
def test_what_is_wrapped_around_a_command_makes_no_other_of_it(
    name: str, words: list[str], code: int
) -> None:
    command = shlex.join([name, *words])
    bare = parts(command)
    assume(bare is not None and len(bare) == 1)
    for around in (
        "cd some/where && {}",
        "A=1 B='c d' {}",
        "timeout -k 5 60s {}",
        "  {}  ",
        "{} 2>&1 >/dev/null",
    ):
        text = around.format(command)
        if (found := parts(text)) is None:
            continue  # the grammar did not see all of it, so nothing is said of it
        assert found == bare
        (part,) = [part for part in ends(text, code) or () if part.words == bare[0]]
        assert part.end is P if code == 0 else part.end in (F, N)


@given(NAME, st.lists(WORD, max_size=3), WORD)
def test_another_word_makes_another_command_of_it(name: str, words: list[str], more: str) -> None:
    bare, longer = parts(shlex.join([name, *words])), parts(shlex.join([name, *words, more]))
    assume(bare is not None and longer is not None)
    assert bare != longer


@given(NAME, NAME, st.sampled_from(["{} || {}", "{} | {}", "{} ; {}", "{}\n{}", "{} & {}"]))
def test_a_code_of_somebody_else_says_nothing(name: str, other: str, text: str) -> None:
    assume(name != other)
    known = {part.words[0]: part.end for part in ends(text.format(name, other), 0) or ()}
    assert known[name] is U


def test_what_the_grammar_passes_over_is_not_compared() -> None:
    assert parts("cat - 2>&1") is None


@given(st.text(max_size=200), st.one_of(st.none(), st.integers(0, 255)))
def test_nothing_is_too_odd(text: str, code: int | None) -> None:
    found = ends(text, code)
    assert found is None or all(isinstance(part.end, End) for part in found)
    if code not in (0, None):
        assert not any(part.end is P for part in found or ())
