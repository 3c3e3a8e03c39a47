"""A hostile task in its own checkout: nothing that it does has an effect on the workspace's repository.

Real git in the real sandbox, on both backends. Controls show that the attack works where the protection is
left out.
"""

import asyncio
import hashlib
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import pytest

from flynn.domain.errors import SandboxUnavailable, WorkspaceError
from flynn.sandbox.command import Command, Completed, Sandbox
from flynn.sandbox.opening import Preference, open_sandbox
from flynn.workspace.checkout import Checkout, Identity, Note
from flynn.workspace.git import Git
from flynn.workspace.handover import HandedOver, hand_over, kept_at
from flynn.workspace.quota import Meter, Quota
from flynn.workspace.repository import objects_of, survey
from flynn.workspace.root import Workspace

BACKENDS = [
    pytest.param("bubblewrap", marks=pytest.mark.needs("bubblewrap")),
    pytest.param("landlock", marks=pytest.mark.needs("landlock")),
]
OURS = (".git/objects", ".git/refs/flynn", ".git/refs/heads/topic", ".git/logs/refs/heads/topic")
IDENTITY = Identity(name="flynn-dev", email="flynn@noreply.invalid")
pytestmark = pytest.mark.needs("git")


def git(tree: Path, *words: str) -> str:
    return subprocess.run(
        ["git", "-c", "safe.directory=*", "-c", "user.name=p", "-c", "user.email=p@q", *words],
        cwd=tree,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


@dataclass
class Scene:
    sandbox: Sandbox
    main: Path
    checkout: Checkout
    note: Note
    quota: int | None = None

    @property
    def git(self) -> Git:
        return Git(sandbox=self.sandbox)

    async def attack(self, script: str, *, shown: bool = True) -> Completed:
        """What a task's Bash would run."""
        return await self.sandbox.run(
            Command(
                argv=("/bin/bash", "-c", script, "bash"),
                workspace=self.checkout.tree,
                environment={**IDENTITY.environment(), "MAIN": str(self.main)},
                shown=(objects_of(self.main),) if shown else (),
                timeout_seconds=60,
            )
        )

    async def leave(self) -> HandedOver | str:
        """Hand over; gives what came of it, or why nothing did."""
        quota = None if self.quota is None else Quota(self.quota, Meter())
        try:
            sealed = await self.checkout.seal(
                self.git,
                self.note,
                objects_of(self.main),
                identity=IDENTITY,
                subject="The rest",
                quota=None,
            )
            with Workspace.open(self.main, quota=quota) as workspace:
                return await hand_over(
                    workspace, self.checkout, self.note, sealed, self.git, identity=IDENTITY
                )
        except (WorkspaceError, SandboxUnavailable) as error:
            return error.detail

    def state(self) -> dict[str, str]:
        """Everything of the main repository that is not an object or a reference of the task's."""
        found = {}
        for path in sorted(self.main.rglob("*")):
            name = str(path.relative_to(self.main))
            if name.startswith(OURS):
                continue
            if path.is_symlink():
                found[name] = f"-> {path.readlink()}"
            elif path.is_file():
                found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        return {name: digest for name, digest in found.items() if name != ".git/index"}


@pytest.fixture(scope="session")
def known() -> dict[Preference, Sandbox]:
    """Each backend once for all tests: a sandbox belongs to no event loop."""
    return {}


@pytest.fixture(params=BACKENDS)
async def sandbox(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    known: dict[Preference, Sandbox],
) -> Sandbox:
    backend: Preference = request.param
    if backend not in known:
        known[backend] = await open_sandbox(private_root=tmp_path_factory.mktemp("private"), prefer=backend)
    return known[backend]


@pytest.fixture
def public() -> Iterator[Path]:
    """A directory that every user can walk to."""
    path = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    path.chmod(0o755)
    yield path
    subprocess.run(["rm", "-rf", str(path)], check=True)


@pytest.fixture(params=[0, 20_777], ids=["own", "other"])
async def scene(request: pytest.FixtureRequest, sandbox: Sandbox, public: Path) -> AsyncIterator[Scene]:
    """A repository with a checkout, of this process's uid or, where it is root, of another one's."""
    if request.param and os.getuid() != 0:
        pytest.skip("only root has workspaces of others")
    main = public / "main"
    main.mkdir()
    git(main, "init", "-qb", "main")
    (main / "a.txt").write_text("a\n")
    git(main, "add", "-A")
    git(main, "commit", "-qm", "one")
    git(main, "branch", "release")
    owner = (request.param, request.param) if request.param else None
    if owner:
        for path in (main, *main.rglob("*")):
            os.chown(path, *owner, follow_symlinks=False)
    task = uuid4()
    checkout = Checkout(public / "checkouts" / str(task), task)
    checkout.clear(owner)
    with Workspace.open(main) as workspace:
        found = await survey(workspace, Git(sandbox=sandbox), "topic")
        note = await checkout.make(Git(sandbox=sandbox), found, "topic", objects_of(main), quota=None)
        yield Scene(sandbox, main, checkout, note)


ATTACKS = {
    "hooks": 'echo "#!/bin/sh" > "$MAIN/.git/hooks/post-checkout"',
    "config": 'echo "[core] fsmonitor = evil" >> "$MAIN/.git/config"',
    "reference": 'echo $(git rev-parse HEAD) > "$MAIN/.git/refs/heads/evil"',
    "git over it": 'git --git-dir="$MAIN/.git" update-ref refs/heads/main HEAD~1',
    "object": 'd=$(ls -d "$MAIN"/.git/objects/?? | head -1); echo x > "$d/evil"; rm -rf "$d"; mv "$d" "$d.x"',
    "alternate": 'echo /tmp > "$MAIN/.git/objects/info/alternates"',
    "push": 'git push "$MAIN" HEAD:main',
    "linked in": 'ln "$MAIN"/.git/objects/*/* .git/objects/; ln -s "$MAIN/.git" got; echo x > got/config',
    "working files": 'echo evil > "$MAIN/a.txt"; rm -rf "$MAIN/a.txt"',
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ATTACKS)
async def test_nothing_of_the_main_repository_can_be_written(scene: Scene, name: str) -> None:
    before = scene.state()
    objects = git(scene.main, "cat-file", "--batch-all-objects", "--batch-check")
    await scene.attack(ATTACKS[name])
    assert scene.state() == before
    assert git(scene.main, "cat-file", "--batch-all-objects", "--batch-check") == objects
    assert not (scene.main / ".git/objects/info/alternates").exists()
    assert git(scene.main, "fsck", "--strict") == ""


async def test_control_the_same_words_do_it_where_nothing_is_in_the_way(scene: Scene) -> None:
    before = scene.state()
    words = ["bash", "-c", ATTACKS["hooks"]]
    await asyncio.to_thread(subprocess.run, words, env={**os.environ, "MAIN": str(scene.main)}, check=True)
    assert scene.state() != before


async def test_control_nothing_but_objects_is_seen(scene: Scene) -> None:
    done = await scene.attack('ls "$MAIN/.git/objects" && ! cat "$MAIN/.git/config" && ! cat "$MAIN/a.txt"')
    assert done.exit_code == 0, done.output
    done = await scene.attack('ls "$MAIN/.git/objects"', shown=False)
    assert done.exit_code != 0


# What a task may leave behind in its own checkout; all of it is git's to obey when it is handed over.
POISON = {
    "fsmonitor": 'git config core.fsmonitor "touch $PWD/ran; echo evil > $MAIN/evil #"',
    "hooks path": (
        'mkdir h; printf "#!/bin/sh\\necho evil > $MAIN/evil\\n" > h/pre-commit; chmod +x h/*;'
        "git config core.hooksPath $PWD/h"
    ),
    "include": 'printf "[core]\\nhooksPath=/tmp\\n" > inc; git config include.path $PWD/inc',
    "alias": 'git config alias.add "!echo evil > $MAIN/evil"',
    "filter": 'git config filter.x.clean "cat; echo evil > $MAIN/evil"; echo "* filter=x" > .gitattributes',
    "uploadpack": 'git config uploadpack.packObjectsHook "echo evil > $MAIN/evil #"',
    "environment": 'printf "#!/bin/sh\\necho evil > $MAIN/evil\\n" > git; chmod +x git',
    "linked git": 'mv .git moved; ln -s "$MAIN/.git" .git',
    "linked away": "mv .git moved; ln -s moved .git",
    "replaced git": "rm -rf .git; git init -q .; git commit -q --allow-empty -m other",
    "file git": 'mv .git moved; echo "gitdir: $MAIN/.git" > .git',
    "common directory": 'echo "$MAIN/.git" > .git/commondir',
    "work tree": 'git config core.worktree "$MAIN"',
    "alternates": "echo /etc > .git/objects/info/alternates",
    "bundle": "rm -rf .git/flynn-out; ln -s /etc .git/flynn-out",
    "other references": "git branch -f main HEAD; git tag v1; git update-ref refs/heads/release HEAD",
    "locks": "touch .git/index.lock .git/HEAD.lock .git/refs/heads/topic.lock .git/packed-refs.lock",
    "replacement": "c=$(git commit-tree -m evil HEAD^{tree}); git replace HEAD $c",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", POISON)
async def test_what_is_planted_in_the_checkout_has_no_effect_outside(scene: Scene, name: str) -> None:
    before = scene.state()
    await scene.attack(f"echo work > work.txt; {POISON[name]}")
    came = await scene.leave()
    assert scene.state() == before, came
    assert not (scene.main / "evil").exists()
    assert git(scene.main, "rev-parse", "main", "release").split() == [scene.note.base] * 2
    assert git(scene.main, "tag") == ""
    assert git(scene.main, "fsck", "--strict") == ""
    if name in ("locks", "other references", "fsmonitor", "alias", "environment", "uploadpack"):
        assert isinstance(came, HandedOver), came
        assert came.outcome == "updated"
        assert git(scene.main, "show", "topic:work.txt") == "work"


async def test_a_bundle_that_was_forged_moves_no_other_branch(scene: Scene) -> None:
    """The hand-over takes one reference, forwards, with the trailer; whatever else the bundle names."""
    await scene.attack("echo work > work.txt")
    sealed = await scene.checkout.seal(
        scene.git, scene.note, objects_of(scene.main), identity=IDENTITY, subject="x", quota=None
    )
    forged = (
        "c=$(git commit-tree -m evil HEAD^{tree}); git update-ref refs/heads/topic $c;"
        "git update-ref refs/heads/main $c; git bundle create -q .git/flynn-out/handover.bundle main topic;"
        "echo $c"
    )
    tip = (await scene.attack(forged)).output.decode().strip().splitlines()[-1]
    before = scene.state()
    with Workspace.open(scene.main) as workspace:
        said = type(sealed)(head=tip, new=1, remarks=())
        came = await hand_over(workspace, scene.checkout, scene.note, said, scene.git, identity=IDENTITY)
    assert came.outcome == "kept"
    assert "which task" in (came.detail or "")
    assert scene.state() == before
    assert git(scene.main, "rev-parse", "main") == scene.note.base
    assert git(scene.main, "for-each-ref", "--format=%(refname)", "refs/heads/topic") == ""
    assert git(scene.main, "rev-parse", kept_at(scene.checkout)) == tip


async def test_objects_that_became_a_link_are_not_shown(scene: Scene, public: Path) -> None:
    """Somebody in the workspace exchanges the objects for a link to what the service may read."""
    secret = public / "secret"
    secret.mkdir(mode=0o700)
    (secret / "key").write_text("the-secret")
    objects = objects_of(scene.main)
    objects.rename(objects.with_name("gone"))
    objects.symlink_to(secret)
    with pytest.raises(SandboxUnavailable):
        await scene.attack('cat "$MAIN/.git/objects/key"')
    done = await scene.attack('cat "$MAIN/.git/objects/key"', shown=False)
    assert b"the-secret" not in done.output


@pytest.mark.slow
async def test_what_is_larger_than_the_workspace_may_take_stays_outside(scene: Scene) -> None:
    await scene.attack("head -c 6000000 /dev/urandom > big")
    scene.quota = 4_000_000
    came = await scene.leave()
    assert isinstance(came, str), came
    assert git(scene.main, "for-each-ref", "--format=%(refname)") == "refs/heads/main\nrefs/heads/release"
    scene.quota = 40_000_000
    again = await scene.leave()
    assert isinstance(again, HandedOver)
    assert again.outcome == "updated"


@pytest.mark.slow
async def test_somebody_elses_lock_is_named_and_left(scene: Scene) -> None:
    await scene.attack("echo work > work.txt")
    lock = scene.main / ".git/refs/heads/topic.lock"
    lock.touch()
    came = await scene.leave()
    assert isinstance(came, HandedOver)
    assert (came.outcome, lock.exists()) == ("kept", True)
    assert "lock" in (came.detail or "")
    lock.unlink()
    again = await scene.leave()
    assert isinstance(again, HandedOver)
    assert again.outcome == "updated"


@pytest.mark.slow
async def test_a_lock_that_a_killed_hand_over_left_behind_blocks_nothing(scene: Scene) -> None:
    await scene.attack("echo work > work.txt")
    for name in ("refs/heads/topic.lock", f"{kept_at(scene.checkout)}.lock"):
        lock = scene.main / ".git" / name
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()
        stat = scene.main.stat()
        for made in (lock, *lock.parents):
            if made.is_relative_to(scene.main / ".git" / "refs"):
                os.chown(made, stat.st_uid, stat.st_gid)
    scene.note = replace(scene.note, handing=True)
    came = await scene.leave()
    assert isinstance(came, HandedOver)
    assert came.outcome == "updated"
    assert list((scene.main / ".git").rglob("*.lock")) == []
