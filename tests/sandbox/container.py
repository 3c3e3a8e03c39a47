"""Starts a program as a container with default options would: some system calls and capabilities are gone.

    python container.py ARGUMENT…

A stand-in for Docker's default profile as far as a sandbox meets it: no new namespaces, no mounts, no
keyrings, no bpf, no perf, no userfaultfd, no io_uring; Landlock, seccomp and openat2 are allowed.
"""

import ctypes
import errno
import os
import sys

from flynn.sandbox.seccomp import Instruction, encode, machine
from flynn.sandbox.system_calls import numbers

KEPT = {0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31}
"""Capabilities that a container's root has."""
REFUSED = (
    *("unshare", "setns", "mount", "umount2", "pivot_root", "open_tree", "move_mount", "fsopen", "fsmount"),
    *("mount_setattr", "keyctl", "add_key", "request_key", "bpf", "perf_event_open", "userfaultfd"),
    *("io_uring_setup", "open_by_handle_at", "kexec_load", "init_module", "finit_module", "reboot"),
)
NEW_NAMESPACES = 0x7E020000
LOAD, EQUAL, SET, RETURN = 0x20, 0x15, 0x45, 0x06
ALLOW, EPERM, ENOSYS = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS


def program() -> bytes:
    known = numbers(machine())
    steps: list[Instruction] = [(LOAD, 0, 0, 0)]
    for name in REFUSED:
        steps += [(EQUAL, 0, 1, known[name]), (RETURN, 0, 0, EPERM)]
    steps += [(EQUAL, 0, 1, known["clone3"]), (RETURN, 0, 0, ENOSYS)]
    steps += [(EQUAL, 0, 3, known["clone"]), (LOAD, 0, 0, 16), (SET, 0, 1, NEW_NAMESPACES)]
    return encode([*steps, (RETURN, 0, 0, EPERM), (RETURN, 0, 0, ALLOW)])


def main() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in set(range(64)) - KEPT:
        libc.prctl(24, capability, 0, 0, 0)
    libc.prctl(38, 1, 0, 0, 0)
    code = program()
    buffer = ctypes.create_string_buffer(code, len(code))
    head = (ctypes.c_uint64 * 2)(len(code) // 8, ctypes.addressof(buffer))
    if os.environ.get("WITH_LISTENER"):
        # As a runtime that answers some calls itself: there can be no second one further in.
        listener = libc.syscall(317 if os.uname().machine == "x86_64" else 277, 1, 1 << 3, head)
        os.set_inheritable(listener, True)
    elif libc.prctl(22, 2, head, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    os.execv(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
