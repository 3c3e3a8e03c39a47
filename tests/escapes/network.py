"""Attempts to talk to anybody outside: over networks, sockets of files and of names, and the kernel."""

import os
import socket
from typing import Final

from tests.escapes.attempt import ROOT, attempt, heard, python, reached, shell
from tests.escapes.scene import Scene

KIND: Final = "network"

_TELL: Final = """
import socket
def tell(family, address, kind=socket.SOCK_STREAM):
    with socket.socket(family, kind) as out:
        out.settimeout(2)
        out.connect(address)
        out.sendall(MESSAGE.encode())
"""

python("dial loopback", KIND, f'{_TELL}tell(socket.AF_INET, ("127.0.0.1", int(TCP)))', heard, fast=True)
python(
    "dial another loopback address", KIND, f'{_TELL}tell(socket.AF_INET, ("127.9.8.7", int(ANYWHERE)))', heard
)
python("dial the unspecified address", KIND, f'{_TELL}tell(socket.AF_INET, ("0.0.0.0", int(TCP)))', heard)
python("dial the host's own address", KIND, f"{_TELL}tell(socket.AF_INET, (ADDRESS, int(ANYWHERE)))", heard)
python("dial loopback over IPv6", KIND, f'{_TELL}tell(socket.AF_INET6, ("::1", int(TCP6)))', heard)
python("dial IPv4 through IPv6", KIND, f'{_TELL}tell(socket.AF_INET6, ("::ffff:127.0.0.1", int(TCP)))', heard)
python(
    "send a datagram", KIND, f'{_TELL}tell(socket.AF_INET, ("127.0.0.1", int(UDP)), socket.SOCK_DGRAM)', heard
)
python(
    "send with the first packet",
    KIND,
    """
import socket
out = socket.socket()
out.sendto(MESSAGE.encode(), 0x20000000, ("127.0.0.1", int(TCP)))  # MSG_FASTOPEN
""",
    heard,
)
shell("dial with bash", KIND, 'echo "$MESSAGE" > "/dev/tcp/127.0.0.1/$TCP"', heard)
shell("send a datagram with bash", KIND, 'echo "$MESSAGE" > "/dev/udp/127.0.0.1/$UDP"', heard)
python("dial a unix socket", KIND, f"{_TELL}tell(socket.AF_UNIX, UNIX)", heard)
python(
    "dial a unix socket through a link",
    KIND,
    f'{_TELL}os.symlink(UNIX, "s")\ntell(socket.AF_UNIX, "s")',
    heard,
)
python("dial an abstract socket", KIND, f'{_TELL}tell(socket.AF_UNIX, "\\0" + ABSTRACT)', heard)
python(
    "send a datagram to a unix socket",
    KIND,
    f"{_TELL}tell(socket.AF_UNIX, DATAGRAM, socket.SOCK_DGRAM)",
    heard,
)
python(
    "send a datagram with one socket of a pair",
    KIND,
    """
import socket
mine, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
mine.sendto(MESSAGE.encode(), DATAGRAM)
""",
    heard,
)
python(
    "connect one socket of a pair elsewhere",
    KIND,
    """
import socket
mine, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
mine.connect(DATAGRAM)
mine.send(MESSAGE.encode())
""",
    heard,
)
python(
    "send with one raw socket of a pair",
    KIND,
    """
import socket
mine, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_RAW)
mine.sendto(MESSAGE.encode(), DATAGRAM)
""",
    heard,
)
python(
    "open a virtual machine's socket",
    KIND,
    "import socket\nsocket.socket(40, socket.SOCK_STREAM)\nprint(NONCE)",
    reached,
)
python(
    "open a raw socket",
    KIND,
    "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)\nprint(NONCE)",
    reached,
    households=ROOT,
)
python(
    "open a packet socket",
    KIND,
    "import socket\nsocket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x300)\nprint(NONCE)",
    reached,
    households=ROOT,
)
python(
    "see the host's interfaces",
    KIND,
    'import socket\nif [name for _, name in socket.if_nameindex() if name != "lo"]: print(NONCE)',
    reached,
)


@attempt("listen where the host can dial", KIND)
async def listen(scene: Scene) -> bool:
    """Somebody outside would take the answer for that of a service of the host."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    dial = "import socket, time\nheld = socket.create_server(('127.0.0.1', PORT))\nheld.settimeout(1.5)\n"
    dial += "try:\n held.accept()[0].sendall(b'hello')\nexcept OSError as error:\n print(error)\n"
    running = scene.start(scene.python(dial.replace("PORT", str(port))))
    answered = await scene.dial(port, seconds=1.5)
    await running
    return answered


@attempt("use a socket that the service left open", KIND)
async def left_open(scene: Scene) -> bool:
    scene.bait.get("TCP")
    with socket.create_connection(("127.0.0.1", int(scene.bait.get("TCP")))) as kept:
        os.set_inheritable(kept.fileno(), True)
        await scene.shell('for n in {3..60}; do echo "$MESSAGE" >&$n; done 2>/dev/null', hand_on=True)
    return scene.bait.heard()


@attempt("dial a socket that is linked into the workspace", KIND)
async def passed_in(scene: Scene) -> bool:
    """As the socket of a build daemon would be, made before the command runs."""
    scene.bait.get("UNIX")
    link = scene.workspace / "daemon.sock"
    link.symlink_to(scene.bait.get("UNIX"))
    await scene.python(f'{_TELL}tell(socket.AF_UNIX, "daemon.sock")')
    return scene.bait.heard()


_FAMILIES: Final = {
    "netlink of uevents": (16, 2, 15),
    "netlink of the audit": (16, 3, 9),
    "generic netlink": (16, 3, 16),
    "netlink of sockets": (16, 3, 4),
}
for _name, _numbers in _FAMILIES.items():
    python(
        f"open {_name}",
        KIND,
        f"import socket\nsocket.socket{_numbers!r}\nprint(NONCE)",
        reached,
    )
