"""Which backend is taken, what is said of it, and that nothing runs where none holds."""

import asyncio
import json
import os
import shutil
import subprocess
import tempfile
from contextlib import nullcontext
from pathlib import Path

import pytest

from flynn.domain.errors import SandboxUnavailable
from flynn.sandbox import canaries, seccomp
from flynn.sandbox.command import Command, Sandbox
from flynn.sandbox.file_rules import landlock_version
from flynn.sandbox.landlock import Landlock
from flynn.sandbox.launch import compiled_launcher, sealed_file
from flynn.sandbox.limits import Limits
from flynn.sandbox.opening import Preference, open_sandbox
from flynn.sandbox.probe import Trial, find_leaks
from flynn.sandbox.view import look
from tests.sandbox.conftest import BACKENDS, Open

pytestmark = pytest.mark.slow

WORKER = Path(__file__).with_name("worker.py")
BACKEND = Path(__file__).resolve().parents[2] / "backend"
SYSTEM_PYTHON = Path("/usr/bin/python3")


@pytest.mark.needs("bubblewrap")
async def test_a_backend_that_stood_is_not_tried_again_and_one_that_did_not_is(tmp_path: Path) -> None:
    stood = {"bubblewrap": Trial(outcomes={}, failure="a busy machine")}
    sandbox = await open_sandbox(private_root=tmp_path / "p", prefer="bubblewrap", stood=stood)
    assert sandbox.report.backend == "bubblewrap"
    assert stood["bubblewrap"].rejection is None
    assert stood["bubblewrap"].outcomes

    stood["bubblewrap"] = Trial(outcomes={}, lost=("what only the first trial saw",))
    again = await open_sandbox(private_root=tmp_path / "p", prefer="bubblewrap", stood=stood)
    assert "what only the first trial saw" in again.report.missing


@pytest.mark.needs("bubblewrap")
async def test_bubblewrap_is_taken_first(tmp_path: Path) -> None:
    sandbox = await open_sandbox(private_root=tmp_path / "private")
    assert sandbox.report.backend == "bubblewrap"
    assert sandbox.report.reason is None
    assert any("nested repositories" in layer for layer in sandbox.report.missing)
    assert "seccomp" in sandbox.report.layers
    assert list((tmp_path / "private").iterdir()) == []


@pytest.mark.needs("landlock")
async def test_landlock_is_taken_where_bubblewrap_is_missing(tmp_path: Path) -> None:
    sandbox = await open_sandbox(private_root=tmp_path / "private", bwrap=tmp_path / "no-such-bwrap")
    assert sandbox.report.backend == "landlock"
    assert sandbox.report.reason is not None
    assert "no program at" in sandbox.report.reason
    assert any("private view" in layer for layer in sandbox.report.missing)


async def test_a_bubblewrap_that_does_not_contain_is_rejected(tmp_path: Path) -> None:
    """It claims to, by running what comes after the options; the canaries tell."""
    pretender = tmp_path / "bwrap"
    pretender.write_text(
        '#!/bin/bash\n[ "$1" = --help ] && exit\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n'
    )
    pretender.chmod(0o755)
    sandbox = await open_sandbox(private_root=tmp_path / "p", prefer="bubblewrap", bwrap=pretender)
    assert sandbox.report.backend is None
    assert sandbox.report.reason is not None
    assert "reach a loopback listener" in sandbox.report.reason or "needed" in sandbox.report.reason


async def test_a_bubblewrap_that_fails_is_rejected_with_its_words(tmp_path: Path) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/bash\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    broken.chmod(0o755)
    sandbox = await open_sandbox(private_root=tmp_path / "p", prefer="bubblewrap", bwrap=broken)
    assert sandbox.report.backend is None
    assert "No permissions to create new namespace" in (sandbox.report.reason or "")


async def test_without_a_backend_nothing_runs(tmp_path: Path, workspace: Path) -> None:
    sandbox = await open_sandbox(private_root=tmp_path / "p", prefer="none")
    with pytest.raises(SandboxUnavailable, match="turned off by the operator"):
        await sandbox.run(Command(argv=("touch", "ran"), workspace=workspace))
    assert not (workspace / "ran").exists()


