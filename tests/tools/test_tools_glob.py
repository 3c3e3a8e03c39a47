"""Glob: names, newest first, with and without a sandbox."""

import fnmatch
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flynn.domain.evidence import Searched
from flynn.sandbox.command import Sandbox
from flynn.tools.pattern import BadPattern, compile_glob
from tests.tools.conftest import Conversation


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("*.py", ["a.py", "x/y/b.py", ".hidden.py"], ["a.pyc", "a.py/x"]),
        ("./*.py", ["a.py"], ["x/a.py"]),
        ("/*.py", ["a.py"], ["x/a.py"]),
        ("src/*.py", ["src/a.py"], ["src/x/a.py", "y/src/a.py"]),
        ("src/**/*.py", ["src/a.py", "src/x/y/a.py"], ["a.py"]),
        ("**/src/*", ["src/a", "x/src/a"], ["src/a/b"]),
        ("**/*.{yml,yaml}", ["a.yml", ".github/w/b.yaml"], ["a.json"]),
        ("{src,lib}/**", ["src/a", "lib/a/b"], ["other/a"]),
        ("{**/a,b}/c", ["x/y/a/c", "b/c"], ["x/b/c"]),
        ("a?c", ["abc"], ["ac", "a/c"]),
        ("[a-c]x", ["bx"], ["dx"]),
        ("[!a-c]x", ["dx"], ["bx", "/x"]),
        ("[]x]", ["]", "x"], ["y"]),
        ("a[.b", [], []),
        ("a{b", [], []),
        ("{a,b}" * 9, [], []),
        ("a**b", ["ab", "axb"], ["a/b"]),
        ("a*b*c*d", ["abcd", "a-b-b-c-d-d"], ["abc", "ab/cd"]),
        ("**/a/**/b/**/c", ["a/b/c", "x/a/y/a/b/z/c"], ["a/c", "b/a/c", "a/b/c/d"]),
        ("a/**/b/**", ["a/b/c", "a/x/b/b"], ["a/b", "a/x"]),
        ("*", ["a", "a/b", ".x"], []),
        ("./*", ["a"], ["a/b"]),
        ("x.{a,{b,c}d}", ["x.a", "x.bd", "y/x.cd"], ["x.b", "x.{a"]),
        ("[{]x", ["{x"], ["x"]),
        ("\\{x", ["{x"], ["x"]),
        ("}", ["}"], ["x"]),
        ("\\*", ["*"], ["x"]),
        ("Dockerfile*", ["Dockerfile", "x/Dockerfile.dev"], ["dockerfile"]),
        ("docs/", ["docs/a", "docs/a/b"], ["docs2/a"]),
        ("**", ["a", "a/b"], []),
        ("a,b", ["a,b"], ["a"]),
    ],
)
def test_patterns_mean_what_gitignore_means(pattern: str, yes: list[str], no: list[str]) -> None:
    if not yes and not no:
        with pytest.raises(BadPattern):
            compile_glob(pattern)
        return
    expression = compile_glob(pattern)
    assert [path for path in yes if not expression.fullmatch(path)] == []
    assert [path for path in no if expression.fullmatch(path)] == []


@given(st.text("ab*?[]{},!\\/.^-&~|(", min_size=1, max_size=12))
def test_any_pattern_compiles_or_is_refused(pattern: str) -> None:
    try:
        expression = compile_glob(pattern)
    except BadPattern:
        assert set("[{/.") & set(pattern) or "," in pattern
    else:
        expression.fullmatch("a/b")


@given(
    st.lists(st.sampled_from(["a", "b", "*", "**", "?", "a*", "*b", "a*b*a", "**b"]), min_size=2, max_size=4),
    st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=5),
)
def test_patterns_agree_with_a_plain_reading(parts: list[str], names: list[str]) -> None:
    def means(parts: list[str], names: list[str]) -> bool:
        if not parts or not names:
            return not parts and not names
        if parts[0] == "**":
            return (len(parts) == 1) or means(parts[1:], names) or means(parts, names[1:])
        return fnmatch.fnmatchcase(names[0], parts[0]) and means(parts[1:], names[1:])

    assert bool(compile_glob("/".join(parts)).fullmatch("/".join(names))) is means(parts, names)


