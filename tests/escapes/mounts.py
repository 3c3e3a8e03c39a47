"""Attempts to make name spaces and mounts, and to break out of a root directory."""

from typing import Final

from tests.escapes.attempt import ROOT, python, reached, shell
from tests.escapes.kernel import kernel_call

KIND: Final = "kernel"

_NEW: Final = {
    "user": 0x10000000,
    "mount": 0x00020000,
    "process": 0x20000000,
    "network": 0x40000000,
    "IPC": 0x08000000,
    "host name": 0x04000000,
    "control group": 0x02000000,
    "time": 0x00000080,
}
for _name, _flag in _NEW.items():
    kernel_call(f"unshare the {_name} namespace", (272, 97), f"{0x10000000 | _flag:#x}")
for _name, _flag in _NEW.items():
    if _name != "time":
        kernel_call(f"clone into a {_name} namespace", (56, 220), f"{0x10000000 | _flag | 17:#x}, 0, 0, 0, 0")
kernel_call("enter a namespace", (308, 268), "-1, 0")
kernel_call("mount", (165, 40), "b'none', b'/', 1, 0, 0")
kernel_call("unmount", (166, 39), "b'/', 0x1000")
kernel_call("change the root directory", (161, 51), "1")
kernel_call("exchange the root mount", (155, 41), "b'/no', b'/no'", households=ROOT)
kernel_call("open a tree of mounts", (428, 428), "-100, b'/', 0")
kernel_call("move a mount", (429, 429), "-1, b'', -1, b'', 0xF0000", households=ROOT)
kernel_call("open a file system", (430, 430), "b'no-such-file-system', 0", households=ROOT)
kernel_call("configure a file system", (431, 431), "-1, 0, 0, 0, 0")
kernel_call("mount a file system", (432, 432), "-1, 0, 0", households=ROOT)
kernel_call("pick a mount", (433, 433), "-100, b'/no/such', 0", households=ROOT)
kernel_call("set attributes of a mount", (442, 442), "-100, b'/', 0xF0000, bytes(32), 32")
kernel_call("open a tree with attributes", (467, 467), "-100, b'/', 0xF0000, bytes(32), 32")

shell(
    "mount as root of a new namespace",
    KIND,
    'unshare -Urm bash -c \'mkdir m && mount -t tmpfs none m && echo "$0"\' "$NONCE"',
    reached,
    fast=True,
)
shell(
    "see through a bind mount",
    KIND,
    """
unshare -Urm bash -c 'mkdir m && mount --bind "$0" m\\
    && cat m/secret >/dev/null && echo "$1"' "$OUTSIDE" "$NONCE"
""",
    reached,
)
shell(
    "map oneself to root",
    KIND,
    'unshare -U --map-root-user bash -c \'[ "$(id -u)" = 0 ] && echo "$0"\' "$NONCE"',
    reached,
)
shell(
    "enter a victim's namespaces",
    KIND,
    'nsenter -t "$VICTIM" -m -n true && echo "$NONCE"',
    reached,
    households=ROOT,
)
shell(
    "mount a tmpfs",
    KIND,
    'mkdir m && mount -t tmpfs none m && echo "$NONCE"; umount m',
    reached,
    households=ROOT,
)
python(
    "break out of a root directory",
    KIND,
    """
os.mkdir("jail")
os.chroot("jail")
for _ in range(50):
    os.chdir("..")
os.chroot(".")
os.write(1, open(SECRET, "rb").read() and NONCE.encode())
""",
    reached,
    households=ROOT,
)
