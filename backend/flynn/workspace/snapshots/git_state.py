"""Where git stands in a workspace: what HEAD says, the commit of its branch, and digests of refs and index.

Read as plain files, beneath the workspace and bounded; git is not run. It is told with what a call changed,
and never set back: commits are not lost by an undo of files.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from flynn.domain.errors import WorkspaceError
from flynn.workspace.root import Workspace
from flynn.workspace.tree import walk

_MOST: Final = 32 * 2**20
_MOST_REFS: Final = 2_000
_REFERENCE: Final = re.compile(r"ref: (refs/[^\s\x00-\x1f]{1,250})\s*")
_COMMIT: Final = re.compile(r"([0-9a-f]{40}|[0-9a-f]{64})\s*")


@dataclass(frozen=True, slots=True)
class GitState:
    """`head` is the branch (`refs/heads/main`) or commit that HEAD names; `refs` and `index` are digests."""

    head: str
    commit: str | None
    refs: str
    index: str | None


def look_at_git(workspace: Workspace) -> GitState | None:
    """Where git stands; None when the workspace is no repository that keeps its own data in `.git`."""
    told = _text(workspace, ".git/HEAD")
    if told is None:
        return None
    if branch := _REFERENCE.fullmatch(told):
        head, commit = branch[1], _commit(workspace, branch[1])
    elif detached := _COMMIT.fullmatch(told):
        head = commit = detached[1]
    else:
        return None
    refs = sha256()
    for path in _refs(workspace):
        refs.update(path.encode("utf-8", "surrogateescape") + b"\0")
        refs.update((_content(workspace, path) or "").encode("ascii") + b"\0")
    return GitState(head, commit, refs.hexdigest(), _content(workspace, ".git/index"))


def _refs(workspace: Workspace) -> Iterator[str]:
    yield ".git/packed-refs"
    try:
        for count, leaf in enumerate(walk(workspace, ".git/refs", skip=frozenset())):
            if count >= _MOST_REFS:
                return
            yield leaf.path
    except WorkspaceError:
        return  # a repository without loose refs


def _commit(workspace: Workspace, branch: str) -> str | None:
    loose = _text(workspace, f".git/{branch}")
    if loose is not None and (found := _COMMIT.fullmatch(loose)):
        return found[1]
    for line in (_text(workspace, ".git/packed-refs") or "").splitlines():
        digest, _, name = line.partition(" ")
        if name == branch and (found := _COMMIT.fullmatch(digest)):
            return found[1]
    return None


def _read(workspace: Workspace, path: str) -> tuple[bytes, str] | None:
    try:
        with workspace.locate(path, follow=False) as entry:
            content = entry.read(_MOST)
    except (WorkspaceError, OSError):
        return None
    return content.data, content.sha256


def _text(workspace: Workspace, path: str) -> str | None:
    found = _read(workspace, path)
    return None if found is None else found[0].decode("utf-8", "replace")


def _content(workspace: Workspace, path: str) -> str | None:
    found = _read(workspace, path)
    return None if found is None else found[1]
