"""Attempts to reach other processes, and to outlive the call."""

import asyncio
import os
from typing import Final

from flynn.sandbox.process_tree import descendants
from tests.escapes.attempt import attempt, hurt, python, reached, shell, spilled
from tests.escapes.scene import Scene

KIND: Final = "processes"

python(
    "attach with ptrace",
    KIND,
    "call(101, 117, 16, int(VICTIM), 0, 0)\nlibc.sleep(1)\n"
    'if open(f"/proc/{VICTIM}/stat").read().rpartition(")")[2].split()[0] in "tT": print(NONCE)',
    reached,
)
python("seize with ptrace", KIND, "if call(101, 117, 0x4206, int(VICTIM), 0, 0) == 0: print(NONCE)", reached)
python(
    "overwrite a victim's memory",
    KIND,
    """
address, size = map(int, BUFFER.split())
here = ctypes.create_string_buffer(b"X" * size)
near = (ctypes.c_uint64 * 2)(ctypes.addressof(here), size)
far = (ctypes.c_uint64 * 2)(address, size)
if call(311, 271, int(VICTIM), near, 1, far, 1, 0) == size: print(NONCE)
""",
    reached,
)
python(
    "compare kernel objects",
    KIND,
    "if call(312, 272, os.getpid(), int(VICTIM), 0, 0, 0) >= 0: print(NONCE)",
    reached,
)
python("set a victim's nice value", KIND, "os.setpriority(os.PRIO_PROCESS, int(VICTIM), 7)", hurt)
python("set a victim's group's nice value", KIND, "os.setpriority(os.PRIO_PGRP, int(VICTIM), 7)", hurt)
python(
    "set a victim's limits",
    KIND,
    "import resource\nresource.prlimit(int(VICTIM), resource.RLIMIT_NOFILE, (9, 9))",
    hurt,
    households=("root", "user"),
)
python("set a victim's processors", KIND, "os.sched_setaffinity(int(VICTIM), {0})", hurt)
python(
    "set a victim's scheduling",
    KIND,
    "os.sched_setscheduler(int(VICTIM), os.SCHED_BATCH, os.sched_param(0))",
    hurt,
)
python("set a victim's priority on the disk", KIND, "call(251, 30, 1, int(VICTIM), (3 << 13) | 0)", hurt)
shell(
    "set a victim's score for the killer of memory",
    KIND,
    'echo 1000 > "/proc/$VICTIM/oom_score_adj" && echo "$NONCE"',
    reached,
)
python(
    "read a System V segment",
    KIND,
    """
libc.shmat.restype = ctypes.c_void_p
number = libc.shmget(int(SYSV), 4096, 0)
if number >= 0:
    print(ctypes.string_at(libc.shmat(number, None, 0)))
""",
    spilled,
)
python(
    "see the host's System V segments",
    KIND,
    'SYSV\nif len(open("/proc/sysvipc/shm").readlines()) > 1: print(NONCE)',
    reached,
)
python(
    "leave a key for another process",
    KIND,
    """
key = call(248, 217, b"user", NONCE.encode(), b"x", 1, -4)
if key >= 0: print(NONCE)
""",
    reached,
)

_STAYING: Final = {
    "stay in the background": "sleep 300 >/dev/null 2>&1 & disown",
    "stay in a session of its own": "setsid --fork sleep 300 >/dev/null 2>&1 </dev/null",
    "stay by forking twice": "( (sleep 300 >/dev/null 2>&1 &) & )",
    "stay deaf to signals": "(trap '' TERM HUP INT QUIT; setsid --fork sleep 300 >/dev/null 2>&1 &)",
    "stay under nohup": "nohup sleep 300 >/dev/null 2>&1 &",
    "stay as a coprocess": "coproc sleep 300; exec 2>/dev/null",
}


def _stay(name: str, script: str) -> None:
    @attempt(name, KIND)
    async def act(scene: Scene) -> bool:
        return bool((await scene.shell(script, settle=0.2)).left)


for _name, _script in _STAYING.items():
    _stay(_name, _script)

_PYTHON_STAYING: Final = {
    "stay by clearing the death signal": "",
    "stay as a subreaper": "libc.prctl(36, 1, 0, 0, 0)\nif os.fork(): os._exit(0)\n",
    "stay by forking again and again": "for _ in range(9):\n    if os.fork(): os._exit(0)\n    os.setsid()\n",
    "stay stopped": "import signal\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\n",
}
_CHILD: Final = """
if os.fork():
    os._exit(0)
os.setsid()
libc.prctl(1, 0, 0, 0, 0)
for number in range(1, 65):
    libc.signal(number, 1)
null = os.open("/dev/null", os.O_RDWR)
for number in range(3):
    os.dup2(null, number)
libc.sleep(300)
"""


def _stay_in_python(name: str, source: str) -> None:
    @attempt(name, KIND)
    async def act(scene: Scene) -> bool:
        return bool((await scene.python(source + _CHILD, settle=0.3)).left)


for _name, _script in _PYTHON_STAYING.items():
    _stay_in_python(_name, _script)


@attempt("stay as a stopped process past the timeout", KIND)
async def stopped(scene: Scene) -> bool:
    ran = await scene.shell(
        "setsid --fork bash -c 'kill -STOP $$' >/dev/null 2>&1; kill -STOP $$", timeout=1.0
    )
    return bool(ran.left)


@attempt("stay when the call is cancelled", KIND)
async def cancelled(scene: Scene) -> bool:
    """The control's service forgets its child, which is what cancelling a task alone does."""
    before = descendants(os.getpid())
    running = scene.start(scene.shell("setsid --fork sleep 300 >/dev/null 2>&1; sleep 4", timeout=5.0))
    await asyncio.sleep(0.7)
    running.cancel()
    await asyncio.wait([running])
    return bool(descendants(os.getpid()) - before)


@attempt("run past the timeout by sleeping", KIND)
async def sleeps(scene: Scene) -> bool:
    ran = await scene.shell("sleep 3; echo $NONCE", timeout=3.5 if scene.control else 0.5)
    return scene.nonce.encode() in ran.output


@attempt("run past the timeout by spinning", KIND)
async def spins(scene: Scene) -> bool:
    script = "trap '' TERM INT; end=$((SECONDS + 2)); while [ $SECONDS -lt $end ]; do :; done; echo $NONCE"
    ran = await scene.shell(script, timeout=3.5 if scene.control else 0.5)
    return scene.nonce.encode() in ran.output


@attempt("write into the workspace after the call", KIND)
async def later(scene: Scene) -> bool:
    await scene.shell("(sleep 0.4; echo x > late) >/dev/null 2>&1 &")
    await asyncio.sleep(0.8)
    return (scene.workspace / "late").exists()


@attempt("feign the end and hold the output", KIND)
async def holding(scene: Scene) -> bool:
    """Whoever waits for the end of the output waits for the daemon."""
    ran = await scene.shell("setsid --fork sleep 300; echo done", timeout=3.0)
    return bool(ran.left) or ran.timed_out
