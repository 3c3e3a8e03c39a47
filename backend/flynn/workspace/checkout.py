"""A task's own checkout: a repository of its own, whose history is read from the workspace's.

    checkouts/<task>/note.json   what it is: written last, so that without it there is no checkout
    checkouts/<task>/tree/       the files, with a .git of their own

Nothing of the workspace's repository but its objects is ever visible over the checkout, and those cannot be
written: no references, no configuration, no hooks, no index are shared, as they would be with `git worktree`.
git is run over it as over any repository that nobody vouches for (flynn.workspace.git).
"""

import json
import os
import stat
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final
from uuid import UUID

from flynn.domain.errors import WorkspaceError
from flynn.telemetry.crash_point import reach
from flynn.workspace.git import Git, GitFailed, Script, facts_of
from flynn.workspace.repository import Survey, commit_of
from flynn.workspace.scratch import remove_scratch

TRAILER: Final = "Flynn-Task"
OUT: Final = "flynn-out"
"""The directory in .git in which what is handed over lies for a moment."""
BUNDLE: Final = "handover.bundle"
MOST_COMMITS: Final = 500
"""New commits up to which those without the trailer are given it."""
_NOTE: Final = "note.json"
_NOTE_BYTES: Final = 16_384

_UNLOCK = r"""
find "$GIT_DIR" -name '*.lock' ! -type d -exec rm -f {} +
"""
"""Whoever held a lock is gone: one run at a time works here, and its commands are dead when it is over."""

