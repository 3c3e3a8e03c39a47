"""What git would run or obey later, outside the sandbox, cannot be planted from inside (bubblewrap)."""

from pathlib import Path

import pytest

from flynn.sandbox.command import Command, Completed
from tests.sandbox.conftest import Open, Shell

pytestmark = [pytest.mark.needs("bubblewrap"), pytest.mark.needs("git")]


@pytest.fixture
def shell(opened: Open, workspace: Path) -> Shell:
    async def run(script: str) -> Completed:
        return await (await opened("bubblewrap")).run(
            Command(argv=("bash", "-c", script), workspace=workspace)
        )

    return run


@pytest.fixture
async def repository(shell: Shell, workspace: Path) -> Path:
    script = "git init -q . && git config user.name x && git config user.email x@y"
    assert (await shell(script)).exit_code == 0
    return workspace / ".git"


def content(path: Path) -> bytes:
    return path.read_bytes()


async def test_hooks_and_config_cannot_be_written(shell: Shell, repository: Path) -> None:
    before = content(repository / "config")
    done = await shell(
        "echo evil > .git/hooks/pre-commit; echo evil >> .git/config; git config core.fsmonitor evil;"
        "rm -rf .git/hooks; mv .git/hooks .git/h; mv .git/config .git/c; chmod 777 .git/config; true"
    )
    assert done.output.count(b"Read-only file system") + done.output.count(b"busy") >= 5, done.output
    assert content(repository / "config") == before
    assert not (repository / "hooks" / "pre-commit").exists()


@pytest.mark.parametrize(
    "trick", ["mv .git moved", "rm -rf .git", "mkdir n && mv .git n/", "ln -sfT /tmp .git"]
)
async def test_the_repository_cannot_be_moved_away(shell: Shell, repository: Path, trick: str) -> None:
    await shell(f"{trick}; mkdir -p .git/hooks; echo evil > .git/hooks/pre-commit")
    assert (repository / "hooks").is_dir()
    assert not (repository / "hooks" / "pre-commit").exists()
    assert b"evil" not in content(repository / "config")


async def test_commits_branches_and_stashes_still_work(shell: Shell, repository: Path) -> None:
    done = await shell(
        "echo 1 > a && git add a && git commit -qm one && git switch -qc topic && echo 2 > a &&"
        "git stash -q && git stash pop -q && git commit -qam two && git gc -q &&"
        "git log --format=%s && git status --short"
    )
    assert (done.exit_code, done.output) == (0, b"two\none\n")


async def test_missing_hooks_cannot_be_created(shell: Shell, repository: Path) -> None:
    for path in (repository / "hooks").iterdir():
        path.unlink()
    (repository / "hooks").rmdir()
    await shell("mkdir -p .git/hooks; echo evil > .git/hooks/pre-commit")
    assert not list((repository / "hooks").iterdir())


async def test_a_gitdir_file_cannot_be_redirected(shell: Shell, workspace: Path, tmp_path: Path) -> None:
    """As in a worktree or a submodule."""
    (workspace / ".git").write_text("gitdir: elsewhere\n")
    await shell("echo 'gitdir: evil' > .git; rm -f .git; mv .git x")
    assert content(workspace / ".git") == b"gitdir: elsewhere\n"


async def test_planted_links_lead_nowhere(shell: Shell, repository: Path, tmp_path: Path) -> None:
    """A link in place of hooks must not make bubblewrap show what it points at."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("the-secret")
    for path in (repository / "hooks").iterdir():
        path.unlink()
    (repository / "hooks").rmdir()
    (repository / "hooks").symlink_to("../../outside")
    done = await shell("cat .git/hooks/secret ../outside/secret; echo ran")
    assert b"the-secret" not in done.output
    assert done.output.endswith(b"ran\n")
