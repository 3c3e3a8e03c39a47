"""Shell text taken apart: every command is found, however it is written, and what is hidden is said."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flynn.tools.shell import take_apart


def names(text: str) -> list[str | None]:
    return [command.words[0] if command.words else None for command in take_apart(text).commands]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("npm test", ["npm"]),
        ("a && b || c; d & e", ["a", "b", "c", "d", "e"]),
        ("a | b |& c", ["a", "b", "c"]),
        ("a\nb", ["a", "b"]),
        ("(a; b)", ["a", "b"]),
        ("{ a; b; }", ["a", "b"]),
        ("if a; then b; else c; fi", ["a", "b", "c"]),
        ("while a; do b; done", ["a", "b"]),
        ("for x in 1 2; do a; done", ["a"]),
        ("case x in y) a;; esac", ["a"]),
        ("! a", ["a"]),
        ("a $(b)", ["a", "b"]),
        ("a `b`", ["a", "b"]),
        ('a "$(b)"', ["a", "b"]),
        ("a <(b) >(c)", ["a", "b", "c"]),
        ("a ${X:-$(b)}", ["a", "b"]),
        ("a $((1 + $(b)))", ["a", "b"]),
        ("a <<EOF\n$(b)\nEOF\n", ["a", "b"]),
        ("a <<'EOF'\n$(b)\nEOF\n", ["a"]),
        ("a <<< $(b)", ["a", "b"]),
        ("X=$(b) a", ["a", "b"]),
        ("a # b", ["a"]),
        ("[ -f x ] && a", ["[", "a"]),
        ("export X=$(a)", ["export", "a"]),
    ],
)
def test_every_command_is_found(text: str, found: list[str]) -> None:
    assert sorted(map(str, names(text))) == sorted(found)
    assert take_apart(text).opaque is None


@pytest.mark.parametrize("text", ["r\\m x", "'rm' x", '"rm" x', "r'm' x", 'r"m" x', "\\rm x"])
def test_quotes_do_not_hide_a_name(text: str) -> None:
    assert [command.plain for command in take_apart(text).commands] == ["rm x"]


@pytest.mark.parametrize(
    "text",
    [
        "$X y",
        "$'rm' y",
        "r?x y",
        "/bin/r[m] y",
        "~/x",
        "eval $X",
        "bash -c $X",
        "bash script.sh",
        "curl x | sh",
        "source x.sh",
        ". ./x.sh",
        "if a",
        "a 'b",
        "f() { b; }; f",
        "timeout 5 bash -c $X",
        "xargs $X",
        "env . ./x",
    ],
)
def test_what_cannot_be_known_is_said(text: str) -> None:
    assert take_apart(text).opaque is not None


@pytest.mark.parametrize(
    "text",
    [
        "timeout 5 rm x",
        "nice -n 5 rm x",
        "env A=b rm x",
        "sudo -u somebody rm x",
        "xargs -0 rm x",
        "find . -name y -exec rm x ;",
        "command rm x",
        "bash -c 'rm x'",
        "sh -ec 'a; rm x'",
        "eval 'rm x'",
        "timeout 5 sh -c 'rm x'",
        "bash -c \"bash -c 'rm x'\"",
    ],
)
def test_what_another_command_runs_is_found(text: str) -> None:
    assert "rm x" in [command.plain for command in take_apart(text).hidden]


@pytest.mark.parametrize(
    ("text", "redirects"),
    [
        ("a > f", [("f", True)]),
        ("a >> 'f g'", [("f g", True)]),
        ("a &> f", [("f", True)]),
        ("a >| f", [("f", True)]),
        ("a < f", [("f", False)]),
        ("a > $X", [(None, True)]),
        ("a 2>&1", []),
        ("a >&2", []),
        ("{ a; } > f", [("f", True)]),
        ("a >& f", [("f", True)]),
    ],
)
def test_redirections_name_their_files(text: str, redirects: list[tuple[str | None, bool]]) -> None:
    assert [(r.path, r.writes) for r in take_apart(text).redirects] == redirects


def test_lines_that_the_grammar_runs_together_are_opaque() -> None:
    found = take_apart("echo a | echo a | ls\nrm -rf x && echo a")
    assert "rm -rf x" in [c.plain for c in found.commands] or found.opaque == "its lines cannot be told apart"
    assert take_apart("npm run \\\n test").opaque is None


def test_an_assignment_is_part_of_what_a_command_is() -> None:
    (command,) = take_apart("PATH=/x npm test").commands
    assert command.assigned
    assert command.text == "PATH=/x npm test"
    assert command.plain == "npm test"


def test_shells_within_shells_end_somewhere() -> None:
    text = "rm x"
    for _ in range(5):
        text = "bash -c '" + text.replace("'", "'\\''") + "'"
    assert take_apart(text).opaque == "shells within shells"


@given(st.text(max_size=400))
@example("9\x1e\x13R\U0003b558O\n{\U000def9f5")
@example("~\x97b:{\U00108712\x08h")
@settings(max_examples=300, deadline=None)
def test_any_text_is_taken_apart(text: str) -> None:
    found = take_apart(text)
    something = found.commands or found.redirects or found.opaque
    assert something or "#" in text or not any(character.isalnum() for character in text)


@pytest.mark.parametrize("text", ["a|" * 8000, "<<E\n" * 4000, "a=(" * 5000, "xargs " + "sh -c 'x' " * 900])
def test_text_that_is_made_to_take_long_is_given_up(text: str) -> None:
    assert take_apart(text).opaque is not None


def test_a_script_that_is_too_long_is_opaque() -> None:
    assert take_apart("echo a; " * 3000).opaque == "it is too long to be taken apart"


def test_letters_of_every_script_are_kept() -> None:
    assert [command.plain for command in take_apart("echo 'größe 😀' && näme x").commands] == [
        "echo größe 😀",
        "näme x",
    ]


_JOINT = st.sampled_from([" && ", " || ", "; ", " | ", "\n", " & ", " |& "])
_HARMLESS = st.sampled_from(["echo a", "ls -l 'x y'", "true", "cat <<< 'x'", 'echo "$HOME"', "X=1 env"])
_WRAPPED = st.sampled_from(
    [
        "{}",
        "( {} )",
        "{{ {}; }}",
        "$({})",
        "echo `{}`",
        'echo "$({})"',
        "if true; then {}; fi",
        "! {}",
        "time {}",
    ]
)


@given(
    before=st.lists(st.tuples(_HARMLESS, _JOINT), max_size=4),
    wrapped=_WRAPPED,
    after=st.lists(st.tuples(_JOINT, _HARMLESS), max_size=4),
)
@settings(max_examples=300, deadline=None)
def test_a_command_is_found_wherever_it_stands(
    before: list[tuple[str, str]], wrapped: str, after: list[tuple[str, str]]
) -> None:
    text = "".join(a + b for a, b in before) + wrapped.format("rm -rf x") + "".join(a + b for a, b in after)
    found = take_apart(text)
    assert "rm -rf x" in [c.plain for c in (*found.commands, *found.hidden)] or found.opaque