def test_every_canary_gets_out_of_no_sandbox(tmp_path: Path) -> None:
    """The control of the probe: unconfined, what may succeed for this user does."""
    (tmp_path / "secret").write_text("x")
    with subprocess.Popen(["/bin/sleep", "60"]) as other:
        places = (str(tmp_path / "secret"), str(tmp_path), "1", "/none", "/none", "none")
        tried = canaries.canaries([str(tmp_path), *places, str(other.pid)])
        for name in ("read a file outside", "signal the service"):
            tried[name]()
        own = Path("/proc/self/status").read_text()
        # A container may have a filter, and a ban on new privileges, for all that is in it.
        for name, free in (("gain privileges", "NoNewPrivs:\t0"), ("escape the filter", "Seccomp:\t0")):
            with nullcontext() if free in own else pytest.raises(PermissionError):
                tried[name]()
        other.kill()


@pytest.mark.needs("landlock", "root")
async def test_a_workspace_that_root_without_capabilities_cannot_walk_to_is_refused_by_name(
    opened: Open, public: Path
) -> None:
    """As in a container whose data belongs to another uid while the service is root."""
    sandbox = await opened("landlock")
    closed = public / "closed"
    workspace = closed / "workspace"
    workspace.mkdir(parents=True)
    os.chown(closed, 12345, 12345)
    command = Command(argv=("touch", "ran"), workspace=workspace)
    closed.chmod(0o700)
    with pytest.raises(SandboxUnavailable, match=f"cannot walk through {closed} of uid 12345"):
        await sandbox.run(command)
    assert not (workspace / "ran").exists()
    closed.chmod(0o711)
    assert (await sandbox.run(command)).exit_code == 0
    assert (workspace / "ran").exists()


@pytest.mark.needs("landlock")
@pytest.mark.needs("root")
@pytest.mark.parametrize("abi", [1, 3, 5])
async def test_landlock_without_scopes_needs_a_workspace_of_another_uid(tmp_path: Path, abi: int) -> None:
    view = look(hidden=[tmp_path / "private"])
    launcher = sealed_file("launcher", compiled_launcher())
    backend = Landlock(
        private_root=tmp_path,
        view=view,
        limits=Limits(),
        architecture=seccomp.machine(),
        abi=abi,
        launcher=launcher,
    )
    try:
        own = await find_leaks(backend, "python3", private_root=tmp_path)
        assert own is not None
        assert "cannot keep a command from signalling" in own
        assert await find_leaks(backend, "python3", private_root=tmp_path, owner=20000) is None
    finally:
        os.close(launcher)
    assert landlock_version() >= abi


@pytest.mark.parametrize("prefer", BACKENDS)
async def test_the_services_own_data_is_hidden_in_a_workspace_around_it(
    prefer: Preference, tmp_path: Path, workspace: Path
) -> None:
    data = workspace / "data"
    sandbox = await open_sandbox(private_root=data / "private", hidden=[data], prefer=prefer)
    (data / "key").write_text("the-secret")
    command = Command(argv=("bash", "-c", "ls -A data; cat data/key; echo x > data/y"), workspace=workspace)
    if prefer == "landlock":
        with pytest.raises(SandboxUnavailable, match="lies beneath what a command may read"):
            await sandbox.run(command)
        return
    done = await sandbox.run(command)
    assert b"the-secret" not in done.output
    assert b"private" not in done.output
    assert sorted(path.name for path in data.iterdir()) == ["key", "private"]


@pytest.mark.parametrize("prefer", BACKENDS)
async def test_a_tree_that_uses_too_much_memory_is_killed(
    prefer: Preference, tmp_path: Path, workspace: Path
) -> None:
    sandbox = await open_sandbox(
        private_root=tmp_path / "p",
        prefer=prefer,
        limits=Limits(tree_memory=100 * 2**20),
    )
    script = "import time; x = bytearray(b'x') * (70 << 20); time.sleep(30)"
    shell = f'for i in 1 2 3; do python3 -S -c "{script}" & done; wait'
    done = await sandbox.run(Command(argv=("bash", "-c", shell), workspace=workspace, timeout_seconds=20))
    assert done.kill_reason == "more than 100 MiB of memory together"
    assert done.exit_code is None


@pytest.mark.parametrize("prefer", BACKENDS)
async def test_a_full_disk_is_not_filled_further(prefer: Preference, tmp_path: Path, workspace: Path) -> None:
    free = shutil.disk_usage(workspace).free
    sandbox = await open_sandbox(private_root=tmp_path / "p", prefer=prefer)
    assert sandbox.report.backend == prefer
    strict = await open_sandbox(
        private_root=tmp_path / "p",
        prefer=prefer,
        limits=Limits(disk_reserve=free * 2),
    )
    done = await strict.run(Command(argv=("sleep", "20"), workspace=workspace))
    assert done.kill_reason is not None
    assert "are left on the disk of the workspace" in done.kill_reason


