"""A directory of a repository: what is ignored above it is ignored in it, as git has it, and nobody else."""

import asyncio
import os
import subprocess
from pathlib import Path

import pytest

from flynn.sandbox.command import Sandbox
from flynn.sandbox.opening import open_sandbox
from flynn.workspace.checks.around import Around, look_around
from flynn.workspace.checks.listing import list_files
from flynn.workspace.root import Workspace
from tests.workspace.plant import plant

FILES = {
    ".gitignore": "*.log\n/web/dist/\n/web/app/cache\nother/secret.txt\n!keep.log\ntracked.txt\n",
    "web/.gitignore": "tmp*\n/app/local.env\n!/app/tmp-kept\n",
    "web/app/.gitignore": "*.bak\n",
    "web/app/a.py": "",
    "web/app/a.log": "",
    "web/app/keep.log": "",
    "web/app/a.bak": "",
    "web/app/tmp1": "",
    "web/app/tmp-kept": "",
    "web/app/local.env": "",
    "web/app/cache/x": "",
    "web/app/private/x": "",
    "web/app/dist/kept": "",
    "web/app/other/secret.txt": "",
    "web/app/deep/tmp2/x": "",
    "web/app/tracked.txt": "",
    "web/dist/x": "",
}
SEEN = [
    *(".gitignore", "a.py", "dist/kept", "keep.log", "other/secret.txt", "tmp-kept", "tracked.txt"),
]


def git(root: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", *words],
        cwd=root,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.fixture(scope="module", params=["bubblewrap", "landlock"])
def sandbox(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    private = tmp_path_factory.mktemp("private")
    return asyncio.run(open_sandbox(private_root=private, prefer=request.param))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = plant(tmp_path.resolve() / "repository", FILES)
    git(root, "init", "-q")
    (root / ".git" / "info").mkdir(exist_ok=True)
    (root / ".git" / "info" / "exclude").write_text("private/\n")
    git(root, "add", "-f", "web/app/tracked.txt")
    return root


async def listed(root: Path, sandbox: Sandbox) -> list[str]:
    with Workspace.open(root) as workspace:
        listing = await list_files(workspace, sandbox)
    assert listing.notes == ()
    return list(listing.sources.paths)


@pytest.mark.needs("bubblewrap", "landlock")
async def test_a_directory_is_seen_as_git_sees_it(repository: Path, sandbox: Sandbox) -> None:
    found = await listed(repository / "web" / "app", sandbox)
    assert found == SEEN
    said = git(repository / "web" / "app", "ls-files", "--cached", "--others", "--exclude-standard")
    assert sorted(said.split()) == found


@pytest.mark.needs("bubblewrap", "landlock")
async def test_what_is_above_a_repository_says_nothing(repository: Path, sandbox: Sandbox) -> None:
    (repository.parent / ".gitignore").write_text("*\n")
    assert await listed(repository / "web" / "app", sandbox) == SEEN
    # Nor above a directory that is in none, and what is a repository itself has nothing above it.
    alone = plant(repository.parent / "alone" / "here", {"a.log": "", "b": ""})
    assert await listed(alone, sandbox) == ["a.log", "b"]
    nested = plant(repository / "web" / "nested", {"a.log": "", "b": ""})
    git(nested, "init", "-q")
    assert await listed(nested, sandbox) == ["a.log", "b"]


def test_links_and_worktrees(repository: Path) -> None:
    inner = repository / "web" / "app"
    whole = look_around(inner)
    assert whole.repository == repository / ".git"
    assert whole.ignoring == (
        repository / "web" / ".gitignore",
        repository / ".gitignore",
        repository / ".git" / "info" / "exclude",
    )
    assert look_around(repository) == Around()
    (repository / "web" / ".gitignore").unlink()
    (repository / "web" / ".gitignore").symlink_to("/etc/passwd")
    assert repository / "web" / ".gitignore" not in look_around(inner).ignoring
    (repository / ".git").rename(repository.parent / "elsewhere")
    (repository / ".git").write_text("gitdir: ../elsewhere\n")
    assert look_around(inner) == Around(ignoring=(repository / ".gitignore",))
    (repository / ".git").unlink()
    assert look_around(inner) == Around()


@pytest.mark.needs("root")
def test_what_another_user_put_there_has_no_say(repository: Path) -> None:
    inner = repository / "web" / "app"
    os.chown(repository / ".gitignore", 12345, 12345)
    assert repository / ".gitignore" not in look_around(inner).ignoring
    os.chown(repository / ".git", 12345, 12345)
    assert look_around(inner) == Around()
    os.chown(inner, 12345, 12345)
    assert repository / ".gitignore" in look_around(inner).ignoring
