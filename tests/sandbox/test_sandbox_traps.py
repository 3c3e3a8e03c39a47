"""The fifteen traps that sandboxes of this kind have fallen into, each by its number.

What makes each of them more than a sentence is tested at length elsewhere; here each has its name.
"""

import ast
import asyncio
import ctypes
import json
import os
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flynn.sandbox import launch
from flynn.sandbox.command import Command, Completed, Sandbox
from flynn.sandbox.kernel import open_beneath
from flynn.sandbox.opening import Preference
from flynn.workspace.entry import digest
from flynn.workspace.fence import Fence
from flynn.workspace.replacement import replace
from flynn.workspace.root import Workspace
from tests.sandbox.conftest import BACKENDS, Open, Shell

ROOM = Path(launch.__file__).parent
HERE = Path(__file__).parent
SYSTEM_PYTHON = Path("/usr/bin/python3")
CAPABILITIES = (
    "import ctypes; sets = (ctypes.c_uint32 * 6)();"
    "print(ctypes.CDLL(None).capget((ctypes.c_uint32 * 2)(0x20080522, 0), sets), sum(sets))"
)


def content(path: str) -> str:
    return Path(path).read_text()


async def run(opened: Open, backend: Preference, workspace: Path, script: str) -> Completed:
    command = Command(argv=("/bin/bash", "-c", script), workspace=workspace)
    return await (await opened(backend)).run(command)


@pytest.mark.needs("bubblewrap")
async def test_trap_1_bubblewrap_as_root_keeps_no_capability(opened: Open, workspace: Path) -> None:
    script = f"python3 -I -S -c '{CAPABILITIES}'; mount -o remount,rw,bind /usr && echo remounted"
    done = await run(opened, "bubblewrap", workspace, f"{script}; touch /usr/.flynn-trap && echo touched")
    assert done.output.startswith(b"0 0\n")
    assert b"remounted" not in done.output
    assert b"touched" not in done.output
    assert not os.access("/usr/.flynn-trap", os.F_OK)


async def test_trap_2_the_core_pattern_is_not_written(shell: Shell) -> None:
    before = content("/proc/sys/kernel/core_pattern")
    done = await shell("(exec 3>>/proc/sys/kernel/core_pattern && echo opened); id -u")
    assert b"opened" not in done.output
    assert content("/proc/sys/kernel/core_pattern") == before


