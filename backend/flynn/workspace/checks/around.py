"""Around a tree: the git repository that it is a directory of, and what that ignores in it.

Only looked for, never read here: the files are shown to ripgrep and git in the sandbox, as they are. What
somebody else has put above the tree has no say in it, as a `.gitignore` in /tmp would have.
"""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

MOST_PARENTS = 64


@dataclass(frozen=True, slots=True)
class Around:
    """`ignoring` are the files above a tree that say what git ignores in it, `repository` is the `.git`
    directory there; neither for a tree that is a repository itself, or in none.
    """

    ignoring: tuple[Path, ...] = ()
    repository: Path | None = None


def look_around(root: Path) -> Around:
    """What is above the directory `root` (absolute, without links), up to the top of its repository."""
    if _kind(root / ".git") is not None:
        return Around()
    trusted = {0, os.getuid(), root.stat().st_uid}
    found: list[Path] = []
    for above in root.parents[:MOST_PARENTS]:
        if _kind(above / ".gitignore", trusted) == stat.S_IFREG:
            found.append(above / ".gitignore")
        entry = _kind(above / ".git", trusted)
        if entry == stat.S_IFDIR:
            exclude = above / ".git" / "info" / "exclude"
            if _kind(exclude, trusted) == stat.S_IFREG:
                found.append(exclude)
            return Around(tuple(found), above / ".git")
        if entry == stat.S_IFREG:  # a worktree or a submodule, whose repository is elsewhere
            return Around(tuple(found))
    return Around()


def _kind(path: Path, owners: set[int] | None = None) -> int | None:
    """What is at `path`, if it belongs to one of `owners`; None for nothing."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return stat.S_IFMT(status.st_mode) if owners is None or status.st_uid in owners else None
