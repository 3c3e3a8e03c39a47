"""Repositories that are not as most are: a checkout of a task works with them, or says what is in the way.

Real Postgres, git, sandbox and files; the model is simulated.
"""

import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from flynn.domain import events as ev
from tests.house import House, open_house
from tests.invariants.delegating import done, evidence, git

pytestmark = [pytest.mark.needs("git", "bubblewrap"), pytest.mark.slow]

SCRIPT = """
name: own
match: Make it
turns:
  - blocks: [{tool: Bash, input: {command: "git log --oneline && echo mine > own.txt"}}]
  - blocks: [{text: Made.}]
---
name: divider
match: Divide it
turns:
  - blocks:
      - tool: Bash
        input:
          command: |
            set -e
            echo 1 > one.txt; git add -A
            printf 'First\\n\\nWhy so\\n---\\nand more\\n' | git commit -qF -
            echo 2 > two.txt; git add -A
            printf 'Second\\n\\nWhy so\\n---\\nand more\\n' | git -c core.hooksPath=/dev/null commit -qF -
  - blocks: [{text: Committed.}]
---
name: orphan
match: Begin anew
turns:
  - blocks:
      - tool: Bash
        input:
          command: |
            set -e
            echo 1 > one.txt; git add -A; git commit -qm 'One more'
            git checkout -q --orphan fresh; git rm -rfq .
  - blocks: [{text: Begun.}]
---
name: detached
match: Detach it
turns:
  - blocks:
      - tool: Bash
        input:
          command: |
            set -e
            git checkout -q --detach
            echo 1 > one.txt; git add -A; git commit -qm 'On no branch'; echo 2 > two.txt
  - blocks: [{text: Detached.}]
---
name: merging
match: Merge it
turns:
  - blocks:
      - tool: Bash
        input:
          command: |
            set -e
            git checkout -qb side; echo side > a.txt; git commit -qam side
            git checkout -q -; echo own > a.txt; git commit -qam own
            git merge side || true
  - blocks: [{text: Merging.}]
---
name: nested
match: Nest one
turns:
  - blocks:
      - tool: Bash
        input:
          command: |
            set -e
            ls part; mkdir inner; cd inner; git init -q; echo 1 > one.txt; git add -A
            git -c user.name=a -c user.email=a@b commit -qm inner; cd ..; echo 1 > two.txt
  - blocks: [{text: Nested.}]
---
name: names
match: Name them oddly
turns:
  - blocks:
      - tool: Bash
        input:
          command: |
            set -e
            for name in $'two\\nlines' $'latin\\xe9' ' spaces ' -- ':(exclude)x' $'\\001A' 'Flynn-Task: no'
            do echo 1 > "./$name"; done
            echo 1 > unread; chmod 000 unread
            mkdir shut; echo 1 > shut/inner; chmod 000 shut
  - blocks: [{text: Named.}]
"""


def files(tree: Path, branch: str) -> set[bytes]:
    """The names of the files that a branch has, as bytes."""
    words = ["git", "-c", "safe.directory=*", "ls-tree", "-rz", "--name-only", branch]
    return {name for name in subprocess.check_output(words, cwd=tree).split(b"\0") if name}


def begin(tree: Path, *options: str) -> str:
    """A repository with two commits; gives the last."""
    tree.mkdir(exist_ok=True)
    git(tree, "init", "-qb", "main", *options)
    git(tree, "config", "user.name", "Person")
    git(tree, "config", "user.email", "person@example.org")
    for content in ("a", "b"):
        (tree / "a.txt").write_text(f"{content}\n")
        git(tree, "add", "-A")
        git(tree, "commit", "-qm", content)
    return git(tree, "rev-parse", "HEAD")


def cloned(origin: Path, tree: Path, *options: str) -> None:
    """Have a clone of `origin` at `tree`, which is there and empty."""
    place = tree.with_name("clone")
    git(origin, "clone", "-q", *options, str(place))
    for item in place.iterdir():
        shutil.move(item, tree / item.name)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path, SCRIPT, volume=True) as opened:
        yield opened


async def test_a_shallow_repository_has_checkouts_and_stays_shallow(house: House, tmp_path: Path) -> None:
    origin = tmp_path / "origin"
    begin(origin)
    cloned(origin, house.workspace, "--depth=1", f"file://{origin}")
    shallow = (house.workspace / ".git" / "shallow").read_bytes()
    task = await done(house, "Make it")
    said = evidence(task)
    assert (said.handed_over, said.hand_over_detail) == ("updated", None)
    assert git(house.workspace, "show", f"{task.branch}:own.txt") == "mine"
    assert git(house.workspace, "log", "--format=%s", str(task.branch)).split("\n") == ["A task", "b"]
    assert (house.workspace / ".git" / "shallow").read_bytes() == shallow
    assert git(house.workspace, "fsck", "--strict") == ""


async def test_a_repository_with_names_of_sha256_has_checkouts(house: House) -> None:
    base = begin(house.workspace, "--object-format=sha256")
    assert len(base) == 64
    task = await done(house, "Make it", branch="feature/long")
    said = evidence(task)
    assert (said.handed_over, said.base) == ("updated", base)
    (commit,) = said.commits
    assert commit.sha == git(house.workspace, "rev-parse", "feature/long")
    assert len(commit.sha) == 64
    again = await done(house, "Make it", branch="feature/long")
    assert evidence(again).handed_over in ("updated", "unchanged")
    assert git(house.workspace, "fsck", "--strict") == ""


