"""The repository of a workspace: whether there is one that a checkout can be made of, and how it stands.

It is looked at in a sandbox without any right to write, and what it says of itself is checked before it is
believed: whoever may run a command in the workspace may have written any of it.
"""

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flynn.domain.errors import WorkspaceError
from flynn.workspace.git import Git, GitFailed, Script, facts_of, why
from flynn.workspace.root import Workspace

_STATUS_SECONDS: Final = 20
_LOOK_SECONDS: Final = 60.0
_OBJECT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}", re.ASCII)
_FORMATS: Final = ("sha1", "sha256")
_MOST_SHALLOW: Final = 1_000
_EMPTY, _BROKEN, _ELSEWHERE = 3, 4, 5

_SURVEY: Final = rf"""
set -u
git rev-parse --git-dir >/dev/null || exit {_BROKEN}
head=$(git rev-parse -q --verify 'HEAD^{{commit}}') || {{
  git rev-parse -q --verify HEAD >/dev/null || exit {_EMPTY}
  [ ! -s "$GIT_DIR/objects/info/alternates" ] || exit {_ELSEWHERE}
  exit {_BROKEN}
}}
echo "head $head"
echo "format $(git rev-parse --show-object-format)"
echo "current $(git symbolic-ref -q HEAD)"
echo "branch $(git rev-parse -q --verify "refs/heads/$BRANCH^{{commit}}")"
in_use=$(git for-each-ref --format='%(worktreepath)' "refs/heads/$BRANCH" | tr -d '\n')
[ "$(git symbolic-ref -q HEAD)" = "refs/heads/$BRANCH" ] && in_use=here
echo "in_use ${{in_use:+yes}}"
blocked=
[ -n "$(git for-each-ref --count=1 --format=x "refs/heads/$BRANCH/")" ] && blocked=yes
above=$BRANCH
while [ "${{above%/*}}" != "$above" ]; do
  above=${{above%/*}}
  git show-ref -q --verify "refs/heads/$above" && blocked=yes
done
echo "blocked $blocked"
[ -f "$GIT_DIR/shallow" ] && echo "shallow $(head -n {_MOST_SHALLOW} "$GIT_DIR/shallow" | tr '\n' ' ')"
export GIT_OPTIONAL_LOCKS=0
if timeout {_STATUS_SECONDS} git status --porcelain -z --no-renames --ignore-submodules=all >"$TMPDIR/status"
then echo "uncommitted $(tr -cd '\0' <"$TMPDIR/status" | wc -c)"; fi
exit 0
"""


class NoRepository(WorkspaceError):
    """The workspace is no git repository that a checkout can be made of."""

    code = "no-repository"
    title = "There is no git repository to make a checkout of"


class BranchInUse(WorkspaceError):
    """The branch is checked out where people work, and would be changed under their feet."""

    code = "branch-checked-out"
    title = "The branch is checked out in the workspace"


class BranchBlocked(WorkspaceError):
    """Another branch's name stands where a directory would have to be, or the other way round."""

    code = "branch-blocked"
    title = "Another branch is in the way of this name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """How a repository stands. `head` and `branch` are commits; `branch` is None where it is to be made.

    `current` is the branch that the workspace is on, None when it is on none. `uncommitted` is None where
    git does not say.
    """

    head: str
    current: str | None
    branch: str | None
    in_use: bool
    blocked: bool
    object_format: str
    shallow: tuple[str, ...]
    uncommitted: int | None

    @property
    def start(self) -> str:
        """The commit that a checkout starts from."""
        return self.branch or self.head


def is_repository(path: Path) -> bool:
    """Whether the directory `path` looks like the top of a repository that lies in it."""
    try:
        return stat.S_ISDIR(os.lstat(path / ".git").st_mode)
    except OSError:
        return False


def objects_of(tree: Path) -> Path:
    """Where the repository at the top of `tree` has its objects."""
    return tree / ".git" / "objects"


async def survey(workspace: Workspace, git: Git, branch: str) -> Survey:
    """Look at the repository of `workspace`, with `branch` in mind.

    Raises NoRepository, SandboxUnavailable.
    """
    _look_at_git(workspace)
    done = await git.call(
        workspace.path, _SURVEY, Script(facts={"BRANCH": branch}, timeout_seconds=_LOOK_SECONDS)
    )
    if done.exit_code == _EMPTY:
        raise NoRepository("Its git repository has no commit yet.")
    if done.exit_code == _BROKEN:
        raise NoRepository(
            "Its git repository cannot be read: it is broken, or of a kind that git does not know."
        )
    if done.exit_code == _ELSEWHERE:
        raise NoRepository(
            "Its git repository has its objects in another one, which a checkout does not see."
        )
    if done.exit_code != 0 or done.output_cut:
        raise NoRepository(f"Its git repository cannot be read: {why(done)}")
    try:
        return _survey(facts_of(done.output))
    except GitFailed as error:
        raise NoRepository(f"Its git repository cannot be read: {error.detail}") from error


def _look_at_git(workspace: Workspace) -> None:
    """Raise NoRepository unless .git and its objects are directories of the workspace itself."""
    try:
        with workspace.locate(".git", follow=False) as entry:
            kind = entry.kind
    except WorkspaceError:
        raise NoRepository("It is no git repository of its own.") from None
    if kind == "file":
        raise NoRepository("Its .git is a file, as in a worktree or a submodule of another repository.")
    if kind != "directory":
        raise NoRepository(f"Its .git is a {kind}.")
    try:
        with workspace.locate(".git/objects", follow=False) as entry:
            kind = entry.kind
    except WorkspaceError:
        raise NoRepository("Its .git has no objects.") from None
    if kind != "directory":
        raise NoRepository(f"The objects of its .git are a {kind}.")
    if workspace.exists(".git/commondir"):
        raise NoRepository("Its .git belongs to another repository.")


def _survey(said: dict[str, str]) -> Survey:
    current = said.get("current", "")
    number = said.get("uncommitted", "").strip()
    if said.get("format") not in _FORMATS:
        raise GitFailed("its format is not known.")
    return Survey(
        head=commit_of(said.get("head", "")),
        current=current.removeprefix("refs/heads/") if current.startswith("refs/heads/") else None,
        branch=commit_of(said["branch"]) if said.get("branch") else None,
        in_use=bool(said.get("in_use")),
        blocked=bool(said.get("blocked")),
        object_format=said["format"],
        shallow=tuple(commit_of(word) for word in said.get("shallow", "").split()),
        uncommitted=int(number) if number.isdecimal() and len(number) < 10 else None,
    )


def commit_of(text: str) -> str:
    """`text`, if it is the name of an object in full. Raises GitFailed."""
    if not _OBJECT.fullmatch(text):
        raise GitFailed("it names a commit in a way that git does not.")
    return text
