"""Attempts to use up what others need: memory, processes, descriptors, disk, patience.

The limits are made small for these trials, so that a trial that succeeds harms nobody; what enforces them
is the same. `alone`: no two of them at once.
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

from flynn.sandbox.limits import Limits
from flynn.workspace.scratch import remove_scratch
from tests.escapes.attempt import Household, NotHere, attempt
from tests.escapes.scene import Scene

KIND: Final = "resources"

_EITHER: Final[tuple[Household, ...]] = ("root", "user")
"""What watches over sums does not know whose process it is."""
_MIB: Final = 2**20
_LITTLE: Final = Limits(tree_memory=100 * _MIB)
_HOLD: Final = "\nimport time\ntime.sleep(1.2)\nprint(NONCE)\n"

_MEMORY: Final = {
    "use much memory": 'held = bytearray(b"x") * (240 << 20)',
    "use much memory in shared pages": """
import mmap
held = mmap.mmap(-1, 240 << 20)
for page in range(0, 240 << 20, 4096):
    held[page] = 1
""",
    "use much memory in unnamed files": """
held = [os.memfd_create("x") for _ in range(4)]
for file in held:
    for _ in range(60):
        os.write(file, bytes(1 << 20))
""",
    "use much memory in mapped unnamed files": """
import mmap
held = []
for _ in range(4):
    file = os.memfd_create("x")
    os.ftruncate(file, 60 << 20)
    held.append(mmap.mmap(file, 60 << 20))
    for page in range(0, 60 << 20, 4096):
        held[-1][page] = 1
""",
    "use much memory in System V segments": """
libc.shmat.restype = ctypes.c_void_p
for _ in range(4):
    number = libc.shmget(0, 60 << 20, 0o1600)
    if number < 0:
        sys.exit("refused")
    address = libc.shmat(number, None, 0)
    ctypes.memset(address, 1, 60 << 20)
    libc.shmctl(number, 0, None)
""",
    "use much memory in many processes": """
for _ in range(5):
    if os.fork() == 0:
        held = bytearray(b"x") * (60 << 20)
        libc.sleep(2)
        os._exit(0)
""",
}


def _memory(name: str, source: str) -> None:
    @attempt(name, KIND, households=_EITHER, alone=True)
    async def act(scene: Scene) -> bool:
        ran = await scene.python(source + _HOLD, limits=_LITTLE)
        return scene.nonce.encode() in ran.output


for _name, _source in _MEMORY.items():
    _memory(_name, _source)

_CRAMMED: Final = {
    "start many processes": """
for _ in range(700):
    if os.fork() == 0:
        libc.sleep(3)
        os._exit(0)
""",
    "fork without end": """
for _ in range(10):
    os.fork()
if os.getpid() != int(os.environ.get("FIRST", os.getpid())):
    libc.sleep(2)
    os._exit(0)
""",
    "start many threads": """
import threading
threading.stack_size(65536)
for _ in range(700):
    threading.Thread(target=libc.sleep, args=(2,), daemon=True).start()
""",
    "open many descriptors": """
import resource
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
held = [os.open("/dev/null", os.O_RDONLY) for _ in range(2000)]
""",
    "write a large file": 'file = open("large", "wb")\nfor _ in range(270): file.write(bytes(1 << 20))',
    "make a large sparse file": 'os.truncate(os.open("sparse", os.O_CREAT | os.O_RDWR), 300 << 20)',
    "reserve a large file": 'os.posix_fallocate(os.open("full", os.O_CREAT | os.O_RDWR), 0, 300 << 20)',
    "make a message queue": """
name = f"/flynn-escape-{os.getpid()}".encode()
if libc.mq_open(name, 0o102, 0o600, None) < 0:
    sys.exit("no")
libc.mq_unlink(name)
""",
    "fill shared memory's files": """
names = [f"/dev/shm/flynn-escape-{os.getpid()}-{n}" for n in range(2)]
try:
    for name in names:
        with open(name, "wb") as file:
            for _ in range(160):
                file.write(bytes(1 << 20))
finally:
    for name in filter(os.path.exists, names):
        os.unlink(name)
""",
    "leave a core": 'import resource\nif resource.getrlimit(resource.RLIMIT_CORE)[1] == 0: sys.exit("no")',
}


def _crammed(name: str, source: str) -> None:
    @attempt(name, KIND, alone=True)
    async def act(scene: Scene) -> bool:
        ran = await scene.python(f'os.environ["FIRST"] = str(os.getpid())\n{source}{_HOLD}')
        return scene.nonce.encode() in ran.output


for _name, _source in _CRAMMED.items():
    _crammed(_name, _source)


@attempt("fill the disk with many files", KIND, households=_EITHER, alone=True)
async def disk(scene: Scene) -> bool:
    """The reserve is what is free now, less a little."""
    await _needs_disk(scene)
    reserve = shutil.disk_usage(scene.workspace).free - 100 * _MIB
    ran = await scene.python(
        'for n in range(8):\n    open(f"file{n}", "wb").write(bytes(50 << 20))\n'
        "    libc.usleep(150000)\nprint(NONCE)",
        limits=Limits(disk_reserve=reserve),
    )
    return scene.nonce.encode() in ran.output


@attempt("fill the disk from the private /tmp", KIND, households=_EITHER, alone=True)
async def disk_of_tmp(scene: Scene) -> bool:
    await _needs_disk(scene)
    reserve = shutil.disk_usage(scene.workspace).free - 100 * _MIB
    ran = await scene.python(
        'for n in range(8):\n    open(os.environ["TMPDIR"] + f"/file{n}", "wb").write(bytes(50 << 20))\n'
        "    libc.usleep(150000)\nprint(NONCE)",
        limits=Limits(disk_reserve=reserve),
    )
    return scene.nonce.encode() in ran.output


@attempt("flood the output", KIND, households=_EITHER, alone=True)
async def flood(scene: Scene) -> bool:
    ran = await scene.shell("head -c 7000000 /dev/zero; sleep 3", output_kill=2_000_000)
    return len(ran.output) > 2_500_000 or (ran.kill_reason is None and not scene.control)


@attempt("flood the output from a daemon", KIND, households=_EITHER, alone=True)
async def flood_from_daemon(scene: Scene) -> bool:
    script = 'setsid --fork bash -c "head -c 7000000 /dev/zero"; sleep 3'
    ran = await scene.shell(script, output_kill=2_000_000)
    return len(ran.output) > 2_500_000 or (ran.kill_reason is None and not scene.control)


@attempt("make directories too deep to remove", KIND, alone=True)
async def deep(scene: Scene) -> bool:
    """In the private /tmp: whoever removes it by recursion fails, and the directory stays."""
    before = _temporaries(scene.uid)
    await scene.python(
        'os.chdir(os.environ["TMPDIR"])\nfor _ in range(1100):\n    os.mkdir("d")\n    os.chdir("d")\n'
    )
    try:
        if scene.control:
            shutil.rmtree(scene.tmp)
        else:
            remove_scratch(scene.scratch)
    except (OSError, RecursionError):
        return True
    finally:
        if scene.control:
            remove_scratch(scene.tmp)
    return bool(_temporaries(scene.uid) - before)


def _temporaries(uid: int) -> set[Path]:
    """What the sandbox makes for a uid of its own that cannot reach the service's directories."""
    found = Path(tempfile.gettempdir()).glob("flynn-*")
    return {path for path in found if uid != os.geteuid() and path.stat().st_uid == uid}


async def _needs_disk(scene: Scene) -> None:
    if shutil.disk_usage(scene.workspace).free < 3 << 30:
        raise NotHere("less than 3 GiB are free")