async def test_a_branch_that_a_worktree_elsewhere_has_checked_out_is_refused(
    house: House, tmp_path: Path
) -> None:
    begin(house.workspace)
    git(house.workspace, "worktree", "add", "-qb", "topic", str(tmp_path / "elsewhere"))
    task = await done(house, "Make it", branch="topic")
    assert (task.state, task.reason) == ("failed", "branch-checked-out")
    assert git(house.workspace, "rev-parse", "topic", "main").split()[0] == git(
        house.workspace, "rev-parse", "main"
    )


async def test_a_workspace_on_no_branch_is_where_a_checkout_begins(house: House) -> None:
    begin(house.workspace)
    git(house.workspace, "checkout", "-q", "--detach", "HEAD~1")
    before = git(house.workspace, "rev-parse", "HEAD")
    task = await done(house, "Make it")
    assert (evidence(task).handed_over, evidence(task).base) == ("updated", before)
    assert git(house.workspace, "rev-parse", f"{task.branch}^", "HEAD").split() == [before] * 2


async def test_objects_that_lie_in_another_repository_are_said_to(house: House, tmp_path: Path) -> None:
    origin = tmp_path / "origin"
    begin(origin)
    cloned(origin, house.workspace, "--shared", str(origin))
    task = await done(house, "Make it")
    assert task.state == "completed", task.detail
    (skipped,) = [
        r.event for r in await house.log(task.conversation_id) if isinstance(r.event, ev.CheckoutSkipped)
    ]
    assert skipped.detail == (
        "Its git repository has its objects in another one, which a checkout does not see."
    )


async def test_a_commit_that_is_lost_is_not_told_as_none(house: House) -> None:
    head = begin(house.workspace)
    (house.workspace / ".git" / "objects" / head[:2] / head[2:]).unlink()
    task = await done(house, "Make it")
    (skipped,) = [
        r.event for r in await house.log(task.conversation_id) if isinstance(r.event, ev.CheckoutSkipped)
    ]
    assert "it is broken" in skipped.detail


async def test_a_trailer_is_one_for_git_also_where_a_line_divides_the_message(house: House) -> None:
    begin(house.workspace)
    task = await done(house, "Divide it")
    assert evidence(task).handed_over == "updated"
    told = git(
        house.workspace,
        "log",
        "--format=%(trailers:key=Flynn-Task,valueonly,separator=%x2C)",
        f"main..{task.branch}",
    )
    assert told.split("\n") == [str(task.id)] * 2


async def test_a_checkout_on_a_branch_without_a_commit_hands_over_what_was_committed(house: House) -> None:
    begin(house.workspace)
    task = await done(house, "Begin anew")
    said = evidence(task)
    assert (said.handed_over, [commit.subject for commit in said.commits]) == ("updated", ["One more"])
    assert "left on another branch" in (said.hand_over_detail or "")
    assert git(house.workspace, "show", f"{task.branch}:one.txt") == "1"


async def test_what_was_made_on_no_branch_is_handed_over(house: House) -> None:
    begin(house.workspace)
    task = await done(house, "Detach it")
    assert evidence(task).handed_over == "updated"
    assert git(house.workspace, "show", f"{task.branch}:two.txt") == "2"
    assert git(house.workspace, "log", "--format=%s", f"main..{task.branch}").split("\n") == [
        "A task",
        "On no branch",
    ]


async def test_a_merge_that_was_not_finished_is_told(house: House) -> None:
    begin(house.workspace)
    task = await done(house, "Merge it")
    said = evidence(task)
    assert said.handed_over == "updated"
    assert "A merge was not finished" in (said.hand_over_detail or "")
    assert "<<<<<<<" in git(house.workspace, "show", f"{task.branch}:a.txt")


async def test_files_with_odd_names_are_handed_over_and_what_cannot_be_read_is_told(house: House) -> None:
    begin(house.workspace)
    task = await done(house, "Name them oddly")
    said = evidence(task)
    assert said.handed_over == "updated"
    assert files(house.workspace, str(task.branch)) - {b"a.txt"} == {
        b"two\nlines",
        b"latin\xe9",
        b" spaces ",
        b"--",
        b":(exclude)x",
        b"\1A",
        b"Flynn-Task: no",
    }
    assert [commit.files for commit in said.commits] == [7]
    assert said.hand_over_detail == "Some files could not be read, and are not committed."
    trailers = git(
        house.workspace, "log", "-1", "--format=%(trailers:key=Flynn-Task,valueonly)", str(task.branch)
    )
    assert trailers == str(task.id)


async def test_a_submodule_stays_what_it_is_and_a_repository_within_is_told(
    house: House, tmp_path: Path
) -> None:
    part = begin(tmp_path / "part")
    begin(house.workspace)
    git(house.workspace, "submodule", "add", "-q", str(tmp_path / "part"), "part")
    git(house.workspace, "commit", "-qm", "with a part")
    task = await done(house, "Nest one")
    said = evidence(task)
    assert said.handed_over == "updated"
    assert said.hand_over_detail == (
        "Repositories within the checkout are only named by their commit, not handed over."
    )
    listed = git(house.workspace, "ls-tree", str(task.branch)).split("\n")
    kinds = {line.partition("\t")[2]: line.split()[1:3] for line in listed}
    assert kinds["part"] == ["commit", part]
    assert kinds["inner"][0] == "commit"
    assert kinds["two.txt"][0] == "blob"
    # The person's own submodule was not touched.
    assert git(house.workspace, "status", "--porcelain") == ""


async def test_a_title_of_which_nothing_can_be_shown_is_in_no_commits_way(house: House) -> None:
    begin(house.workspace)
    task = await done(house, "Make it", title="\u200b")
    assert evidence(task).handed_over == "updated"
    assert [commit.subject for commit in evidence(task).commits] == [f"Task {task.id}"]
