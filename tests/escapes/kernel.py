"""Attempts to reach wide or dangerous interfaces of the kernel, one system call each.

Where the real call would harm the machine, its arguments are such that an unconfined process gets another
error from the kernel's own check (EINVAL, EFAULT, EBADF …), which is the control; inside, the call must
not get that far.
"""

import errno
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from tests.escapes.attempt import HOUSEHOLDS, ROOT, Household, NotHere, attempt, python, reached
from tests.escapes.scene import Scene

KIND: Final = "kernel"

_STOPPED: Final = (errno.EPERM, errno.ENOSYS)


@dataclass(frozen=True, slots=True)
class KernelCall:
    """A call's numbers (x86_64, aarch64; None where there is none) and its arguments, Python's source."""

    numbers: tuple[int | None, int | None]
    arguments: str


CALLS: Final[dict[str, KernelCall]] = {}


def kernel_call(
    name: str,
    numbers: tuple[int | None, int | None],
    arguments: str,
    *,
    households: Collection[Household] = HOUSEHOLDS,
) -> None:
    """Register one system call as an attempt. All are made in one process, each in a child of its own."""
    CALLS[name] = KernelCall(numbers, arguments)

    @attempt(name, "kernel", households=households)
    async def act(scene: Scene) -> bool:
        results = await _survey(scene)
        if name not in results:
            raise NotHere("this architecture has no such call")
        if scene.control and results[name] == errno.ENOSYS:
            raise NotHere("this kernel has no such call")
        return results[name] >= 0 and results[name] not in _STOPPED


async def _survey(scene: Scene) -> dict[str, int]:
    """The errno of each call, negative where a signal ended it; made once for each backend."""
    known = scene.stand.kernel
    if scene.backend not in known:
        rows = [
            f"({name!r}, ({c.numbers[0]}, {c.numbers[1]}), lambda: ({c.arguments},)),"
            for name, c in CALLS.items()
        ]
        source = "calls = [\n" + "\n".join(rows) + "\n]\n"
        source += "survey([c for c in calls if c[1][0 if X86 else 1] is not None])"
        ran = await scene.python(source, timeout=60.0)
        assert ran.exit_code == 0, ran
        lines = [
            line.split("\t") for line in ran.output.decode(errors="replace").splitlines() if "\t" in line
        ]
        known[scene.backend] = {name: int(status) for name, status in lines}
    result = known[scene.backend]
    scene.said.append(str(result))
    return result


