"""The launcher as it is bundled: what it imports, and that it refuses rather than runs half confined."""

import ast
import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
import uvloop

from flynn.sandbox import launch
from flynn.sandbox.command import Command
from flynn.sandbox.confinement import SET_UP_FAILED, STATUS_SET_UP_FAILED
from flynn.sandbox.opening import Preference, open_sandbox
from flynn.sandbox.policy import Policy
from flynn.sandbox.seccomp import assemble, encode, machine
from tests.sandbox.conftest import BACKENDS

ROOM = Path(launch.__file__).parent
PARTS = (*launch._PARTS, "launcher")
CHEAP = {"_thread", "ctypes", "os", "select", "stat", "sys", "time"}


def imports(name: str) -> set[str]:
    tree = ast.parse((ROOM / f"{name}.py").read_text(encoding="utf-8"))
    return {
        imported
        for node in ast.walk(tree)
        for imported in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [str(node.module)]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }


def test_the_launcher_imports_nothing_but_its_parts_and_cheap_modules() -> None:
    allowed = set(CHEAP)
    for name in PARTS:
        assert imports(name) <= allowed, name
        allowed.add(f"flynn.sandbox.{name}")


def run_bundle(policy: bytes, *, worker: bool = True) -> tuple[int, str]:
    """Its status and its words; without `worker` the heartbeat's other end is closed from the start."""
    bundle = launch.sealed_file("launcher", launch.compiled_launcher())
    orders = launch.sealed_file("policy", policy)
    heartbeat, beat = os.pipe()
    if not worker:
        os.close(beat)
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", f"/proc/self/fd/{bundle}", str(orders)],
            stdin=heartbeat,
            capture_output=True,
            pass_fds=(bundle, orders),
            timeout=10,
            check=False,
        )
        return done.returncode, done.stderr.decode()
    finally:
        for descriptor in (bundle, orders, heartbeat, *((beat,) if worker else ())):
            os.close(descriptor)


def policy(workspace: Path, **changes: object) -> Policy:
    fields: dict[str, object] = {
        "arguments": ("touch", "ran"),
        "environment": {"PATH": "/usr/bin:/bin"},
        "root": str(workspace),
        "cwd": str(workspace),
        "seccomp": b"",
        "limits": (),
        "landlock": 0,
        **changes,
    }
    return Policy(**fields)  # type: ignore[arg-type]  # fields by name


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "no seccomp filter"),
        ({"seccomp": b"\xff" * 8}, "seccomp: Invalid argument"),
        ({"landlock": 99}, "Landlock ABI 99 is needed"),
        ({"limits": ((99, 0),)}, "getrlimit: Invalid argument"),
        ({"landlock": 1, "read": ("/no/such/place",)}, "/no/such/place: No such file"),
    ],
)
def test_a_failed_set_up_runs_nothing(workspace: Path, changes: dict[str, object], words: str) -> None:
    status, told = run_bundle(policy(workspace, **changes).encode())
    assert status == STATUS_SET_UP_FAILED
    assert told.startswith(SET_UP_FAILED)
    assert words in told
    assert not (workspace / "ran").exists()


def test_a_broken_policy_runs_nothing(workspace: Path) -> None:
    status, told = run_bundle(b"arg\0touch\0arg\0ran\0")
    assert status == STATUS_SET_UP_FAILED
    assert told.startswith(SET_UP_FAILED)


def test_nothing_is_started_for_a_worker_that_is_gone(workspace: Path) -> None:
    program = encode(assemble(machine(), network=False))
    orders = policy(workspace, seccomp=program).encode()
    status, told = run_bundle(orders, worker=False)
    assert (status, told) == (STATUS_SET_UP_FAILED, f"{SET_UP_FAILED}SetUpFailed: the worker is gone\n")
    assert not (workspace / "ran").exists()
    assert run_bundle(orders) == (0, "")
    assert (workspace / "ran").exists()


def test_a_sealed_file_cannot_be_changed() -> None:
    descriptor = launch.sealed_file("x", b"content")
    try:
        for change in (lambda: os.write(descriptor, b"y"), lambda: os.ftruncate(descriptor, 0)):
            with pytest.raises(PermissionError):
                change()
        assert os.pread(descriptor, 10, 0) == b"content"
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("prefer", BACKENDS)
def test_it_works_on_uvloop(prefer: Preference, tmp_path: Path, workspace: Path) -> None:
    async def work() -> None:
        sandbox = await open_sandbox(private_root=tmp_path / "private", prefer=prefer)
        assert sandbox.report.backend == prefer
        arrived: list[bytes] = []
        command = Command(argv=("bash", "-c", "echo one; sleep 0.1; seq 50000"), workspace=workspace)
        done = await sandbox.run(command, arrived.append)
        assert b"".join(arrived) == done.output
        assert done.output.endswith(b"50000\n")
        slow = Command(argv=("sleep", "60"), workspace=workspace, timeout_seconds=0.2)
        assert (await sandbox.run(slow)).timed_out
        running = asyncio.create_task(sandbox.run(Command(argv=("sleep", "60"), workspace=workspace)))
        await asyncio.sleep(0.1)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work())
