"""Grep: ripgrep in the sandbox, bounded and explained."""

import os
from pathlib import Path

import pytest

from flynn.domain.evidence import Searched
from flynn.sandbox.command import Sandbox
from tests.tools.conftest import Conversation

pytestmark = pytest.mark.needs("bubblewrap")


@pytest.fixture
def tree(talk: Conversation) -> Conversation:
    talk.file("a.py", "import os\nfoo = 1\nbar = 2\nFOO = 3\n")
    talk.file("src/b.py", "foo()\nfoo()\n")
    talk.file(".github/w.yml", "run: foo\n")
    talk.file("ignored.log", "foo\n")
    talk.file("modules/c.py", "foo\n")
    talk.file(".git/config", "foo\n")
    talk.file(".gitignore", "*.log\nmodules/\n")
    for age, name in enumerate(("a.py", ".github/w.yml", "src/b.py")):
        os.utime(talk.root / name, (1_000_000 + age, 1_000_000 + age))
    return talk


async def test_files_with_matches_come_newest_first(tree: Conversation) -> None:
    result = await tree.call("Grep", pattern="foo")
    assert result.content == "3 files with matches:\nsrc/b.py\n.github/w.yml\na.py"
    assert result.evidence == (Searched(matches=3),)


async def test_content_shows_lines_with_numbers_and_context(tree: Conversation) -> None:
    said = await tree.text("Grep", pattern="^foo =", output_mode="content", **{"-B": 1, "-A": 1})
    assert said == "a.py-1-import os\na.py:2:foo = 1\na.py-3-bar = 2"
    assert await tree.text("Grep", pattern="^foo =", output_mode="content", context=1) == said
    assert await tree.text("Grep", pattern="^foo =", output_mode="content", **{"-C": 1}) == said
    bare = await tree.call("Grep", pattern="^foo =", output_mode="content", **{"-C": 1, "-n": False})
    assert bare.content == "a.py-import os\na.py:foo = 1\na.py-bar = 2"
    assert bare.evidence == (Searched(matches=1),)
    assert await tree.text(
        "Grep", pattern="f(o+)", path="a.py", output_mode="content", **{"-o": True, "-i": True}
    ) == ("a.py:2:foo\na.py:4:FOO")


async def test_count_counts_matching_lines(tree: Conversation) -> None:
    result = await tree.call("Grep", pattern="foo", glob="*.py", output_mode="count")
    assert result.content == "3 matching lines in 2 files:\na.py:1\nsrc/b.py:2"
    assert result.evidence == (Searched(matches=3),)


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({"glob": "*.py"}, ["a.py", "src/b.py"]),
        ({"glob": "*"}, [".github/w.yml", "a.py", "src/b.py"]),
        ({"glob": "**/*.{py,yml}"}, [".github/w.yml", "a.py", "src/b.py"]),
        ({"glob": "src/*.py"}, ["src/b.py"]),
        ({"glob": "!*.py"}, [".github/w.yml"]),
        ({"glob": "**"}, [".github/w.yml", "a.py", "src/b.py"]),
        ({"type": "py"}, ["a.py", "src/b.py"]),
        ({"type": "py", "glob": "b*"}, ["src/b.py"]),
        ({"path": "src"}, ["src/b.py"]),
        ({"path": "src/b.py"}, ["src/b.py"]),
        ({"path": "modules"}, ["modules/c.py"]),
        ({"path": "", "glob": "*.yml"}, [".github/w.yml"]),
    ],
)
async def test_narrowing_respects_gitignore(
    tree: Conversation, arguments: dict[str, str], found: list[str]
) -> None:
    said = await tree.text("Grep", pattern="foo", **arguments)
    assert sorted(said.split("\n")[1:]) == found


async def test_multiline_spans_lines(tree: Conversation) -> None:
    assert "set multiline" in await tree.error("Grep", pattern="foo = 1\nbar")
    said = await tree.text("Grep", pattern="foo = 1.bar", multiline=True, output_mode="content")
    assert said == "a.py:2:foo = 1\na.py:3:bar = 2"


