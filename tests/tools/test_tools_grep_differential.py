"""Grep against ripgrep itself, run directly over the generated tree: every mode, every option, every page.

ripgrep's JSON tells paths, lines and numbers apart without doubt, whatever they hold; the lines that Grep
has to show are built from it here.
"""

import base64
import fnmatch
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from random import Random

import orjson
import pytest

from flynn.domain.content import Json
from flynn.domain.evidence import Searched
from flynn.tools.ripgrep import ripgrep
from tests.tools.conftest import Conversation
from tests.tools.trees import plant

pytestmark = [pytest.mark.slow, pytest.mark.needs("bubblewrap")]

SEEDS = [*range(2), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 10))]
PATTERNS = ("alpha", "al.ha", r"\bbeta\b", "^", "gamma$", "--", r"\./x", r"\d+:\d", "ünï", "b[a-e]t", r"\t")


def raw(root: Path, *options: str, place: str = "./") -> bytes:
    """What ripgrep prints, in the order of paths."""
    command = [str(ripgrep()), "--no-config", "--color=never", "--hidden", "--no-require-git", "--sort=path"]
    done = subprocess.run(
        [*command, *options, "--glob=!.git", "--", place], cwd=root, capture_output=True, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


def _bytes(value: dict[str, str]) -> bytes:
    return base64.b64decode(value["bytes"]) if "bytes" in value else value["text"].encode()


def _path(value: dict[str, str]) -> str:
    return os.fsdecode(_bytes(value)).removeprefix("./")


def lines_of(output: bytes, *, numbers: bool, apart: bool, only: bool) -> tuple[list[str], int]:
    """The lines that Grep has to show, and how many of them match."""
    lines: list[str] = []
    matches = 0
    last: tuple[str, int] | None = None
    for event in map(orjson.loads, output.splitlines()):
        data: Json = event["data"]
        if event["type"] == "end" and data["binary_offset"] is not None and last:
            found_at = f'(found "\\0" byte around offset {data["binary_offset"]})'
            lines.append(
                f"{_path(data['path'])}: WARNING: stopped searching binary file after match {found_at}"
            )
        if event["type"] not in ("match", "context"):
            continue
        path, first = _path(data["path"]), data["line_number"]
        mark = ":" if event["type"] == "match" else "-"
        text = _bytes(data["lines"]).removesuffix(b"\n").split(b"\n")
        if apart and lines and last != (path, first - 1):
            lines.append("--")
        shown = [_bytes(found["match"]) for found in data["submatches"]] if only else text
        for place, line in enumerate(shown):
            said = line.decode("utf-8", "replace").removesuffix("\r")
            number = f"{first if only else first + place}{mark}" if numbers else ""
            lines.append(f"{path}{mark}{number}{said}")
        matches += len(shown) if mark == ":" else 0
        last = path, first + len(text) - 1
    return lines, matches


def _said(content: object, lines: Sequence[str]) -> None:
    # As ASCII: names that are no UTF-8 hold halves of surrogates, which a failure's message cannot.
    assert ascii(content) == ascii("\n".join(lines) or "No matches.")


@pytest.mark.parametrize("seed", SEEDS)
async def test_content_is_what_ripgrep_finds(talk: Conversation, tmp_path: Path, seed: int) -> None:
    plant(talk.root, tmp_path / "outside", seed)
    random = Random(seed)
    for pattern in random.sample(PATTERNS, 5):
        around = {flag: random.choice((None, 0, 1, 3)) for flag in ("-A", "-B", "-C", "context")}
        arguments: dict[str, Json] = {flag: n for flag, n in around.items() if n is not None}
        both = around["context"] if around["context"] is not None else around["-C"] or 0
        before, after = (own if (own := around[flag]) is not None else both for flag in ("-B", "-A"))
        options = [f"--before-context={before}", f"--after-context={after}"]
        if random.random() < 0.3:
            arguments["-i"] = True
            options.append("--ignore-case")
        numbers = random.random() < 0.7
        output = raw(talk.root, "--json", f"--regexp={pattern}", *options)
        lines, matches = lines_of(output, numbers=numbers, apart=bool(before or after), only=False)
        result = await talk.call(
            "Grep", pattern=pattern, output_mode="content", head_limit=0, **{"-n": numbers}, **arguments
        )
        _said(result.content, lines)
        assert result.evidence == (Searched(matches=matches),)


@pytest.mark.parametrize("seed", SEEDS)
async def test_matching_parts_are_what_ripgrep_finds(talk: Conversation, tmp_path: Path, seed: int) -> None:
    plant(talk.root, tmp_path / "outside", seed)
    for pattern in ("al.ha", r"[a-z]+", "ünï"):
        output = raw(talk.root, "--json", f"--regexp={pattern}")
        lines, _ = lines_of(output, numbers=True, apart=False, only=True)
        said = await talk.text("Grep", pattern=pattern, output_mode="content", head_limit=0, **{"-o": True})
        _said(said, lines)


@pytest.mark.parametrize("seed", SEEDS)
async def test_matches_over_lines_are_what_ripgrep_finds(
    talk: Conversation, tmp_path: Path, seed: int
) -> None:
    plant(talk.root, tmp_path / "outside", seed)
    for pattern in (r"alpha.{0,9}\n.{0,3}beta", "a.b", r"beta[^x]*?gamma"):
        output = raw(talk.root, "--json", "--multiline", "--multiline-dotall", f"--regexp={pattern}")
        lines, matches = lines_of(output, numbers=True, apart=False, only=False)
        result = await talk.call("Grep", pattern=pattern, output_mode="content", multiline=True, head_limit=0)
        _said(result.content, lines)
        assert result.evidence == (Searched(matches=matches),)


@pytest.mark.parametrize("seed", SEEDS)
async def test_files_and_counts_are_what_ripgrep_finds(talk: Conversation, tmp_path: Path, seed: int) -> None:
    plant(talk.root, tmp_path / "outside", seed)
    for pattern in Random(seed).sample(PATTERNS, 4):
        paths = [
            os.fsdecode(path).removeprefix("./")
            for path in raw(talk.root, "--null", "--files-with-matches", f"--regexp={pattern}").split(b"\0")
            if path
        ]
        newest = sorted(paths, key=lambda path: -(talk.root / path).lstat().st_mtime_ns)
        said = await talk.text("Grep", pattern=pattern, head_limit=0)
        head = f"{len(paths)} file{'s' if len(paths) != 1 else ''} with matches:"
        _said(said, [head, *newest] if paths else [])

        counted = raw(talk.root, "--null", "--count", "--with-filename", f"--regexp={pattern}")
        counts = [
            (os.fsdecode(path).removeprefix("./"), int(n))
            for path, n in re.findall(rb"([^\0]+)\0(\d+)\n", counted)
        ]
        result = await talk.call("Grep", pattern=pattern, output_mode="count", head_limit=0)
        total = sum(n for _, n in counts)
        assert result.evidence == (Searched(matches=total),)
        _said(
            str(result.content).partition(":\n")[2] or result.content, [f"{path}:{n}" for path, n in counts]
        )


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_glob_or_a_type_narrows_what_is_found_and_finds_nothing_ignored(
    talk: Conversation, tmp_path: Path, seed: int
) -> None:
    tree = plant(talk.root, tmp_path / "outside", seed)
    found = raw(talk.root, "--null", "--files-with-matches", "--regexp=a").split(b"\0")
    paths = {os.fsdecode(path).removeprefix("./") for path in found if path}
    assert paths <= {os.fsdecode(path) for path in tree.visible()}
    for arguments, fits in (
        ({"glob": "*.py"}, "*.py"),
        ({"glob": "*"}, "*"),
        ({"glob": "**/*.md"}, "*.md"),
        ({"glob": "[a-r]*"}, "[a-r]*"),
        ({"type": "py"}, "*.py"),
        ({"type": "md"}, "*.md"),
    ):
        wanted = {path for path in paths if fnmatch.fnmatchcase(path.rsplit("/", 1)[-1], fits)}
        said = await talk.text("Grep", pattern="a", head_limit=0, **arguments)
        newest = sorted(wanted, key=lambda path: -(talk.root / path).lstat().st_mtime_ns)
        _said(said.partition("\n")[2] or said, newest)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("mode", ["content", "files_with_matches", "count"])
async def test_the_pages_together_are_the_whole(
    talk: Conversation, tmp_path: Path, seed: int, mode: str
) -> None:
    plant(talk.root, tmp_path / "outside", seed)
    size = Random(seed).randint(1, 7)
    arguments: dict[str, Json] = {"pattern": "a", "output_mode": mode, "context": seed % 2}
    whole = await talk.text("Grep", **arguments, head_limit=0)
    pages: list[str] = []
    offset = 0
    going_on = True
    while going_on:
        page = await talk.text("Grep", **arguments, head_limit=size, offset=offset)
        page, note, after = page.partition(f"\n\n[{size} ")
        going_on = bool(note)
        pages.append(page if mode == "content" else page.partition(":\n")[2])
        offset += size
        if going_on:
            assert after.endswith(f"go on with offset {offset}]")
    _said("\n".join(pages), [whole if mode == "content" else whole.partition(":\n")[2]])