kernel_call("trace oneself", (101, 117), "0, 0, 0, 0")
kernel_call("advise another's memory", (440, 440), "-1, 0, 0, 0, 0")
kernel_call("take a descriptor of nobody", (438, 438), "-1, 0, 0")
kernel_call("move pages", (279, 239), "0, 0, 0, 0, 0, 0")
kernel_call("set up io_uring", (425, 425), "1, bytes(256)")
kernel_call("enter io_uring", (426, 426), "-1, 0, 0, 0, 0, 0")
kernel_call("register with io_uring", (427, 427), "-1, 0, 0, 0")
kernel_call("load a BPF program", (321, 280), "9999, bytes(128), 128")
kernel_call("open performance events", (298, 241), "bytes(128), 0, -1, -1, -1")
kernel_call("handle page faults in user space", (323, 282), "1")
kernel_call("watch a whole file system", (300, 262), "0x200, 0")
kernel_call("add a key", (248, 217), "b'user', b'flynn-escape', b'x', 1, -1")
kernel_call("request a key", (249, 218), "b'user', b'flynn-escape-none', 0, 0")
kernel_call("ask for a key ring", (250, 219), "0, -1, 1")
kernel_call("name a file by handle", (303, 264), "-100, b'/', 1, 1, 0")
kernel_call("open a file by handle", (304, 265), "-100, 1, 0", households=ROOT)
kernel_call("load a module", (175, 105), "1, 0, b''", households=ROOT)
kernel_call("load a module from a file", (313, 273), "-1, b'', 0", households=ROOT)
kernel_call("unload a module", (176, 106), "1, 0", households=ROOT)
kernel_call("load another kernel", (246, 104), "0, 0, 0, 0x7777", households=ROOT)
kernel_call("load another kernel from a file", (320, 294), "-1, -1, 0, 0, 0x7777", households=ROOT)
kernel_call("reboot", (169, 142), "0, 0, 0, 0", households=ROOT)
kernel_call("swap to a file", (167, 224), "b'/no/such/file', 0", households=ROOT)
kernel_call("stop swapping", (168, 225), "b'/no/such/file'", households=ROOT)
kernel_call("set the time of day", (164, 170), "1, 0")
kernel_call("set a clock", (227, 112), "9999, 1")
kernel_call("adjust a clock", (305, 266), "9999, 1")
kernel_call("adjust the time", (159, 171), "1")
kernel_call("set the host's name", (170, 161), "1, -1", households=ROOT)
kernel_call("set the domain's name", (171, 162), "1, -1", households=ROOT)
kernel_call("take I/O ports", (172, None), "4")
kernel_call("take some I/O ports", (173, None), "0xFFFFFFFF, 0xFFFFFFFF, 1")
kernel_call("edit the local descriptor table", (154, None), "0, bytes(64), 64")
kernel_call("turn on accounting", (163, 89), "b'/no/such/file'", households=ROOT)
kernel_call("set quotas", (179, 60), "0xFF, b'/', 0, 0")
kernel_call("set quotas through a descriptor", (443, 443), "-1, 0xFF, 0, 0")
kernel_call("ask for the kernel's log", (103, 116), "10, 0, 0", households=ROOT)
kernel_call("hang up the terminal", (153, 58), "0", households=ROOT)
kernel_call("ask for file systems by number", (139, None), "3")
kernel_call("ask for a device's statistics", (136, None), "0, bytes(64)")
kernel_call("type into a terminal", (16, 29), "0, 0x5412, b'x'")
kernel_call("type into a terminal with high bits", (16, 29), "0, 0xFF00005412, b'x'")
kernel_call("use a console's private call", (16, 29), "0, 0x541C, b'x'")
kernel_call("make a pair of another family", (53, 199), "31, 1, 0, bytes(16)")
kernel_call("open a socket of the crypto interface", (41, 198), "38, 5, 0")
kernel_call("open a socket of Bluetooth", (41, 198), "31, 3, 0")
kernel_call("open a socket of TIPC", (41, 198), "30, 1, 0")
kernel_call("open a socket of an express data path", (41, 198), "44, 3, 0", households=ROOT)
kernel_call(
    "make a user namespace with clone3", (435, 435), "(ctypes.c_uint64 * 8)(0x10000000, 0, 0, 0, 17), 64"
)

python(
    "make a system call of 32 bits",
    KIND,
    """
import mmap
code = bytes.fromhex("b814000000cd80c3")  # mov eax, 20 (getpid); int 0x80; ret
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(code)
address = ctypes.addressof(ctypes.c_char.from_buffer(page))
if ctypes.CFUNCTYPE(ctypes.c_int)(address)() == os.getpid():
    print(NONCE)
""",
    reached,
)
python(
    "type into one's own terminal",
    KIND,
    """
import fcntl, pty
child, master = pty.fork()
if child == 0:
    for letter in b"typed\\n":
        fcntl.ioctl(0, 0x5412, bytes([letter]))
    libc.sleep(1)
    os._exit(0)
libc.usleep(500000)
if b"typed" in os.read(master, 100):
    print(NONCE)
""",
    reached,
    households=ROOT,
)
python(
    "read through io_uring",
    KIND,
    """
parameters = ctypes.create_string_buffer(256)
if call(425, 425, 4, parameters) >= 0:
    print(NONCE)
""",
    reached,
)
python(
    "set the machine's clock",
    KIND,
    """
buffer = ctypes.create_string_buffer(256)  # struct timex, modes 0: a reading
if call(159, 171, buffer) >= 0: print(NONCE)
""",
    reached,
)
