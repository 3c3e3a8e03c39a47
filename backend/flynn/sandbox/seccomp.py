"""The system call filter: a deny-list as a classic BPF program, generated here, loaded by the launcher.

A call of another architecture kills the process. A call that is newer than this list (on x86_64 every
x32 call too) looks absent (ENOSYS), and so does clone3, whose flags a filter cannot see: the C library
then falls back to clone. What is denied gets EPERM; the rest is allowed.
Only the low 32 bits of an argument are compared: the kernel itself takes these arguments as `int`.
Sources: seccomp(2), the kernel's `filter.h`, `seccomp.h` and `audit.h`.
"""

import errno
import platform
import socket
import struct
from collections.abc import Sequence
from typing import Final

from flynn.domain.errors import SandboxUnavailable
from flynn.sandbox.system_calls import NEWEST, Architecture, numbers

_AUDIT_ARCH: Final[dict[Architecture, int]] = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

_LOAD, _JUMP_EQUAL, _JUMP_GREATER, _JUMP_SET, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
_ALLOW, _KILL_PROCESS, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_DENY, _ABSENT = _ERRNO | errno.EPERM, _ERRNO | errno.ENOSYS

_NUMBER_OFFSET, _ARCHITECTURE_OFFSET, _ARGUMENTS_OFFSET = 0, 4, 16

_NEW_NAMESPACES: Final = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET (NEWTIME exists for clone3 only)."""
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_PRIO_PROCESS, _IOPRIO_WHO_PROCESS = 0, 1

_DENIED: Final = (
    *("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp", "pidfd_getfd"),
    *("move_pages", "migrate_pages", "mount", "umount2", "pivot_root", "chroot", "unshare", "setns"),
    *("open_tree", "open_tree_attr", "move_mount", "fsopen", "fsconfig", "fsmount", "fspick"),
    *("mount_setattr", "io_uring_setup", "io_uring_enter", "io_uring_register", "bpf"),
    *("perf_event_open", "userfaultfd", "fanotify_init", "add_key", "request_key", "keyctl"),
    *("name_to_handle_at", "open_by_handle_at", "create_module", "init_module", "finit_module"),
    *("delete_module", "get_kernel_syms", "query_module", "kexec_load", "kexec_file_load", "reboot"),
    *("swapon", "swapoff", "settimeofday", "adjtimex", "clock_settime", "clock_adjtime", "sethostname"),
    *("setdomainname", "iopl", "ioperm", "modify_ldt", "acct", "quotactl", "quotactl_fd", "syslog"),
    *("vhangup", "lookup_dcookie", "nfsservctl", "uselib", "ustat", "sysfs", "_sysctl"),
)
_SHARED_MEMORY_AND_QUEUES: Final = (
    *("shmget", "shmat", "shmctl", "shmdt", "semget", "semop", "semctl", "semtimedop"),
    *("msgget", "msgsnd", "msgrcv", "msgctl", "mq_open", "mq_unlink"),
)

Instruction = tuple[int, int, int, int]
"""code, jump if true, jump if false, constant"""


def _argument(index: int) -> Instruction:
    return (_LOAD, 0, 0, _ARGUMENTS_OFFSET + 8 * index)


def _answer(value: int) -> Instruction:
    return (_RETURN, 0, 0, value)


def _demand(index: int, value: int) -> list[Instruction]:
    """Deny unless argument `index` is `value`."""
    return [_argument(index), (_JUMP_EQUAL, 1, 0, value), _answer(_DENY)]


def _refuse(index: int, values: Sequence[int]) -> list[Instruction]:
    """Deny when argument `index` is one of `values`."""
    compare = [step for value in values for step in ((_JUMP_EQUAL, 0, 1, value), _answer(_DENY))]
    return [_argument(index), *compare]


def _sockets(*, network: bool) -> list[Instruction]:
    """UNIX, INET, INET6 and rtnetlink in an empty network namespace; none at all without one."""
    if not network:
        return [_answer(_DENY)]
    allow = [
        step
        for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6)
        for step in ((_JUMP_EQUAL, 0, 1, int(family)), _answer(_ALLOW))
    ]
    netlink = int(socket.AF_NETLINK)
    return [_argument(0), *allow, (_JUMP_EQUAL, 1, 0, netlink), _answer(_DENY), *_demand(2, 0)]


def _conditional(*, network: bool) -> dict[str, list[Instruction]]:
    own_process = ("prlimit64", "sched_setparam", "sched_setscheduler", "sched_setaffinity", "sched_setattr")
    return {
        "clone": [_argument(0), (_JUMP_SET, 0, 1, _NEW_NAMESPACES), _answer(_DENY)],
        "clone3": [_answer(_ABSENT)],
        "ioctl": _refuse(1, (_TIOCSTI, _TIOCLINUX)),
        **{name: _demand(0, 0) for name in own_process},
        "setpriority": [*_demand(0, _PRIO_PROCESS), *_demand(1, 0)],
        "ioprio_set": [*_demand(0, _IOPRIO_WHO_PROCESS), *_demand(1, 0)],
        "socket": _sockets(network=network),
        "socketpair": _demand(0, int(socket.AF_UNIX)),
    }


def machine() -> Architecture:
    """This machine's architecture; SandboxUnavailable when there is no table for it."""
    name = platform.machine()
    for known in _AUDIT_ARCH:
        if name == known:
            return known
    raise SandboxUnavailable(
        f"there is no system call table for {name}; the sandbox knows x86_64 and aarch64"
    )


def assemble(architecture: Architecture, *, network: bool) -> list[Instruction]:
    """Generate the filter. `network` tells that the sandbox has a network namespace of its own."""
    known = numbers(architecture)
    program: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE_OFFSET),
        (_JUMP_EQUAL, 1, 0, _AUDIT_ARCH[architecture]),
        _answer(_KILL_PROCESS),
        (_LOAD, 0, 0, _NUMBER_OFFSET),
        (_JUMP_GREATER, 0, 1, NEWEST),
        _answer(_ABSENT),
    ]
    denied = (*_DENIED, *(() if network else _SHARED_MEMORY_AND_QUEUES))
    for number in sorted(known[name] for name in denied if name in known):
        program += [(_JUMP_EQUAL, 0, 1, number), _answer(_DENY)]
    for name, steps in _conditional(network=network).items():
        block = [*steps, _answer(_ALLOW)]
        program += [(_JUMP_EQUAL, 0, len(block), known[name]), *block]
    return [*program, _answer(_ALLOW)]


def encode(program: Sequence[Instruction]) -> bytes:
    """The program as an array of `struct sock_filter`, in this machine's byte order."""
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
