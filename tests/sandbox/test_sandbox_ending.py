"""However a command ends, its whole tree is gone when `run` returns, and when the worker is gone."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from flynn.domain.errors import SandboxUnavailable
from flynn.sandbox.command import Command, Sandbox
from flynn.sandbox.process_tree import descendants
from tests.sandbox.census import Census
from tests.sandbox.conftest import BACKENDS, Shell

pytestmark = pytest.mark.slow

WORKER = Path(__file__).with_name("worker.py")


def of_process(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text()


def open_descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


@pytest.fixture
def census() -> Census:
    return Census()


def tree(census: Census) -> str:
    """Three sleepers that resist: a child, a daemon in a session of its own, one deaf to signals."""
    sleep = f"sleep {census.mark}"
    return (
        f"{sleep} & setsid --fork {sleep} >/dev/null 2>&1 </dev/null;"
        f"(trap '' TERM HUP INT; setsid --fork bash -c 'trap \"\" TERM HUP INT; exec {sleep}' &);"
    )


async def test_a_daemon_dies_with_its_call(shell: Shell, census: Census) -> None:
    done = await shell(f"{tree(census)} sleep 0.1; echo done")
    assert (done.exit_code, done.output) == (0, b"done\n")
    assert census.pids() == []


async def test_the_tree_is_alive_while_the_command_runs(shell: Shell, census: Census) -> None:
    """The control of the other tests: what they find gone was there."""
    running = asyncio.create_task(shell(f"{tree(census)} wait"))
    await census.until(3)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert census.pids() == []


async def test_a_timeout_kills_the_tree(shell: Shell, census: Census) -> None:
    done = await shell(f"echo begun; {tree(census)} wait", timeout_seconds=0.5)
    assert census.pids() == []
    assert (done.exit_code, done.timed_out, done.flooded) == (None, True, False)
    assert done.output == b"begun\n"
    assert done.kill_reason == "it ran longer than 0.5 s"
    assert 0.5 <= done.duration_seconds < 15


async def test_cancelling_again_and_again_still_proves_the_end(shell: Shell, census: Census) -> None:
    running = asyncio.create_task(shell(f"{tree(census)} wait"))
    await census.until(3)
    for _ in range(5):
        running.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await running
    assert census.pids() == []


async def test_cancelling_at_any_moment_of_the_start_leaves_nothing(shell: Shell, census: Census) -> None:
    for delay in (0.0, 0.002, 0.005, 0.008, 0.012, 0.02, 0.03):
        running = asyncio.create_task(shell(f"exec sleep {census.mark}"))
        await asyncio.sleep(delay)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert census.pids() == []


async def test_a_flood_is_cut_and_killed(shell: Shell) -> None:
    started = time.monotonic()
    done = await shell("yes", output_limit=1000, output_kill=2_000_000)
    assert time.monotonic() - started < 5
    assert (done.exit_code, done.flooded, done.timed_out) == (None, True, False)
    assert len(done.output) < 1100
    assert done.output_cut > 1_000_000
    assert done.kill_reason == "it wrote more than 2000000 bytes"


async def test_nothing_runs_past_the_deadline(shell: Shell, workspace: Path) -> None:
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    with pytest.raises(SandboxUnavailable, match="the deadline has passed"):
        await shell("echo ran > ran", deadline=now - 0.001)
    assert not (workspace / "ran").exists()
    assert (await shell("echo ran > ran", deadline=now + 60)).exit_code == 0
    assert (workspace / "ran").exists()


async def test_a_fork_bomb_is_ended(sandbox: Sandbox, workspace: Path, census: Census) -> None:
    script = (
        "import os, time\ntry:\n for n in range(700):\n"
        f"  if not os.fork(): time.sleep({census.mark})\n"
        "except BlockingIOError: print('refused')\ntime.sleep(1)"
    )
    command = Command(argv=("python3", "-S", "-c", script, census.mark), workspace=workspace)
    done = await sandbox.run(command)
    assert census.pids() == []
    if done.exit_code is None:
        assert done.kill_reason == "more than 512 processes at once"
    else:  # NPROC binds for this user
        assert done.output == b"refused\n"


async def test_a_supervisor_that_does_not_answer_is_helped(shell: Shell, census: Census) -> None:
    """As after a bug in it, or under a load that starves it."""
    before = descendants(os.getpid())
    running = asyncio.create_task(shell(f"{tree(census)} wait"))
    await census.until(3)
    fresh = descendants(os.getpid()) - before
    supervisors = [pid for pid in fresh if "/proc/self/fd/" in of_process(pid, "cmdline")]
    assert supervisors
    for pid in supervisors:
        os.kill(pid, signal.SIGSTOP)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert census.pids() == []
    assert descendants(os.getpid()) <= before


async def test_a_killed_supervisor_is_reported(shell: Shell, census: Census) -> None:
    """Nobody can tell then what the command did, so it must not look like an end of its own."""
    before = descendants(os.getpid())
    running = asyncio.create_task(shell(f"exec sleep {census.mark}"))
    await census.until(1)
    fresh = descendants(os.getpid()) - before
    outermost = [
        pid for pid in fresh if int(of_process(pid, "stat").rpartition(")")[2].split()[1]) not in fresh
    ]
    assert len(outermost) == 1
    os.kill(outermost[0], signal.SIGKILL)
    with pytest.raises(SandboxUnavailable, match="killed by signal 9"):
        await running
    await census.until(0)


Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start_worker(workspace: Path, tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as stack:

        def start(**order: object) -> "subprocess.Popen[bytes]":
            order = {"private_root": str(tmp_path / "private"), "workspace": str(workspace), **order}
            process = subprocess.Popen(
                [sys.executable, str(WORKER), json.dumps(order)], stdout=subprocess.PIPE
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield start


@pytest.mark.parametrize("prefer", BACKENDS)
async def test_kill_9_of_the_worker_kills_the_tree(prefer: str, start_worker: Start, census: Census) -> None:
    worker = start_worker(prefer=prefer, script=f"{tree(census)} wait")
    await census.until(3)
    worker.kill()
    await census.until(0, seconds=8)


@pytest.mark.parametrize("prefer", BACKENDS)
async def test_a_worker_that_falls_silent_loses_its_tree(
    prefer: str, start_worker: Start, census: Census
) -> None:
    worker = start_worker(prefer=prefer, script=f"{tree(census)} wait", silence=0.5)
    await census.until(3)
    await asyncio.sleep(1.0)
    assert len(census.pids()) == 3, "a worker that beats keeps its tree"
    worker.send_signal(signal.SIGSTOP)
    await census.until(0, seconds=20)
    worker.send_signal(signal.SIGCONT)
    assert worker.stdout is not None
    answer = json.loads(await asyncio.to_thread(worker.stdout.read))
    assert answer["exit_code"] is None


async def test_many_commands_leave_nothing_behind(sandbox: Sandbox, workspace: Path) -> None:
    descriptors = open_descriptors()
    command = Command(argv=("/bin/true",), workspace=workspace)
    for _ in range(3):
        await asyncio.gather(*(sandbox.run(command) for _ in range(5)))
    assert open_descriptors() == descriptors
