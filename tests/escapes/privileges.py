"""Attempts to gain privileges, or to keep some."""

from typing import Final

from tests.escapes.attempt import NOT_ROOT, ROOT, attempt, python, reached
from tests.escapes.scene import Scene

KIND: Final = "privileges"

python(
    "use an ability of root",
    KIND,
    'os.mknod("device", 0o20600, os.makedev(1, 5))\nif open("device", "rb").read(1): print(NONCE)',
    reached,
    households=ROOT,
)
python(
    "give a file away",
    KIND,
    'open("mine", "w").close()\nos.chown("mine", 12345, 12345)\nprint(NONCE)',
    reached,
    households=ROOT,
)
python(
    "become another user", KIND, "os.setresuid(12345, 12345, 12345)\nprint(NONCE)", reached, households=ROOT
)
python(
    "become another group", KIND, "os.setresgid(12345, 12345, 12345)\nprint(NONCE)", reached, households=ROOT
)
python("join other groups", KIND, "os.setgroups([0, 1, 6, 42])\nprint(NONCE)", reached, households=ROOT)
python(
    "have an ability",
    KIND,
    """
sets = (ctypes.c_uint32 * 6)()
libc.capget((ctypes.c_uint32 * 2)(0x20080522, 0), sets)
if any(sets): print(NONCE)
""",
    reached,
    households=ROOT,
)
python(
    "raise an ambient ability",
    KIND,
    """
header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
libc.capget(header, sets)
sets[2] |= 1  # inheritable: CAP_CHOWN
if libc.capset(header, sets) == 0 and libc.prctl(47, 2, 0, 0, 0) == 0: print(NONCE)
""",
    reached,
    households=ROOT,
)
python(
    "give a file an ability",
    KIND,
    """
open("mine", "w").close()
os.setxattr("mine", "security.capability", bytes.fromhex("0100000201" + "00" * 15))
print(NONCE)
""",
    reached,
    households=ROOT,
)
python(
    "raise a hard limit",
    KIND,
    "import resource\nresource.setrlimit(resource.RLIMIT_CORE, (4096, 4096))\nprint(NONCE)",
    reached,
)
python("be without no_new_privs", KIND, "if libc.prctl(39, 0, 0, 0, 0) == 0: print(NONCE)", reached)
python("be without a filter", KIND, "if libc.prctl(21, 0, 0, 0, 0) != 2: print(NONCE)", reached)
python(
    "take a better nice value",
    KIND,
    "os.setpriority(os.PRIO_PROCESS, 0, -5)\nprint(NONCE)",
    reached,
    households=ROOT,
)
python(
    "schedule in real time",
    KIND,
    "os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))\nprint(NONCE)",
    reached,
    households=ROOT,
)
python(
    "lock much memory",
    KIND,
    """
import mmap
page = mmap.mmap(-1, 64 << 20)
libc.mlock.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
if libc.mlock(ctypes.addressof(ctypes.c_char.from_buffer(page)), 64 << 20) == 0: print(NONCE)
""",
    reached,
    households=ROOT,
)


@attempt("run a program that becomes root", KIND, households=NOT_ROOT)
async def setuid(scene: Scene) -> bool:
    """A copy of id(1) that belongs to root and has the bit; only a test that is root can make it."""
    program = scene.stand.of_root("id")
    ran = await scene.run('"$1" -u', (str(program),), extra_readonly=(program,))
    return ran.output.strip() == b"0"


@attempt("run a program with an ability", KIND, households=NOT_ROOT)
async def capable(scene: Scene) -> bool:
    """A copy of cat(1) that may read every file."""
    program, secret = scene.stand.of_root("cat"), scene.stand.of_root("secret")
    ran = await scene.run('"$1" "$2"', (str(program), str(secret)), extra_readonly=(program, secret))
    return b"the-secret-of-root" in ran.output