def _as_user(uid: int, order: dict[str, str]) -> dict[str, object]:
    done = subprocess.run(
        [str(SYSTEM_PYTHON), "-B", str(WORKER), json.dumps(order)],
        env={"PYTHONPATH": str(BACKEND), "PATH": "/usr/bin:/bin"},
        user=uid,
        group=uid,
        extra_groups=[],
        capture_output=True,
        check=True,
        timeout=30,
    )
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


@pytest.mark.needs("root")
@pytest.mark.skipif(not SYSTEM_PYTHON.exists(), reason="an interpreter that every user can reach is needed")
@pytest.mark.parametrize("prefer", BACKENDS)
async def test_an_ordinary_user_has_the_same_sandbox(prefer: Preference, public: Path) -> None:
    uid = 31234
    workspace = public / "workspace"
    workspace.mkdir()
    os.chown(workspace, uid, uid)
    os.chown(public, uid, uid)
    outside = public / "outside"
    outside.write_text("the user's own")
    outside.chmod(0o640)
    os.chown(outside, uid, uid)
    script = (
        "id -u; echo x > made; cat /proc/1/environ; ulimit -u; kill -0 $PPID && echo reached;"
        f"chmod 777 {outside}; touch -d @1 {outside}; chmod 751 made; touch -d @1000 made; echo end"
    )
    order = {
        "private_root": str(public / "private"),
        "prefer": prefer,
        "workspace": str(workspace),
        "script": script,
    }
    answer = await asyncio.to_thread(_as_user, uid, order)
    assert answer["backend"] == prefer, answer
    output = str(answer["output"])
    assert output.startswith(f"{uid}\n")
    assert output.endswith("end\n")
    assert "reached" not in output
    assert "PYTHONPATH" not in output
    made = (workspace / "made").stat()
    assert (made.st_uid, made.st_mode & 0o777, made.st_mtime) == (uid, 0o751, 1000)
    assert outside.stat().st_mode & 0o777 == 0o640
    assert outside.stat().st_mtime > 1


@pytest.mark.needs("root")
@pytest.mark.parametrize("prefer", BACKENDS)
async def test_root_becomes_the_owner_of_the_workspace(
    prefer: Preference, opened: Open, public: Path, tmp_path: Path
) -> None:
    uid = 20007
    workspace, private_tmp = public / "workspace", tmp_path / "private-tmp"
    workspace.mkdir()
    private_tmp.mkdir()
    os.chown(workspace, uid, uid)
    script = 'id -u; ulimit -u; echo x > made && echo y > "$TMPDIR/note" && cat "$TMPDIR/note"; python3 -V'
    command = Command(argv=("bash", "-c", script), workspace=workspace, private_tmp=private_tmp)
    done = await (await opened(prefer)).run(command)
    user, processes, note, version = done.output.decode().splitlines()
    assert (user, processes, note) == (str(uid), "256", "y")
    assert version.startswith("Python 3")
    assert (workspace / "made").stat().st_uid == uid


@pytest.mark.needs("root")
@pytest.mark.parametrize("prefer", BACKENDS)
async def test_the_process_limit_binds_where_the_uid_is_separate(
    prefer: Preference, opened: Open, public: Path
) -> None:
    workspace = public / "workspace"
    workspace.mkdir()
    os.chown(workspace, 20008, 20008)
    script = (
        "import os, time\nn = 0\ntry:\n while n < 400:\n  if not os.fork(): time.sleep(60)\n  n += 1\n"
        "except BlockingIOError: print(n)"
    )
    command = Command(argv=("python3", "-S", "-c", script), workspace=workspace, timeout_seconds=15)
    done = await (await opened(prefer)).run(command)
    assert done.exit_code == 0
    assert 200 < int(done.output) <= 256


@pytest.mark.needs("root")
@pytest.mark.parametrize("prefer", BACKENDS)
async def test_a_private_tmp_that_only_its_owner_may_enter(
    prefer: Preference, opened: Open, public: Path, tmp_path: Path
) -> None:
    """As scratch directories are; and a workspace beneath /tmp, which the private tmp then covers."""
    uid = 20012
    workspace, private_tmp = public / "workspace", tmp_path / "private-tmp"
    workspace.mkdir()
    private_tmp.mkdir(mode=0o700)
    os.chown(workspace, uid, uid)
    script = 'echo x > made; echo y > "$TMPDIR/note" && cat "$TMPDIR/note"'
    command = Command(argv=("bash", "-c", script), workspace=workspace, private_tmp=private_tmp)
    for _ in range(2):
        done = await (await opened(prefer)).run(command)
        assert (done.exit_code, done.output) == (0, b"y\n")
    assert (workspace / "made").stat().st_uid == uid


