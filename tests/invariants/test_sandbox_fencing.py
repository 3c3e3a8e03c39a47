"""A command ends with its worker and never begins late, on each backend there is.

A worker that is stopped, killed or cut off may be followed by another one that does the same work: what
the first one started must be dead by then, and what it was about to start must not start any more.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from flynn.domain.errors import SandboxUnavailable
from flynn.sandbox.command import Command, Sandbox
from flynn.sandbox.opening import Preference, open_sandbox
from flynn.sandbox.process_tree import descendants
from tests.sandbox.census import Census

pytestmark = pytest.mark.slow

WORKER = Path(__file__).resolve().parent.parent / "sandbox" / "worker.py"
BACKENDS = [
    pytest.param("bubblewrap", marks=pytest.mark.needs("bubblewrap")),
    pytest.param("landlock", marks=pytest.mark.needs("landlock")),
]
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    path = tmp_path / "workspace"
    path.mkdir()
    return path


@pytest.fixture(params=BACKENDS)
async def sandbox(request: pytest.FixtureRequest, tmp_path: Path) -> Sandbox:
    return await open_sandbox(private_root=tmp_path / "private", prefer=request.param)


@pytest.fixture
def start(workspace: Path, tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as stack:

        def started(**order: object) -> "subprocess.Popen[bytes]":
            order = {"private_root": str(tmp_path / "private"), "workspace": str(workspace), **order}
            process = subprocess.Popen(
                [sys.executable, str(WORKER), json.dumps(order)], stdout=subprocess.PIPE
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield started


def resisting(mark: str) -> str:
    """A child, a daemon in a session of its own, and one that is deaf to signals; each goes on writing."""
    work = f"while :; do date +%N > beat; sleep 0.05; [ -e stop ] && exit; done; : {mark}"
    return (
        f"sleep {mark} & setsid --fork sleep {mark} >/dev/null 2>&1 </dev/null;"
        f"(trap '' TERM HUP INT; setsid --fork bash -c 'trap \"\" TERM HUP INT; exec sleep {mark}' &); {work}"
    )


@pytest.mark.parametrize("ending", [signal.SIGSTOP, signal.SIGKILL], ids=["stopped", "killed"])
@pytest.mark.parametrize("prefer", BACKENDS)
async def test_nothing_of_a_command_outlives_its_worker(
    prefer: Preference, ending: signal.Signals, start: Start, workspace: Path
) -> None:
    """Stopped, too: the pipe is open still, but silent."""
    census = Census()
    worker = start(prefer=prefer, script=resisting(census.mark), silence=0.5)
    await census.until(3, seconds=30)
    worker.send_signal(ending)
    await census.until(0, seconds=20)
    beat = (workspace / "beat").read_text()
    await asyncio.sleep(0.3)
    assert (workspace / "beat").read_text() == beat, "nobody writes any more"


async def test_a_launcher_that_was_frozen_past_the_deadline_never_acts(
    sandbox: Sandbox, workspace: Path
) -> None:
    """Frozen while it sets up, thawed when another worker may have done the work long since."""
    ran = workspace / "ran"
    frozen_in_time = 0
    for attempt in range(40):
        before = descendants(os.getpid())
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        command = Command(argv=("/usr/bin/touch", "ran"), workspace=workspace, deadline=now + 0.4)
        running = asyncio.create_task(sandbox.run(command))
        await asyncio.sleep(0.001 * (attempt % 8))
        frozen = descendants(os.getpid()) - before
        for pid in frozen:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(0.05)
        in_time = bool(frozen) and not ran.exists() and not running.done()
        await asyncio.sleep(0.5)
        was_there = ran.exists()
        # What was started by one that was not frozen yet is thawed with the rest.
        for pid in descendants(os.getpid()) - before:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        [ended] = await asyncio.wait_for(asyncio.gather(running, return_exceptions=True), 30)
        if isinstance(ended, SandboxUnavailable):
            assert "deadline" in ended.detail, ended.detail
        if in_time and not was_there:
            frozen_in_time += 1
            assert not ran.exists(), "it acted after the deadline"
        ran.unlink(missing_ok=True)
        if frozen_in_time >= 3:
            break
    assert frozen_in_time >= 3


async def test_cancelling_in_a_flood_of_output_proves_the_end(sandbox: Sandbox, workspace: Path) -> None:
    census = Census()
    flood = f"sleep {census.mark} & setsid --fork sleep {census.mark}; yes & yes >&2 & yes"
    others = descendants(os.getpid())
    arrived = asyncio.Event()
    command = Command(
        argv=("/bin/bash", "-c", flood), workspace=workspace, output_kill=1 << 40, output_limit=10_000
    )
    running = asyncio.create_task(sandbox.run(command, lambda _piece: arrived.set()))
    await asyncio.wait_for(arrived.wait(), 30)
    await census.until(2)
    tree = descendants(os.getpid()) - others
    assert len(tree) >= 5
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert census.pids() == []
    assert not descendants(os.getpid()) & tree