async def test_pages_and_bounds_are_told(tree: Conversation) -> None:
    tree.file("many", "".join(f"hit {n}\n" for n in range(1, 1001)))
    said = await tree.text("Grep", pattern="hit", output_mode="content")
    assert said.startswith("many:1:hit 1\n")
    assert "[250 lines of 1,000 shown; go on with offset 250]" in said
    said = await tree.text("Grep", pattern="hit", output_mode="content", offset=990, head_limit=5)
    assert said.startswith("many:991:hit 991\n")
    assert "go on with offset 995" in said
    everything = await tree.text("Grep", pattern="hit", output_mode="content", head_limit=0)
    assert "many:1000:hit 1000" in everything
    assert "[" not in everything
    assert "offset is past the end" in await tree.text(
        "Grep", pattern="hit", output_mode="content", offset=2000
    )
    tree.file("wide", "hit " + "x" * 5_000 + "\n")
    assert len(await tree.text("Grep", pattern="hit", path="wide", output_mode="content")) < 700
    tree.file("lots", ("hit " + "x" * 400 + "\n") * 1_000)
    cut = await tree.text("Grep", pattern="hit", path="lots", output_mode="content", head_limit=0)
    assert len(cut) < 31_000
    assert "cut at 30,000 bytes" in cut


async def test_what_is_wrong_is_explained(tree: Conversation) -> None:
    assert "put a backslash before it" in await tree.error("Grep", pattern="foo(")
    assert "Look-around" in await tree.error("Grep", pattern="(?<=a)b")
    assert "backreferences" in await tree.error("Grep", pattern=r"(a)\1")
    assert "Use glob instead" in await tree.error("Grep", pattern="x", type="nosuch")
    assert "unclosed" in await tree.error("Grep", pattern="x", glob="a[")
    assert "NUL" in await tree.error("Grep", pattern="a\0b")
    assert "surrogate" in await tree.error("Grep", pattern="\ud800")
    assert "does not exist" in await tree.error("Grep", pattern="x", path="nowhere")
    assert "outside the workspace" in await tree.error("Grep", pattern="x", path="../")


async def test_no_match_is_no_failure(tree: Conversation) -> None:
    result = await tree.call("Grep", pattern="nothing of the kind")
    assert result.content == "No matches."
    assert result.evidence == (Searched(matches=0),)


@pytest.mark.parametrize("pattern", ["--files", "-e", "--pre=/bin/sh", "-f/etc/passwd", "--"])
async def test_a_pattern_is_never_an_option(tree: Conversation, pattern: str) -> None:
    tree.file("dashes", f"here is {pattern} indeed\n")
    assert "dashes" in await tree.text("Grep", pattern=pattern)


@pytest.mark.parametrize("field", ["glob", "type"])
async def test_no_argument_is_an_option_of_ripgrep(tree: Conversation, field: str) -> None:
    result = await tree.call("Grep", pattern="foo", **{field: "--pre=/bin/sh"})
    assert "w.yml" not in str(result.content)


async def test_a_configuration_of_the_workspace_is_not_read(tree: Conversation) -> None:
    tree.file(".ripgreprc", "--files\n")
    tree.file("ripgreprc", "--files\n")
    assert await tree.text("Grep", pattern="no such text anywhere") == "No matches."


async def test_nothing_is_written_and_nothing_outside_is_found(tree: Conversation, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("unmistakable\n")
    (tree.root / "out").symlink_to("../secret")
    (tree.root / "up").symlink_to("..")
    assert await tree.text("Grep", pattern="unmistakable") == "No matches."


async def test_without_a_sandbox_nothing_is_searched(tree: Conversation, no_sandbox: Sandbox) -> None:
    tree.sandbox = no_sandbox
    words = await tree.error("Grep", pattern="foo")
    assert "Grep is not available" in words
    assert "turned off" in words
