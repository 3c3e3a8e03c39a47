"""A task's own checkout: a repository of its own, whose history is read from the workspace's.

    checkouts/<task>/note.json   what it is: written last, so that without it there is no checkout
    checkouts/<task>/tree/       the files, with a .git of their own

Nothing of the workspace's repository but its objects is ever visible over the checkout, and those cannot be
written: no references, no configuration, no hooks, no index are shared, as they would be with `git worktree`.
git is run over it as over any repository that nobody vouches for (flynn.workspace.git).
"""

import asyncio
import json
import os
import stat
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final
from uuid import UUID

from flynn.telemetry.crash_point import reach
from flynn.workspace.checkout_script import ATTACH, MAKE, OUT, REFRESH, SEAL
from flynn.workspace.git import Git, GitFailed, Script, facts_of
from flynn.workspace.repository import Survey, commit_of
from flynn.workspace.scratch import remove_scratch

TRAILER: Final = "Flynn-Task"
_NOTE: Final = "note.json"
_NOTE_BYTES: Final = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a checkout is. `shared` is the branch's last commit that the workspace's repository has too.

    `head` is where the workspace was when it was made; `existing` that the branch was there;
    `handing` says that a hand-over has begun and was not seen to end, `objects` where its history is read.
    """

    task: str
    branch: str
    base: str
    head: str
    shared: str
    default_branch: str | None
    existing: bool = False
    handing: bool = False
    objects: str = ""

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
        await git.run(self.tree, MAKE, script)
        reach("checkout.after-make")
        note = Note(
            task=str(self.task_id),
            branch=branch,
            base=survey.start,
            head=survey.head,
            shared=survey.start,
            default_branch=survey.current,
            existing=survey.branch is not None,
            objects=str(objects),
        )
        await asyncio.to_thread(self.write, note)
        reach("checkout.noted")
        return note

    async def attach(self, git: Git, note: Note, objects: Path) -> Note:
        """Have the history read from `objects`: another machine has the volume elsewhere, a restored one too.

        Raises GitFailed, SandboxUnavailable.
        """
        if note.objects == str(objects):
            return note
        self.look()
        facts = {"OBJECTS": str(objects)}
        await git.run(self.tree, ATTACH, Script(facts=facts, writable=True))
        attached = replace(note, objects=str(objects))
        await asyncio.to_thread(self.write, attached)
        return attached

    async def refresh(self, git: Git, survey: Survey, note: Note, objects: Path) -> Note:
        """Take over what was committed to the branch elsewhere, where the checkout has nothing of its own."""
        self.look()
        if survey.branch in (None, note.shared):
            return note
        facts = {"BRANCH": note.branch, "SHARED": note.shared, "START": survey.start}
        done = await git.call(self.tree, REFRESH, Script(facts=facts, writable=True, shown=(objects,)))
        if done.exit_code != 0 or facts_of(done.output).get("moved") != survey.start:
            return note
        moved = replace(note, shared=survey.start)
        await asyncio.to_thread(self.write, moved)
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
        said = facts_of((await git.run(self.tree, SEAL, script)).output)
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
        if said.get("conflict"):
            remarks.append(
                "A merge was not finished: files with conflicts are committed as they are, marks and all."
            )
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


def settle_message(title: str, *, otherwise: str) -> str:
    """The first line of a commit that the service makes: one line, of a length that git shows whole.

    It is `otherwise` where nothing of `title` can be shown.
    """
    plain = " ".join("".join(c if c.isprintable() else " " for c in title).split()) or otherwise
    return plain if len(plain) <= 72 else f"{plain[:71].rstrip()}…"