@pytest.mark.parametrize("prefer", BACKENDS)
async def test_everything_may_lie_beneath_var_tmp(prefer: Preference) -> None:
    place = Path(tempfile.mkdtemp(dir="/var/tmp"))
    try:
        (place / "workspace").mkdir()
        sandbox = await open_sandbox(private_root=place / "private", prefer=prefer)
        assert sandbox.report.backend == prefer, sandbox.report.reason
        command = Command(argv=("bash", "-c", "echo x > made; pwd -P"), workspace=place / "workspace")
        assert (await sandbox.run(command)).output.decode() == f"{place}/workspace\n"
        assert (place / "workspace" / "made").exists()
    finally:
        shutil.rmtree(place)


@pytest.mark.parametrize("prefer", BACKENDS)
async def test_a_workspace_that_became_a_link_is_refused(
    prefer: Preference, opened: Open, tmp_path: Path, workspace: Path
) -> None:
    """A command of the workspace around it could have put the link there."""
    inner, outside = workspace / "inner", tmp_path / "outside"
    inner.mkdir()
    outside.mkdir()
    sandbox = await opened(prefer)
    around = "mv inner away; ln -s ../outside inner"
    assert (await sandbox.run(Command(argv=("bash", "-c", around), workspace=workspace))).exit_code == 0
    with pytest.raises(SandboxUnavailable, match="leads through a link"):
        await sandbox.run(Command(argv=("touch", "planted"), workspace=inner))
    assert list(outside.iterdir()) == []


SHARED = "mmap.mmap(-1, 40 << 20, flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)"
SEGMENT = "attached(40 << 20)"


@pytest.mark.parametrize("memory", [SHARED, SEGMENT], ids=["pages", "segments"])
@pytest.mark.parametrize("prefer", BACKENDS)
async def test_shared_memory_counts_once_but_counts(
    prefer: Preference, memory: str, tmp_path: Path, workspace: Path
) -> None:
    limits = Limits(tree_memory=200 * 2**20)
    sandbox = await open_sandbox(private_root=tmp_path / "p", prefer=prefer, limits=limits)
    script = f"""
import ctypes, mmap, os, time
libc = ctypes.CDLL(None); libc.shmat.restype = ctypes.c_void_p
def attached(size):
    number = libc.shmget(0, size, 0o1600)
    if number < 0: raise SystemExit(3)
    return (ctypes.c_char * size).from_address(libc.shmat(number, None, 0))
def take():
    pages = {memory}; pages[:] = bytes([1]) * len(pages); return pages
one = take()
for _ in range(6):
    if not os.fork(): one[0:1]; time.sleep(30)
time.sleep(1); print("one is fine", flush=True)
more = [take() for _ in range(6)]
time.sleep(20)
"""
    command = Command(argv=("python3", "-I", "-S", "-c", script), workspace=workspace, timeout_seconds=25)
    done = await sandbox.run(command)
    if memory == SEGMENT and prefer == "landlock":
        assert done.exit_code == 3, "there are no segments at all"
        return
    assert done.output == b"one is fine\n"
    assert done.kill_reason == "more than 200 MiB of memory together"


async def test_threads_are_counted(sandbox: Sandbox, workspace: Path) -> None:
    script = """
import threading, time
threading.stack_size(32768)
for _ in range(700):
    threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
time.sleep(20)
"""
    command = Command(argv=("python3", "-I", "-S", "-c", script), workspace=workspace, timeout_seconds=25)
    done = await sandbox.run(command)
    assert done.kill_reason == "more than 512 threads at once" or b"can't start new thread" in done.output


@pytest.mark.needs("bubblewrap")
async def test_a_link_in_the_private_tmp_leads_no_mount_astray(opened: Open, tmp_path: Path) -> None:
    """The workspace lies beneath /tmp, and its mount point would be made in what commands wrote."""
    place = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        workspace, private_tmp = place / "a" / "workspace", tmp_path / "private-tmp"
        workspace.mkdir(parents=True)
        private_tmp.mkdir()
        outside = tmp_path / "outside"
        outside.mkdir()
        (private_tmp / place.name).symlink_to(f"/oldroot{outside}")
        command = Command(
            argv=("bash", "-c", 'pwd -P; ls -A "$TMPDIR"'), workspace=workspace, private_tmp=private_tmp
        )
        done = await (await opened("bubblewrap")).run(command)
        assert done.output.decode().split() == [str(workspace), place.name]
        assert list(outside.iterdir()) == []
    finally:
        shutil.rmtree(place)