_MAKE: Final = r"""
set -eu
git init -q --object-format="$FORMAT" --template= "$GIT_WORK_TREE"
mkdir -p "$GIT_DIR/hooks" "$GIT_DIR/info" "$GIT_DIR/objects/info"
printf '%s\n' "$OBJECTS" >"$GIT_DIR/objects/info/alternates"
[ -z "$SHALLOW" ] || printf '%s\n' $SHALLOW >"$GIT_DIR/shallow"
printf '#!/bin/sh\nexec git interpret-trailers --in-place --if-exists addIfDifferent --trailer "%s" "$1"\n' \
  "$TRAILER: $TASK" >"$GIT_DIR/hooks/prepare-commit-msg"
chmod 755 "$GIT_DIR/hooks/prepare-commit-msg"
git update-ref "refs/heads/$BRANCH" "$START"
git symbolic-ref HEAD "refs/heads/$BRANCH"
[ -z "$DEFAULT" ] || git update-ref "refs/remotes/origin/$DEFAULT" "$HEAD"
git reset -q --hard
"""
_REFRESH: Final = rf"""
set -eu
{_UNLOCK}
[ "$(git symbolic-ref -q HEAD)" = "refs/heads/$BRANCH" ] || exit 0
[ "$(git rev-parse HEAD)" = "$SHARED" ] || exit 0
[ -z "$(git status --porcelain --ignore-submodules=all | head -c 1)" ] || exit 0
git merge-base --is-ancestor "$SHARED" "$START" || exit 0
git merge -q --ff-only "$START"
echo "moved $START"
"""
_SEAL: Final = rf"""
set -eu
{_UNLOCK}
out="$GIT_DIR/{OUT}"
rm -rf "$out"; mkdir "$out"
git add -A --ignore-errors 2>"$TMPDIR/add" || echo "partial yes"
nested=$(git diff --cached --raw --no-renames --no-abbrev | awk '$2 == "160000" && $1 != ":160000"' | wc -l)
echo "nested $nested"
if ! git diff --cached --quiet --no-ext-diff --ignore-submodules=none; then
  {{ printf '%s\n\n' "$SUBJECT"
    git diff --cached --name-status --no-renames --no-ext-diff | head -n 20
    printf '\n%s: %s\n' "$TRAILER" "$TASK"
  }} | git commit -q --no-verify --cleanup=verbatim -F -
fi
tip=$(git rev-parse HEAD)
branch="refs/heads/$BRANCH"
own=$(git rev-parse -q --verify "$branch^{{commit}}" || echo)
if [ "$(git symbolic-ref -q HEAD)" != "$branch" ]; then
  if [ -z "$own" ] || git merge-base --is-ancestor "$own" "$tip"; then
    git update-ref "$branch" "$tip"; git symbolic-ref HEAD "$branch"
  else tip=$own; echo "elsewhere yes"; fi
fi
new=$(git rev-list --count "$tip" --not $SHARED)
me="$GIT_COMMITTER_NAME <$GIT_COMMITTER_EMAIL>"
lacking=$(git rev-list --count --invert-grep --grep="^$TRAILER: $TASK\$" "$tip" --not $SHARED)
others=$(git log --format='%cn <%ce>' "$tip" --not $SHARED | grep -Fxvc "$me" || true)
if [ "$new" -gt 0 ] && [ "$new" -le {MOST_COMMITS} ] && [ $((lacking + others)) -gt 0 ]; then
  map=$(mktemp -d)
  last=$tip
  for old in $(git rev-list --topo-order --reverse "$tip" --not $SHARED); do
    parents=
    for parent in $(git log -1 --format=%P "$old"); do
      [ ! -f "$map/$parent" ] || parent=$(cat "$map/$parent")
      parents="$parents -p $parent"
    done
    last=$(git log -1 --format=%B "$old" \
      | git interpret-trailers --if-exists addIfDifferent --trailer "$TRAILER: $TASK" \
      | GIT_AUTHOR_NAME=$(git log -1 --format=%an "$old") GIT_AUTHOR_EMAIL=$(git log -1 --format=%ae "$old") \
        GIT_AUTHOR_DATE=$(git log -1 --format=%ad --date=raw "$old") \
        GIT_COMMITTER_DATE=$(git log -1 --format=%cd --date=raw "$old") \
        git commit-tree $parents -F - "$old^{{tree}}")
    echo "$last" >"$map/$old"
  done
  rm -rf "$map"
  git update-ref "$branch" "$last" "$tip"
  tip=$last
fi
echo "head $tip"
echo "new $new"
[ "$new" -eq 0 ] || git bundle create -q "$out/{BUNDLE}" "$branch" $(printf '^%s ' $SHARED)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a checkout is. `shared` is the branch's last commit that the workspace's repository has too.

    `head` is where the workspace was when it was made; `existing` that the branch was there;
    `handing` says that a hand-over has begun and was not seen to end.
    """

    task: str
    branch: str
    base: str
    head: str
    shared: str
    default_branch: str | None
    existing: bool = False
    handing: bool = False

    @property
    def known(self) -> str:
        """The commits that the workspace's repository has, for a script."""
        return " ".join(dict.fromkeys((self.shared, self.base, self.head)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """What was made ready: the branch's last commit, how many are new, and what has to be said of it."""

    head: str
    new: int
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who commits: the name of the agent, and an address that takes no mail."""

    name: str
    email: str

    def environment(self) -> dict[str, str]:
        """What git takes it from."""
        return {
            "GIT_AUTHOR_NAME": self.name,
            "GIT_AUTHOR_EMAIL": self.email,
            "GIT_COMMITTER_NAME": self.name,
            "GIT_COMMITTER_EMAIL": self.email,
        }


@dataclass(frozen=True, slots=True)
class Checkout:
    """The checkout of one task, at `place`; there need not be one yet."""

    place: Path
    task_id: UUID

    @property
    def tree(self) -> Path:
        """Where its files are."""
        return self.place / "tree"

    @property
    def out(self) -> Path:
        """Where a bundle lies while it is handed over."""
        return self.tree / ".git" / OUT

    def read(self) -> Note | None:
        """What it is; None when there is none, or one that was never finished."""
        try:
            with (self.place / _NOTE).open("rb") as file:
                return Note(**json.loads(file.read(_NOTE_BYTES)))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise GitFailed(f"The note of the checkout cannot be read: {error}.") from error

    def write(self, note: Note) -> None:
        """Say what it is, whole or not at all, on the disk."""
        staged = self.place / f".{_NOTE}"
        with staged.open("w", encoding="utf-8") as file:
            json.dump(asdict(note), file)
            file.flush()
            os.fsync(file.fileno())
        staged.replace(self.place / _NOTE)

    def clear(self, owner: tuple[int, int] | None) -> None:
        """Have an empty tree, of `owner` (uid, gid) where that is somebody else, and nothing beside it.

        Raises OSError. Blocks on the disk.
        """
        self.place.parent.mkdir(mode=0o711, exist_ok=True)
        remove(self.place)
        self.place.mkdir(mode=0o711)
        self.place.chmod(0o711)
        self.tree.mkdir(mode=0o700)
        if owner is not None:
            os.chown(self.tree, *owner, follow_symlinks=False)

    async def make(self, git: Git, survey: Survey, branch: str, objects: Path, *, quota: int | None) -> Note:
        """Fill the empty tree. Raises GitFailed, SandboxUnavailable."""
        facts = {
            "FORMAT": survey.object_format,
            "OBJECTS": str(objects),
            "SHALLOW": " ".join(survey.shallow),
            "BRANCH": branch,
            "START": survey.start,
            "HEAD": survey.head,
            "DEFAULT": survey.current or "",
            "TRAILER": TRAILER,
            "TASK": str(self.task_id),
        }
        reach("checkout.before-make")
        script = Script(facts=facts, writable=True, shown=(objects,), quota_bytes=quota)
        await git.run(self.tree, _MAKE, script)
        reach("checkout.after-make")
        note = Note(
            task=str(self.task_id),
            branch=branch,
            base=survey.start,
            head=survey.head,
            shared=survey.start,
            default_branch=survey.current,
            existing=survey.branch is not None,
        )
        self.write(note)
        reach("checkout.noted")
        return note

    async def refresh(self, git: Git, survey: Survey, note: Note, objects: Path) -> Note:
        """Take over what was committed to the branch elsewhere, where the checkout has nothing of its own."""
        self.look()
        if survey.branch in (None, note.shared):
            return note
        facts = {"BRANCH": note.branch, "SHARED": note.shared, "START": survey.start}
        done = await git.call(self.tree, _REFRESH, Script(facts=facts, writable=True, shown=(objects,)))
        if done.exit_code != 0 or facts_of(done.output).get("moved") != survey.start:
            return note
        moved = replace(note, shared=survey.start)
        self.write(moved)
        return moved

    async def seal(
        self, git: Git, note: Note, objects: Path, *, identity: Identity, subject: str, quota: int | None
    ) -> Sealed:
        """Commit what is not committed, give each new commit its trailer, and lay them ready in a bundle.

        Raises GitFailed, SandboxUnavailable.
        """
        self.look()
        facts = {
            **identity.environment(),
            "BRANCH": note.branch,
            "SHARED": note.known,
            "SUBJECT": subject,
            "TRAILER": TRAILER,
            "TASK": str(self.task_id),
        }
        script = Script(facts=facts, writable=True, shown=(objects,), quota_bytes=quota)
        said = facts_of((await git.run(self.tree, _SEAL, script)).output)
        new, nested = said.get("new", ""), said.get("nested", "").strip()
        if not new.isdecimal() or len(new) > 9:
            raise GitFailed("git did not say how many commits there are.")
        remarks: list[str] = []
        if nested.isdecimal() and int(nested):
            remarks.append(
                "Repositories within the checkout are only named by their commit, not handed over."
            )
        if said.get("partial"):
            remarks.append("Some files could not be read, and are not committed.")
        if said.get("elsewhere"):
            remarks.append("The checkout was left on another branch; what is on that one is not handed over.")
        return Sealed(head=commit_of(said.get("head", "")), new=int(new), remarks=tuple(remarks))

    def look(self) -> None:
        """Raise GitFailed unless .git is a directory: a command may have replaced it."""
        for path in (self.tree, self.tree / ".git"):
            try:
                kind = os.lstat(path).st_mode
            except OSError as error:
                raise GitFailed("The checkout has lost its .git.") from error
            if not stat.S_ISDIR(kind):
                raise GitFailed("The .git of the checkout was replaced by something else.")


def remove(place: Path) -> None:
    """Remove a checkout and all that is in it, however deep; nothing where there is none. Raises OSError."""
    for inner in (place / _NOTE, place / f".{_NOTE}"):
        inner.unlink(missing_ok=True)
    for directory in (place / "tree", place):
        try:
            remove_scratch(directory)
        except FileNotFoundError:
            continue


def settle_message(title: str) -> str:
    """The first line of a commit that the service makes: one line, of a length that git shows whole."""
    plain = " ".join("".join(c if c.isprintable() else " " for c in title).split())
    if not plain:
        raise WorkspaceError("A commit needs a title.")
    return plain if len(plain) <= 72 else f"{plain[:71].rstrip()}…"