@pytest.mark.parametrize(
    "pattern", ["*a" * 40 + "x", "**/a/" * 40 + "x", "{*a,*aa}" * 7 + "x", "**/*a*/" * 20 + "*a*x"]
)
def test_no_pattern_takes_long(pattern: str) -> None:
    began = time.monotonic()
    try:
        expression = compile_glob(pattern)
    except BadPattern:
        return
    assert not expression.fullmatch("a" * 250)
    assert not expression.fullmatch("/".join(["a" * 20] * 100))
    assert time.monotonic() - began < 20


@given(st.lists(st.text("ab-_ ", min_size=1, max_size=4), min_size=1, max_size=4))
def test_a_plain_path_matches_itself(parts: list[str]) -> None:
    path = "/".join(parts)
    assert compile_glob("/" + path).fullmatch(path)
    assert compile_glob("**/" + path).fullmatch("x/" + path)


@pytest.mark.needs("bubblewrap")
async def test_files_are_found_newest_first_without_ignored_ones(talk: Conversation) -> None:
    names = ("old.py", "x/new.py", ".github/mid.py", "ignored/no.py", ".git/hooks/no.py")
    for age, name in enumerate(names):
        os.utime(talk.file(name, ""), (1_000_000 + age, 1_000_000 + age))
    os.utime(talk.root / "x/new.py", (2_000_000, 2_000_000))
    talk.file(".gitignore", "ignored/\n")
    result = await talk.call("Glob", pattern="**/*.py")
    assert result.content == "x/new.py\n.github/mid.py\nold.py"
    assert result.evidence == (Searched(matches=3),)
    assert await talk.text("Glob", pattern="*.py", path="x") == "x/new.py"
    assert await talk.text("Glob", pattern=f"{talk.root}/x/*.py") == "x/new.py"
    assert await talk.text("Glob", pattern="no*") == "No files match."


@pytest.mark.needs("bubblewrap")
async def test_hard_names_come_through(talk: Conversation) -> None:
    for name in ("-rf", "new\nline", "blank s", "*", "ü", "--files"):
        talk.file(f"odd/{name}", "")
    found = await talk.text("Glob", pattern="odd/*")
    for name in ("-rf", "new\nline", "blank s", "*", "ü", "--files"):
        assert f"odd/{name}" in found
    talk.file("-dash/x", "")
    assert await talk.text("Glob", pattern="*", path="-dash") == "-dash/x"


@pytest.mark.needs("bubblewrap")
async def test_more_than_a_hundred_are_cut_and_counted(talk: Conversation) -> None:
    for number in range(130):
        talk.file(f"f{number}", "")
    result = await talk.call("Glob", pattern="f*")
    assert isinstance(result.content, str)
    assert "30 older matches left out of 130" in result.content
    assert result.content.count("\n") == 101
    assert result.evidence == (Searched(matches=130, cut=True),)


async def test_without_a_sandbox_the_tree_is_walked(
    talk: Conversation, no_sandbox: Sandbox, tmp_path: Path
) -> None:
    talk.sandbox = no_sandbox
    (tmp_path / "secret.py").write_text("")
    for age, name in enumerate(("old.py", "x/new.py", ".git/no.py")):
        os.utime(talk.file(name, ""), (1_000_000 + age, 1_000_000 + age))
    (talk.root / "out").symlink_to("..")
    said = await talk.text("Glob", pattern="*.py")
    assert said == "x/new.py\nold.py\n\n[Without a sandbox .gitignore was not applied]"


async def test_wrong_places_and_patterns_are_explained(talk: Conversation) -> None:
    talk.file("file", "")
    assert "path must be a directory" in await talk.error("Glob", pattern="*", path="file")
    assert "fil does not exist. Near names" in await talk.error("Glob", pattern="*", path="fil")
    assert "bracket is not closed" in await talk.error("Glob", pattern="[a")
    assert "outside the workspace" in await talk.error("Glob", pattern="*", path="..")
    assert "not in the workspace" in await talk.error("Glob", pattern="/etc/*")