async def test_trap_3_no_environment_and_no_arguments_carry_secrets(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_THE_SERVICE", "a-secret")
    done = await shell(
        "cat /proc/1/environ /proc/$PPID/environ | tr '\\0' '\\n'; cat /proc/1/cmdline; env",
        environment={"GIVEN": "a-value"},
    )
    assert b"a-secret" not in done.output
    assert done.output.count(b"GIVEN=a-value") == 1, "the command's own, not the supervisor's"


async def test_trap_4_no_descriptor_comes_in(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a-secret")
    descriptor = os.open(tmp_path / "secret", os.O_RDONLY)
    os.set_inheritable(descriptor, True)
    script = (
        "import os\nfor n in range(1024):\n try: os.fstat(n)\n except OSError: continue\n"
        " print(n, end=chr(44))"
    )
    try:
        done = await shell(f"python3 -I -S -c '{script}'")
    finally:
        os.close(descriptor)
    assert done.output == b"0,1,2,"


@pytest.mark.parametrize("prefer", BACKENDS)
def test_trap_5_threads_that_end_take_no_command_along(
    prefer: Preference, opened: Open, workspace: Path
) -> None:
    """The parent-death signal follows the thread that spawned, which must be the event loop's."""

    async def work() -> Completed:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(2) as pool:
            await loop.run_in_executor(pool, threading.get_native_id)
            running = asyncio.create_task(run(opened, prefer, workspace, "sleep 0.5; echo lived"))
            await asyncio.sleep(0.2)
        return await running  # the pool's threads are gone by now

    assert asyncio.run(work()).output == b"lived\n"


@pytest.mark.needs("root")
@pytest.mark.parametrize("prefer", BACKENDS)
async def test_trap_6_the_process_limit_is_for_an_ordinary_uid(
    prefer: Preference, opened: Open, public: Path, workspace: Path
) -> None:
    theirs = public / "workspace"
    theirs.mkdir()
    os.chown(theirs, 20015, 20015)
    assert (await run(opened, prefer, theirs, "ulimit -u")).output == b"256\n"
    # It would not bind for the real uid 0; there the supervisor counts, and the report says so.
    assert (await run(opened, prefer, workspace, "ulimit -u")).output != b"256\n"
    assert any("NPROC" in layer for layer in (await opened(prefer)).report.missing)


async def test_trap_7_vsock_and_io_uring_are_refused(shell: Shell) -> None:
    script = (
        "import ctypes, socket\ntry: socket.socket(40, 1, 0)\nexcept PermissionError: print(1)\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "print(libc.syscall(425, 1, bytes(256)), ctypes.get_errno())"
    )
    assert (await shell(f'python3 -I -S -c "{script}"')).output == b"1\n-1 1\n"


async def test_trap_8_the_services_environment_is_closed_and_it_is_undumpable(shell: Shell) -> None:
    assert ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) == 0, "PR_GET_DUMPABLE"
    done = await shell(f"cat /proc/{os.getpid()}/environ && echo read; python3 -I -S -c '{CAPABILITIES}'")
    assert b"read" not in done.output
    assert done.output.endswith(b"0 0\n")


@pytest.mark.needs("landlock")
async def test_trap_9_what_landlock_does_not_stop_is_stopped_otherwise_or_named(
    opened: Open, workspace: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.write_text("x")
    outside.chmod(0o640)
    done = await run(
        opened, "landlock", workspace, f"chmod 777 {outside}; touch -d @1 {outside}; stat -c %a {outside}"
    )
    assert done.output.endswith(b"640\n"), "metadata is seen, and not changed"
    assert outside.stat().st_mtime > 1
    missing = " ".join((await opened("landlock")).report.missing)
    for word in ("private view", "private /tmp", ".git/hooks", "loopback"):
        assert word in missing


def test_trap_10_a_link_that_is_exchanged_never_leads_out(workspace: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    for directory, word in ((workspace / "real", "inside"), (outside, "outside")):
        directory.mkdir()
        (directory / "file").write_text(word)
    stop = threading.Event()

    def exchange() -> None:
        while not stop.is_set():
            for target in (outside, workspace / "real"):
                (workspace / "next").symlink_to(os.path.relpath(target, workspace))
                (workspace / "next").replace(workspace / "way")

    thread = threading.Thread(target=exchange)
    thread.start()
    root = os.open(workspace, os.O_PATH)
    seen, refused = set(), 0
    try:
        for _ in range(20_000):
            try:
                file = open_beneath(root, b"way/file", os.O_RDONLY, links=True)
            except OSError:
                refused += 1
                continue
            seen.add(os.read(file, 10))
            os.close(file)
    finally:
        stop.set()
        thread.join()
        os.close(root)
    assert seen == {b"inside"}
    assert refused


@pytest.mark.needs("bubblewrap")
async def test_trap_11_nothing_of_the_view_is_a_large_writable_tmpfs(opened: Open, workspace: Path) -> None:
    done = await run(
        opened,
        "bubblewrap",
        workspace,
        "for d in / /dev /run /etc /var; do touch $d/new && echo $d; done 2>/dev/null;"
        "df -B1M --output=size /tmp /dev/shm | tail -n 2",
    )
    assert [int(line) for line in done.output.split()] == [1024, 256]


def test_trap_12_nobody_waits_for_a_process_by_polling() -> None:
    """Popen.wait(timeout) backs off; a pidfd in the event loop does not."""
    waits = [
        f"{path.name}:{node.lineno}"
        for path in ROOM.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("wait", "communicate")
        and (node.args or node.keywords)
    ]
    assert [wait for wait in waits if not wait.startswith("test_")] == []


async def test_trap_13_data_is_limited_and_address_space_is_not(shell: Shell) -> None:
    address_space, data = (await shell("ulimit -v; ulimit -d")).output.split()
    assert address_space == b"unlimited"
    assert int(data) == 4096 * 1024


@pytest.mark.needs("root")
@pytest.mark.parametrize("prefer", BACKENDS)
async def test_trap_14_a_root_service_hands_commands_to_the_workspaces_uid(
    prefer: Preference, opened: Open, public: Path
) -> None:
    uid = 20016
    workspace = public / "workspace"
    workspace.mkdir()
    os.chown(workspace, uid, uid)
    done = await run(
        opened, prefer, workspace, "id -u; mkdir -p a/b; echo one > a/b/file; chmod 640 a/b/file"
    )
    assert done.output == b"%d\n" % uid
    made = workspace / "a" / "b" / "file"
    assert (made.stat().st_uid, made.parent.stat().st_uid) == (uid, uid)
    # The owner, outside, goes on with it.
    append = await asyncio.to_thread(
        subprocess.run,
        ["/bin/sh", "-c", f"echo two >> {made} && mv {made} {made}.moved"],
        user=uid,
        group=uid,
        extra_groups=[],
        check=False,
    )
    assert append.returncode == 0
    assert (made.parent / "file.moved").read_text() == "one\ntwo\n"


@pytest.mark.needs("root", "landlock")
@pytest.mark.skipif(not SYSTEM_PYTHON.exists(), reason="an interpreter that every user can reach is needed")
@pytest.mark.parametrize("listener", [False, True], ids=["", "with a listener of its own"])
@pytest.mark.parametrize("uid", [0, 31235])
def test_trap_15_in_a_container_landlock_is_taken_and_bash_works(
    uid: int, listener: bool, public: Path
) -> None:
    """Where the container has the one listener that there can be, no mode is changed, and that is said."""
    workspace = public / "workspace"
    workspace.mkdir()
    os.chown(workspace, uid, uid)
    os.chown(public, uid, uid)
    script = "unshare -U true && echo namespace; echo 'echo ran' > tool; chmod +x tool; ./tool; id -u"
    order = {
        "private_root": str(public / "private"),
        "prefer": "auto",
        "workspace": str(workspace),
        "script": script,
    }
    done = subprocess.run(
        [
            *(str(SYSTEM_PYTHON), "-B", str(HERE / "container.py")),
            *(str(SYSTEM_PYTHON), "-B", str(HERE / "worker.py"), json.dumps(order)),
        ],
        env={
            **{"PYTHONPATH": str(ROOM.parent.parent), "PATH": "/usr/bin:/bin"},
            **({"WITH_LISTENER": "1"} if listener else {}),
        },
        user=uid,
        group=uid,
        extra_groups=[],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["backend"] == "landlock", answer
    assert answer["reason"].startswith("bubblewrap: "), "why not bubblewrap is said"
    lost = "changes of modes within the workspace" in answer["missing"]
    assert lost == listener
    assert ("Operation not permitted" in answer["output"].partition("chmod")[2]) == listener
    assert ("ran" in answer["output"].split()) != listener
    assert answer["output"].split()[-1] == str(uid)
    assert "namespace" not in answer["output"].split()
    assert (workspace / "tool").stat().st_uid == uid


def test_a_sandbox_is_a_sandbox(sandbox: Sandbox) -> None:
    """The backends above are the real ones."""
    assert sandbox.report.backend in ("bubblewrap", "landlock")
    assert "seccomp" in sandbox.report.layers


@pytest.mark.needs("root")
@pytest.mark.parametrize("owner", [0, 20017])
@pytest.mark.parametrize("prefer", BACKENDS)
async def test_trap_14_file_tools_go_on_with_what_commands_made(
    prefer: Preference, owner: int, opened: Open, public: Path
) -> None:
    """And commands with what file tools made, whoever owns the workspace."""
    path = public / "workspace"
    path.mkdir()
    os.chown(path, owner, owner)
    assert (await run(opened, prefer, path, "mkdir a; echo one > a/file; chmod 640 a/file")).exit_code == 0
    with Workspace.open(path) as workspace:
        replace(workspace, "a/file", b"two\n", expected=digest(b"one\n"), fence=Fence())
        replace(workspace, "a/new", b"three\n", expected=None, fence=Fence())
    done = await run(
        opened, prefer, path, "cat a/file a/new; echo four >> a/file && chmod 600 a/new && echo ok"
    )
    assert done.output == b"two\nthree\nok\n"
    for name, mode in (("file", 0o640), ("new", 0o600)):
        status = (path / "a" / name).stat()
        assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (owner, owner, mode)
