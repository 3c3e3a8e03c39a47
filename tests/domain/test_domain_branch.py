"""Names of branches: git takes what is taken here, and what git refuses is refused."""

import subprocess
from uuid import UUID

import pytest

from flynn.domain.branch import check_branch, own_branch

GOOD = ["a", "main", "feature/health-checks", "v1.2", "a-b_c+d#1=%2", "flynn/0a1b2c3d", "x/y/z"]
BAD = [
    *(
        "",
        "/",
        "a/",
        "/a",
        "a//b",
        ".a",
        "a/.b",
        "a.",
        "a.lock",
        "a.lock/b",
        "a..b",
        "a b",
        "a~1",
        "a^",
        "a:b",
    ),
    *("a?", "a*", "a[", "a\\b", "a@{1}", "@", "-a", "a/-b", "HEAD", "head", "refs/heads/a", "Refs/x"),
    *("a\n", "a\x7f", "ä", "0" * 40, "A" * 64, "$(id)", "a;b", "a'b", 'a"b', "a\0b", "FETCH_HEAD"),
]


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.needs("git")
def test_what_is_taken_git_takes_too(name: str) -> None:
    assert check_branch(name) == name
    words = ["git", "check-ref-format", "--branch", name]
    assert subprocess.run(words, check=False, capture_output=True).returncode == 0


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused_is_told_of(name: str) -> None:
    with pytest.raises(ValueError, match="should be the name of a branch"):
        check_branch(name)


def test_a_task_has_a_branch_of_its_own() -> None:
    name = own_branch(UUID("0a1b2c3d-0000-4000-8000-000000000000"))
    assert check_branch(name) == name == "flynn/0a1b2c3d"
