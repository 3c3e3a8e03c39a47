"""Runs inside a sandbox: every call that changes a file's metadata, on one file, in one way to name it.

Arguments: the file, and the way: "path", "descriptor" (O_PATH), "link" (a link to it), "directory" (its
name from a descriptor of its directory), "proc" (/proc/self/fd). Prints {call: errno} as JSON.
The calls are made by number, as a hostile program would. Standard library only.
"""

import ctypes
import json
import os
import platform
import struct
import sys
from pathlib import Path

X86 = platform.machine() == "x86_64"
AT_FDCWD, AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW = -100, 0x1000, 0x100
libc = ctypes.CDLL(None, use_errno=True)
answers: "dict[str, int]" = {}


def call(name: str, x86: "int | None", arm: "int | None", *arguments: object) -> None:
    number = x86 if X86 else arm
    if number is None:
        return
    ctypes.set_errno(0)
    answers[name] = ctypes.get_errno() if libc.syscall(number, *arguments) < 0 else 0


def main() -> None:
    target, way = os.fsencode(sys.argv[1]), sys.argv[2]
    directory, path, flags = AT_FDCWD, target, 0
    try:
        descriptor = os.open(target, os.O_PATH)
    except FileNotFoundError as error:  # a view of its own
        print(json.dumps({"seen": error.errno}))
        return
    if way == "descriptor":
        directory, path, flags = descriptor, b"", AT_EMPTY_PATH
    elif way == "link":
        path = b"a-link-to-it"
        Path("a-link-to-it").symlink_to(os.path.relpath(sys.argv[1]))
    elif way == "directory":
        above, _, path = target.rpartition(b"/")
        directory = os.open(above, os.O_PATH)
    elif way == "proc":
        path = b"/proc/self/fd/%d" % descriptor
    plain = path if way in ("path", "link", "proc") else target
    uid, gid = os.getuid(), os.getgid()
    spec = struct.pack("4q", 1234, 0, 1234, 0)
    value = struct.pack("4q", 1234, 0, 1234, 0)
    if not flags:
        call("fchmodat", 268, 53, directory, path, 0o751)
    call("fchmodat2", 452, 452, directory, path, 0o751, flags)
    call("chmod", 90, None, plain, 0o751)
    call("fchownat", 260, 54, directory, path, uid, gid, flags)
    if way != "link":
        call("fchownat of a link itself", 260, 54, directory, path, uid, gid, flags | AT_SYMLINK_NOFOLLOW)
    call("chown", 92, None, plain, uid, gid)
    call("utimensat", 280, 88, directory, path, spec, flags)
    call("utimes", 235, None, plain, value)
    if not flags:
        call("futimesat", 261, None, directory, path, value)
    call("utime", 132, None, plain, struct.pack("2q", 1234, 1234))
    call("fchmod", 91, 52, descriptor, 0o751)
    call("fchown", 93, 55, descriptor, uid, gid)
    if way == "descriptor":
        call("utimensat of the descriptor", 280, 88, descriptor, b"", spec, AT_EMPTY_PATH)
        call("fchmodat2 of the descriptor", 452, 452, descriptor, b"", 0o751, AT_EMPTY_PATH)
        call("utimensat by /proc", 280, 88, AT_FDCWD, b"/proc/self/fd/%d" % descriptor, spec, 0)
        call("chmod by /proc", 268, 53, AT_FDCWD, b"/proc/self/fd/%d" % descriptor, 0o751)
    name = b"user.planted"
    call("setxattr", 188, 5, plain, name, b"x", 1, 0)
    call("lsetxattr", 189, 6, plain, name, b"x", 1, 0)
    call("fsetxattr", 190, 7, descriptor, name, b"x", 1, 0)
    arguments = struct.pack("QII", ctypes.addressof(ctypes.create_string_buffer(b"x")), 1, 0)
    call("setxattrat", 463, 463, directory, path, flags, name, arguments, len(arguments))
    call("removexattr", 197, 14, plain, name)
    call("lremovexattr", 198, 15, plain, name)
    call("file_setattr", 469, 469, directory, path, bytes(64), 64, flags)
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
