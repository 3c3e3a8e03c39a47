"""Directories of agent files: the good ones load, the others are reported."""

from pathlib import Path

import pytest

from flynn.agent.agent_catalog import load_agents
from flynn.domain.errors import NotFound


def write(path: Path, name: str, description: str = "Does things.") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"---\nname: {name}\ndescription: {description}\n---\nYou are {name} from {path.parent.name}.\n"
    )
    return path


def test_good_files_load_and_the_others_are_reported(tmp_path: Path) -> None:
    write(tmp_path / "b.md", "bravo")
    write(tmp_path / "deep" / "er" / "a.md", "alpha")
    (tmp_path / "README.md").write_text("# Our agents\n")
    latin = tmp_path / "latin.md"
    latin.write_bytes("---\nname: x\ndescription: ja\nmodel: haiku\n---\nGrüße".encode("latin-1"))
    write(tmp_path / ".hidden" / "c.md", "charlie")
    (tmp_path / "notes.txt").write_text("not an agent")
    (tmp_path / "folder.md").mkdir()

    catalog = load_agents([tmp_path])

    assert [agent.name for agent in catalog] == ["alpha", "bravo"]
    assert len(catalog) == 2
    assert [(r.path.name, r.line) for r in catalog.refused] == [("README.md", 1), ("latin.md", 6)]
    assert "0xfc) is not UTF-8" in catalog.refused[1].reason
    assert str(catalog.refused[1]).startswith(f"{latin}:6: ")


def test_the_earlier_directory_wins_and_the_other_file_is_named(tmp_path: Path) -> None:
    first = write(tmp_path / "ours" / "z.md", "reviewer")
    later = write(tmp_path / "theirs" / "a.md", "Reviewer")
    catalog = load_agents([tmp_path / "ours", tmp_path / "theirs"])
    assert catalog.get("reviewer").prompt == "You are reviewer from ours."
    assert [r.path for r in catalog.refused] == [later]
    assert f"is taken by {first}" in catalog.refused[0].reason


def test_a_missing_directory_is_reported(tmp_path: Path) -> None:
    write(tmp_path / "a.md", "alpha")
    catalog = load_agents([tmp_path / "nowhere", tmp_path])
    assert len(catalog) == 1
    assert str(catalog.refused[0]) == f"{tmp_path / 'nowhere'}:1: there is no such directory"


def test_an_unreadable_file_is_reported(tmp_path: Path) -> None:
    # Not even root reads page zero of a process.
    (tmp_path / "a.md").symlink_to("/proc/self/mem")
    assert load_agents([tmp_path]).refused[0].reason == "cannot be read: Input/output error"


def test_a_huge_file_is_not_read_whole(tmp_path: Path) -> None:
    with (tmp_path / "huge.md").open("wb") as file:
        file.truncate(1 << 40)
    assert "larger than" in load_agents([tmp_path]).refused[0].reason


def test_an_unknown_name_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    write(tmp_path / "a.md", "alpha")
    write(tmp_path / "b.md", "bravo")
    with pytest.raises(NotFound, match="no agent 'charlie'; the agents here are: alpha, bravo"):
        load_agents([tmp_path]).get("charlie")
    with pytest.raises(NotFound, match="the agents here are: none"):
        load_agents([]).get("alpha")
