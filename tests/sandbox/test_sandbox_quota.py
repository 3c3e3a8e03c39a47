"""What a workspace and a private tmp may hold, counted while a command fills them."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from flynn.sandbox.command import Command, Completed, Sandbox
from flynn.sandbox.limits import Limits
from flynn.sandbox.opening import Preference, open_sandbox
from flynn.workspace.scratch import remove_scratch
from tests.sandbox.conftest import BACKENDS, Open

pytestmark = pytest.mark.slow

MIB = 2**20
REASON = "the workspace holds more than its quota of 64 MiB"


LATER = "sleep 1; "
"""So that the first count comes before: what was there then is not blamed on the command."""


async def fill(sandbox: Sandbox, workspace: Path, script: str, **options: int) -> Completed:
    bound = options.pop("quota_bytes", 64 * MIB)
    command = Command(
        argv=("bash", "-c", LATER + script), workspace=workspace, quota_bytes=bound, timeout_seconds=20
    )
    return await sandbox.run(command)


def held(directory: Path) -> int:
    return int(subprocess.check_output(["du", "-sB1", str(directory)]).split()[0])


async def test_growing_beyond_the_quota_ends_the_command(sandbox: Sandbox, workspace: Path) -> None:
    done = await fill(
        sandbox, workspace, "i=0; while :; do i=$((i + 1)); head -c 8M /dev/zero > $i; sleep 0.05; done"
    )
    assert (done.exit_code, done.kill_reason) == (None, REASON)
    assert held(workspace) > 64 * MIB


async def test_within_the_quota_nothing_happens(sandbox: Sandbox, workspace: Path) -> None:
    done = await fill(sandbox, workspace, "head -c 40M /dev/zero > a; sleep 1; echo fine")
    assert (done.exit_code, done.output) == (0, b"fine\n")


async def test_without_a_quota_nothing_is_counted(sandbox: Sandbox, workspace: Path) -> None:
    command = Command(argv=("bash", "-c", "head -c 80M /dev/zero > a; sleep 1"), workspace=workspace)
    assert (await sandbox.run(command)).exit_code == 0


async def test_holes_are_free_and_hard_links_count_once(sandbox: Sandbox, workspace: Path) -> None:
    script = "truncate -s 200M hole; head -c 40M /dev/zero > a; for i in 1 2 3 4; do ln a l$i; done; sleep 1"
    assert (await fill(sandbox, workspace, script)).exit_code == 0


async def test_what_is_too_full_already_may_be_emptied_but_not_filled(
    sandbox: Sandbox, workspace: Path
) -> None:
    (workspace / "old").write_bytes(bytes(100 * MIB))
    done = await fill(sandbox, workspace, "rm old; sleep 1; echo emptied")
    assert (done.exit_code, done.output) == (0, b"emptied\n")
    (workspace / "old").write_bytes(bytes(100 * MIB))
    done = await fill(sandbox, workspace, "head -c 10M /dev/zero > more; sleep 8")
    assert done.kill_reason == REASON


HIDDEN = "mkdir d; head -c 80M /dev/zero > d/a; chmod 000 d; sleep 5"
NAMELESS = "exec 3> a; rm a; head -c 80M /dev/zero >&3; sleep 5"
DEEP = (
    "for i in {1..60}; do mkdir "
    + "d" * 100
    + "; cd "
    + "d" * 100
    + "; done; head -c 80M /dev/zero > a; sleep 5"
)


@pytest.mark.parametrize("script", [HIDDEN, NAMELESS, DEEP], ids=["hidden", "nameless", "deep"])
async def test_what_is_hidden_counts_too(sandbox: Sandbox, workspace: Path, script: str) -> None:
    done = await fill(sandbox, workspace, script)
    assert done.kill_reason == REASON
    hidden = workspace / "d"
    if hidden.is_dir():
        assert hidden.stat().st_mode & 0o777 == 0, "it is left as it was"
    remove_scratch(workspace)  # pytest's own clean-up recurses


@pytest.mark.needs("root")
@pytest.mark.parametrize("prefer", BACKENDS)
async def test_the_quota_of_a_workspace_of_another_uid(
    prefer: Preference, opened: Open, public: Path
) -> None:
    workspace = public / "workspace"
    workspace.mkdir()
    os.chown(workspace, 20013, 20013)
    done = await fill(await opened(prefer), workspace, f"umask 077; {HIDDEN}")
    assert done.kill_reason == REASON


@pytest.mark.parametrize("prefer", BACKENDS)
async def test_a_private_tmp_is_bounded_too(prefer: Preference, tmp_path: Path, workspace: Path) -> None:
    sandbox = await open_sandbox(
        private_root=tmp_path / "p", prefer=prefer, limits=Limits(temporary=32 * MIB)
    )
    private_tmp = tmp_path / "private-tmp"
    private_tmp.mkdir()
    script = LATER + 'head -c 50M /dev/zero > "$TMPDIR/a"; sleep 5'
    command = Command(argv=("bash", "-c", script), workspace=workspace, private_tmp=private_tmp)
    done = await sandbox.run(command)
    assert done.kill_reason == "the private tmp holds more than its quota of 32 MiB"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", str(place)], check=False)
    if mounted.returncode != 0:
        pytest.skip("this machine does not let us mount a tmpfs")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.needs("root")
@pytest.mark.parametrize("prefer", BACKENDS)
async def test_the_disk_of_the_private_tmp_is_watched(
    prefer: Preference, tmp_path: Path, workspace: Path, small_disk: Path
) -> None:
    """It may be another one than the workspace's."""
    if shutil.disk_usage(workspace).free < 1024 * MIB:
        pytest.skip("the workspace's own disk is too full to tell")
    limits = Limits(disk_reserve=64 * MIB)
    sandbox = await open_sandbox(private_root=tmp_path / "p", prefer=prefer, limits=limits)
    script = LATER + 'head -c 50M /dev/zero > "$TMPDIR/a"; sleep 5'
    command = Command(argv=("bash", "-c", script), workspace=workspace, private_tmp=small_disk)
    done = await sandbox.run(command)
    assert done.kill_reason == "less than 64 MiB are left on the disk of the private tmp"


async def test_a_long_count_does_not_keep_the_supervisor_from_its_worker(
    sandbox: Sandbox, workspace: Path
) -> None:
    """Thousands of files take longer to count than a tick; meanwhile the tree is ended as ever."""
    script = "mkdir d; cd d; seq 1 4000 | xargs touch; echo made; while :; do :; done"
    command = Command(argv=("bash", "-c", script), workspace=workspace, quota_bytes=1 << 40)
    made = asyncio.Event()
    running = asyncio.create_task(sandbox.run(command, lambda _piece: made.set()))
    await asyncio.wait_for(made.wait(), 60)
    await asyncio.sleep(0.6)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, 20)
