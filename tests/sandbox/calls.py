"""Runs inside a sandbox: makes system calls that must be refused and prints what came of each.

Prints `name errno` lines; errno 0 means that the call went through. Standard library only.
"""

import ctypes
import os
import platform
import sys

X86 = platform.machine() == "x86_64"
libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWUSER = 0x10000000
SIGCHLD = 17


def call(name: str, x86: int, arm: int, *arguments: object) -> None:
    ctypes.set_errno(0)
    result = libc.syscall(x86 if X86 else arm, *arguments)
    print(name, ctypes.get_errno() if result < 0 else 0)


def main() -> None:
    parent = os.getppid()
    page = bytes(4096)
    call("ptrace", 101, 117, 16, parent, None, None)
    call("process_vm_readv", 310, 270, parent, page, 1, page, 1, 0)
    call("process_vm_writev", 311, 271, parent, page, 1, page, 1, 0)
    call("kcmp", 312, 272, os.getpid(), parent, 0, 0, 0)
    call("pidfd_getfd", 438, 438, 0, 0, 0)
    call("mount", 165, 40, b"none", b"/tmp", b"tmpfs", 0, None)
    call("umount2", 166, 39, b"/tmp", 2)
    call("pivot_root", 155, 41, b"/", b"/")
    call("chroot", 161, 51, b"/")
    call("unshare", 272, 97, CLONE_NEWUSER)
    call("setns", 308, 268, 0, 0)
    call("open_tree", 428, 428, -100, b"/", 0)
    call("move_mount", 429, 429, -100, b"/", -100, b"/", 0)
    call("fsopen", 430, 430, b"tmpfs", 0)
    call("mount_setattr", 442, 442, -100, b"/", 0, page, 32)
    call("io_uring_setup", 425, 425, 1, page)
    call("bpf", 321, 280, 0, page, 72)
    call("perf_event_open", 298, 241, page, 0, -1, -1, 0)
    call("userfaultfd", 323, 282, 0)
    call("add_key", 248, 217, b"user", b"x", b"y", 1, -2)
    call("keyctl", 250, 219, 0, -3, 0)
    call("name_to_handle_at", 303, 264, -100, b"/", page, page, 0)
    call("open_by_handle_at", 304, 265, -100, page, 0)
    call("init_module", 175, 105, page, 0, b"")
    call("kexec_load", 246, 104, 0, 0, None, 0)
    call("reboot", 169, 142, 0, 0, 0, None)
    call("swapon", 167, 224, b"/x", 0)
    call("clock_settime", 227, 112, 0, page)
    call("sethostname", 170, 161, b"x", 1)
    call("clone into a user namespace", 56, 220, CLONE_NEWUSER | SIGCHLD, None, None, None, None)
    call("ioctl TIOCSTI", 16, 29, 0, 0x5412, b"x")
    call("ioctl TIOCLINUX", 16, 29, 0, 0x541C, b"x")
    # High bits that the kernel ignores must not hide the request from the filter.
    call("ioctl TIOCSTI with high bits", 16, 29, 0, ctypes.c_uint64(0xFF00005412), b"x")
    call("prlimit64 of another", 302, 261, parent, 7, None, page)
    call("setpriority of another", 141, 140, 0, parent, 5)
    call("setpriority of a user", 141, 140, 2, 0, 5)
    call("sched_setaffinity of another", 203, 122, parent, 8, page)
    call("ioprio_set of another", 251, 30, 1, parent, 0)
    call("socket of vsock", 41, 198, 40, 1, 0)
    call("socket of packets", 41, 198, 17, 3, 0)
    call("socket of the crypto interface", 41, 198, 38, 5, 0)
    call("socket of netfilter", 41, 198, 16, 3, 12)
    call("clone3", 435, 435, page, 88)
    call("a call from the future", 600, 600)
    if X86:
        call("getpid as x32", 0x40000000 | 39, 0)
    # Controls: what a program may do.
    call("allowed: prlimit64 of itself", 302, 261, 0, 7, None, page)
    call("allowed: setpriority of itself", 141, 140, 0, 0, 5)
    if "network" in sys.argv:
        call("allowed: socket of INET", 41, 198, 2, 1, 0)
        call("allowed: socket of rtnetlink", 41, 198, 16, 3, 0)
    else:
        call("socket of INET", 41, 198, 2, 1, 0)
        call("socket of UNIX", 41, 198, 1, 1, 0)
        call("shmget", 29, 194, 0, 4096, 0o1600)
        call("mq_open", 240, 180, b"x", 0o102, 0o600, None)
    call("allowed: socketpair", 53, 199, 1, 1, 0, page)


if __name__ == "__main__":
    main()
