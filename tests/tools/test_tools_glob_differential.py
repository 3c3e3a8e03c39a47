"""Glob against a plain walk of the generated tree and a matcher of its own, in the real sandbox."""

import fnmatch
import os
from pathlib import Path
from random import Random

import pytest

from flynn.domain.content import clean
from flynn.tools.glob import MAX_FILES
from tests.tools.conftest import Conversation
from tests.tools.trees import plant

pytestmark = pytest.mark.needs("bubblewrap")

SEEDS = [*range(3), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 12))]
PATTERNS = (
    "*",
    "**",
    "*.py",
    "**/*.py",
    "src/*",
    "src/**",
    "**/deep/*",
    "*.{py,md}",
    "[a-r]*.md",
    "?*.txt",
    ".github/**",
    ".*",
    "-*",
    "*[!y]",
    "./*.py",
    "nothing*",
    "a:b/*",
    "with blank/**/*.txt",
    r"\*.py",
)


def _means(pattern: str, path: str) -> bool:
    """The meaning of a glob, component by component, by fnmatch, which knows no braces and no slashes."""
    if "{" in pattern:
        before, _, rest = pattern.partition("{")
        choices, _, after = rest.partition("}")
        return any(_means(before + choice + after, path) for choice in choices.split(","))
    parts = [part for part in pattern.split("/") if part not in ("", ".")]
    if "/" not in pattern:
        parts.insert(0, "**")
    return _fits(parts, path.split("/"))


def _fits(parts: list[str], names: list[str]) -> bool:
    if not parts or not names:
        return not parts and not names
    if parts[0] == "**":
        return len(parts) == 1 or _fits(parts[1:], names) or _fits(parts, names[1:])
    part = parts[0].replace("\\*", "[*]")
    return fnmatch.fnmatchcase(names[0], part) and _fits(parts[1:], names[1:])


@pytest.mark.parametrize("seed", SEEDS)
async def test_glob_finds_what_a_walk_finds(talk: Conversation, tmp_path: Path, seed: int) -> None:
    tree = plant(talk.root, tmp_path / "outside", seed)
    newest = sorted(tree.visible(), key=lambda path: -(talk.root / os.fsdecode(path)).stat().st_mtime_ns)
    for pattern in Random(seed).sample(PATTERNS, 8):
        wanted = [os.fsdecode(path) for path in newest if _means(pattern, os.fsdecode(path))]
        assert len(wanted) < MAX_FILES, "the tree is too large to be compared"
        result = await talk.call("Glob", pattern=pattern)
        # As ASCII: names that are no UTF-8 hold halves of surrogates, which a failure's message cannot.
        assert ascii(result.content) == ascii("\n".join(wanted) or "No files match."), pattern
        stored = result.block("toolu_1")["content"]
        assert stored == clean("\n".join(wanted) or "No files match.")


@pytest.mark.parametrize("seed", SEEDS)
async def test_glob_in_a_directory_finds_what_is_beneath_it(
    talk: Conversation, tmp_path: Path, seed: int
) -> None:
    tree = plant(talk.root, tmp_path / "outside", seed)
    homes = sorted({os.fsdecode(path).rpartition("/")[0] for path in tree.visible()} - {"", ".git"})
    for home in homes:
        wanted = {
            os.fsdecode(path)
            for path in tree.visible()
            if os.fsdecode(path).startswith(home + "/") and _means("*.py", os.fsdecode(path)[len(home) + 1 :])
        }
        said = str((await talk.call("Glob", pattern="*.py", path=home)).content)
        # A name may hold a line feed, so the paths are looked up in the answer rather than cut out of it.
        assert all(path in said for path in wanted)
        assert len(said) == len("\n".join(wanted)) or (not wanted and said == "No files match.")
