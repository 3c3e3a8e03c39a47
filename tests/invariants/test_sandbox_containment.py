"""Nothing outside the workspace is read, written or reached by a command, on each backend there is.

What single doors do is in tests/sandbox/. Here a hostile workspace works against the sandbox over time: it
races the set-up of the next command, leaves processes to outlive their call, and tries every door at once.
"""

import asyncio
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from flynn.domain.errors import SandboxUnavailable
from flynn.sandbox.command import Command, Sandbox
from flynn.sandbox.opening import Preference, open_sandbox

BACKENDS = [
    pytest.param("bubblewrap", marks=pytest.mark.needs("bubblewrap")),
    pytest.param("landlock", marks=pytest.mark.needs("landlock")),
]
SECRET = "the-secret-outside"


@pytest.fixture(params=BACKENDS)
async def sandbox(request: pytest.FixtureRequest, tmp_path: Path) -> Sandbox:
    backend: Preference = request.param
    opened = await open_sandbox(private_root=tmp_path / "private", prefer=backend)
    assert opened.report.backend == backend
    return opened


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    path = tmp_path / "outside"
    (path / "hooks").mkdir(parents=True)
    for name in ("secret", "config", "HEAD", "hooks/secret"):
        (path / name).write_text(SECRET)
    return path


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    path = tmp_path / "workspace"
    path.mkdir()
    return path


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server.getsockname()[1]
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.fixture
def neighbour() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(["/bin/sleep", "60"]) as process:
        yield process
        process.kill()


async def appears(path: Path) -> None:
    for _ in range(500):
        if os.access(path, os.F_OK):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{path} does not appear")


def contents(directory: Path) -> dict[str, str]:
    return {str(path): path.read_text() for path in directory.rglob("*") if path.is_file()}


async def test_every_door_at_once(
    sandbox: Sandbox, workspace: Path, outside: Path, listener: int, neighbour: "subprocess.Popen[bytes]"
) -> None:
    before = contents(outside)
    script = f"""
ln -s {outside} out; ln -s / root; ln -s /proc/{os.getpid()}/root slash
for place in {outside} out root{outside} slash{outside} ../outside /proc/*/root{outside}; do
  cat $place/secret; ls $place; echo planted > $place/secret; echo planted > $place/planted
  rm -rf $place; mv $place moved; ln $place/secret hard; cp -r $place copy
done
exec 3<>/dev/tcp/127.0.0.1/{listener} && echo planted >&3
kill -9 {neighbour.pid}
unshare -Ur cat {outside}/secret; nsenter -t {os.getpid()} -m cat {outside}/secret
chroot root cat {outside}/secret; mount --bind {outside} . && cat secret
find / -maxdepth 5 -name secret -exec cat {{}} + 2>/dev/null; true
"""
    done = await sandbox.run(Command(argv=("/bin/bash", "-c", script), workspace=workspace))
    assert neighbour.poll() is None
    assert done.exit_code == 0
    assert SECRET.encode() not in done.output
    assert contents(outside) == before


@pytest.mark.slow
@pytest.mark.parametrize("victim", [".git", ".git/hooks", ".git/config"])
async def test_exchanging_git_for_a_link_while_commands_start(
    sandbox: Sandbox, workspace: Path, outside: Path, victim: str
) -> None:
    """One command, begun before there was a .git to protect, races the set-up of all the others."""
    before = contents(outside)
    target = outside if victim == ".git" else outside / Path(victim).name
    racer = f"""
mkdir -p .git/hooks; echo ref > .git/HEAD; echo '[core]' > .git/config; touch raced
while :; do mv {victim} away; ln -s {target} {victim}; rm {victim}; mv away {victim}; done 2>/dev/null
"""
    racing = asyncio.create_task(sandbox.run(Command(argv=("/bin/bash", "-c", racer), workspace=workspace)))
    await appears(workspace / "raced")
    script = (
        f"cat .git/secret .git/hooks/secret .git/config {outside}/*; echo x | tee .git/config .git/hooks/p"
    )
    for _ in range(25):
        command = Command(argv=("/bin/bash", "-c", script), workspace=workspace)
        try:
            done = await sandbox.run(command)
        except SandboxUnavailable:
            continue  # the set-up met the exchange half-way, and ran nothing
        assert SECRET.encode() not in done.output
    racing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await racing
    assert contents(outside) == before


async def test_nothing_of_a_command_outlives_it_to_see_the_next(sandbox: Sandbox, workspace: Path) -> None:
    """A process left behind could wait for what later commands write."""
    leave = "(setsid --fork bash -c 'while :; do cat later >> stolen; sleep 0.01; done' >/dev/null 2>&1 &)"
    await sandbox.run(Command(argv=("/bin/bash", "-c", leave), workspace=workspace))
    await sandbox.run(Command(argv=("/bin/bash", "-c", "echo words > later; sleep 0.2"), workspace=workspace))
    stolen = workspace / "stolen"
    assert not stolen.exists() or stolen.read_text() == ""


async def test_without_a_sandbox_there_is_no_process(tmp_path: Path, workspace: Path) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    refusing = await open_sandbox(private_root=tmp_path / "p", prefer="bubblewrap", bwrap=broken)
    assert refusing.report.backend is None
    with pytest.raises(SandboxUnavailable, match="no command can run here"):
        await refusing.run(Command(argv=("/usr/bin/touch", "ran"), workspace=workspace))
    assert contents(workspace) == {}
