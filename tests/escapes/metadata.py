"""Attempts to change or to watch what the file system says about files outside."""

from typing import Final

from tests.escapes.attempt import ROOT, USER, altered, python, reached, shell

KIND: Final = "metadata outside"

shell("change a mode", KIND, 'chmod 777 "$SECRET"', altered)
shell("change a mode through a link", KIND, 'ln -s "$SECRET" link; chmod 777 link', altered)
shell("change a mode of the directory", KIND, 'chmod 777 "$OUTSIDE"', altered)
shell("change a mode by recursion", KIND, "chmod -R 777 ../outside", altered)
shell("set times", KIND, 'touch -d 2001-01-01 "$SECRET"', altered)
shell("change an owner", KIND, 'chown 12345:12345 "$SECRET"', altered, households=ROOT)
shell("change a group to one's own", KIND, 'chgrp "$(id -g)" "$SECRET"; chmod g+rwxs "$SECRET"', altered)
shell("see that a file is there", KIND, '[ -e "$SECRET" ] && echo "$NONCE"', reached)
shell("see a file's size and time", KIND, 'stat -c %s "$SECRET" && echo "$NONCE"', reached)
shell("see where the service's data lies", KIND, '[ -d "$DATA" ] && echo "$NONCE"', reached)
shell("go to a directory outside", KIND, 'cd "$OUTSIDE" && echo "$NONCE"', reached)
shell("see a link's target", KIND, 'readlink "/proc/$VICTIM/cwd" && echo "$NONCE"', reached)

python(
    "set an extended attribute",
    KIND,
    'os.setxattr(SECRET, "user.planted", b"x")',
    altered,
)
python(
    "set an access list",
    KIND,
    """
import struct
entries = [(1, 7, -1), (2, 7, 12345), (4, 7, -1), (16, 7, -1), (32, 7, -1)]
value = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
os.setxattr(SECRET, "system.posix_acl_access", value)
""",
    altered,
)
python(
    "change a mode through an O_PATH descriptor",
    KIND,
    'held = os.open(SECRET, os.O_PATH)\nos.chmod(f"/proc/self/fd/{held}", 0o777)',
    altered,
)
python("change a mode with fchmodat2", KIND, "call(452, 452, -100, SECRET.encode(), 0o777, 0)", altered)
python(
    "set a flag of the file",
    KIND,
    """
import fcntl, struct
held = os.open(SECRET, os.O_RDONLY)
flags = struct.unpack("l", fcntl.ioctl(held, 0x80086601, bytes(8)))[0]
fcntl.ioctl(held, 0x40086602, struct.pack("l", flags | 0x80))
if struct.unpack("l", fcntl.ioctl(held, 0x80086601, bytes(8)))[0] & 0x80:
    print(NONCE)
""",
    reached,
)
python(
    "take a lease on a file",
    KIND,
    """
import fcntl
held = os.open(SECRET, os.O_RDONLY)
fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print(NONCE)
""",
    reached,
    households=USER,
)
python(
    "lock a file",
    KIND,
    "import fcntl\nfcntl.flock(os.open(SECRET, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)\nprint(NONCE)",
    reached,
)
python(
    "watch a directory",
    KIND,
    """
watch = libc.inotify_init()
if libc.inotify_add_watch(watch, OUTSIDE.encode(), 0xFFF) >= 0:
    print(NONCE)
""",
    reached,
)
python(
    "see how full the disk is",
    KIND,
    "os.statvfs(SECRET)\nprint(NONCE)",
    reached,
)
