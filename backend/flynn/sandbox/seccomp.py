"""The system call filter: a deny-list as a classic BPF program, generated here, loaded by the launcher.

A call of another architecture kills the process. A call that is newer than this list (on x86_64 every
x32 call too) looks absent (ENOSYS), and so does clone3, whose flags a filter cannot see: the C library
then falls back to clone, and openat2, whose mode it cannot see either. What is denied gets EPERM; the
rest is allowed. Nothing inside makes a program that runs as its owner (set-user-id, set-group-id): such a
file would outlive the sandbox and lend the service's identity to whoever finds it.
Landlock does not restrict changes of metadata, so where it is the only wall around the files (`metadata`)
such calls are asked about: the supervisor makes them within the workspace (see `flynn.sandbox.metadata`).
Only the low 32 bits of an argument are compared: the kernel itself takes these arguments as `int`.
Sources: seccomp(2), the kernel's `filter.h`, `seccomp.h` and `audit.h`.
"""

import errno
import platform
import socket
import struct
from collections.abc import Sequence
from typing import Final, Literal

from flynn.domain.errors import SandboxUnavailable
from flynn.sandbox.system_calls import NEWEST, Architecture, numbers

_AUDIT_ARCH: Final[dict[Architecture, int]] = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

_LOAD, _JUMP_EQUAL, _JUMP_GREATER, _JUMP_SET, _AND, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x54, 0x06
_ALLOW, _ASK, _KILL_PROCESS, _ERRNO = 0x7FFF0000, 0x7FC00000, 0x80000000, 0x00050000
_DENY, _ABSENT, _UNSUPPORTED = (_ERRNO | number for number in (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP))

_NUMBER_OFFSET, _ARCHITECTURE_OFFSET, _ARGUMENTS_OFFSET = 0, 4, 16

_NEW_NAMESPACES: Final = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET (NEWTIME exists for clone3 only)."""
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_FILE_FLAGS: Final = (0x40086602, 0x40046602, 0x40087602, 0x401C5820)
"""FS_IOC_SETFLAGS, FS_IOC32_SETFLAGS, FS_IOC_SETVERSION and FS_IOC_FSSETXATTR: for who may only read, too."""
_MAKES_A_FILE: Final = 0o20000100
"""O_CREAT and the bit of O_TMPFILE that is its own: with neither, the mode of an open is not looked at."""
_RUNS_AS_OWNER: Final = 0o6000
"""S_ISUID and S_ISGID."""
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
    *("vhangup", "lookup_dcookie", "nfsservctl", "uselib", "ustat", "sysfs", "_sysctl", "file_setattr"),
)
_SHARED_MEMORY_AND_QUEUES: Final = (
    *("shmget", "shmat", "shmctl", "shmdt", "semget", "semop", "semctl", "semtimedop"),
    *("msgget", "msgsnd", "msgrcv", "msgctl", "mq_open", "mq_unlink"),
)

_MODE_ARGUMENT: Final = {"chmod": 1, "fchmod": 1, "fchmodat": 2, "fchmodat2": 2}
_NEW_FILE_ARGUMENTS: Final = {"open": (1, 2), "openat": (2, 3), "creat": (None, 1)}
"""Positions of flags and mode."""
_NODE_MODE_ARGUMENT: Final = {"mknod": 1, "mknodat": 2}
_OWNERS_AND_TIMES: Final = (
    *("chown", "fchown", "lchown", "fchownat", "utime", "utimes", "futimesat", "utimensat"),
)
_EXTENDED_ATTRIBUTES: Final = (
    *("setxattr", "lsetxattr", "fsetxattr", "setxattrat"),
    *("removexattr", "lremovexattr", "fremovexattr", "removexattrat"),
)

Metadata = Literal["allowed", "asked", "refused"]
"""What becomes of a call that changes mode, owner or times of a file."""

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


_CONNECTED_FOR_GOOD: Final = [
    *(_argument(1), (_AND, 0, 0, 0xF)),
    *((_JUMP_EQUAL, 2, 0, int(socket.SOCK_STREAM)), (_JUMP_EQUAL, 1, 0, int(socket.SOCK_SEQPACKET))),
    _answer(_DENY),
]
"""Of a pair of datagram sockets, each could be sent from to, or connected with, any other that has a name."""


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


def _files(metadata: Metadata) -> dict[str, list[Instruction]]:
    """No program that runs as its owner; and metadata as it is wished."""
    answers = {"allowed": _ALLOW, "asked": _ASK, "refused": _DENY}
    last = [_answer(answers[metadata])]

    def no_mode(argument: int) -> list[Instruction]:
        return [_argument(argument), (_JUMP_SET, 0, 1, _RUNS_AS_OWNER), _answer(_DENY)]

    calls = {name: [*no_mode(argument), *last] for name, argument in _MODE_ARGUMENT.items()}
    for name, (flags, mode) in _NEW_FILE_ARGUMENTS.items():
        made = [] if flags is None else [_argument(flags), (_JUMP_SET, 0, 3, _MAKES_A_FILE)]
        calls[name] = [*made, *no_mode(mode)]
    calls |= {name: no_mode(argument) for name, argument in _NODE_MODE_ARGUMENT.items()}
    calls |= {name: last for name in _OWNERS_AND_TIMES if metadata != "allowed"}
    # "The file system has none" is an answer that programs which copy files know how to take.
    calls |= {name: [_answer(_UNSUPPORTED)] for name in _EXTENDED_ATTRIBUTES if metadata != "allowed"}
    return calls


def _conditional(*, network: bool, metadata: Metadata) -> dict[str, list[Instruction]]:
    own_process = ("prlimit64", "sched_setparam", "sched_setscheduler", "sched_setaffinity", "sched_setattr")
    return {
        "clone": [_argument(0), (_JUMP_SET, 0, 1, _NEW_NAMESPACES), _answer(_DENY)],
        "clone3": [_answer(_ABSENT)],
        "openat2": [_answer(_ABSENT)],
        # Memory without a mapping that could be counted; space that is taken faster than anybody looks.
        **{name: [_answer(_ABSENT)] for name in ("memfd_create", "memfd_secret")},
        "fallocate": [_answer(_UNSUPPORTED)],
        "ioctl": _refuse(1, (_TIOCSTI, _TIOCLINUX, *_FILE_FLAGS)),
        **_files(metadata),
        **{name: _demand(0, 0) for name in own_process},
        "setpriority": [*_demand(0, _PRIO_PROCESS), *_demand(1, 0)],
        "ioprio_set": [*_demand(0, _IOPRIO_WHO_PROCESS), *_demand(1, 0)],
        "socket": _sockets(network=network),
        "socketpair": [*_demand(0, int(socket.AF_UNIX)), *([] if network else _CONNECTED_FOR_GOOD)],
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


def assemble(
    architecture: Architecture, *, network: bool, metadata: Metadata = "allowed"
) -> list[Instruction]:
    """Generate the filter. `network` tells that the sandbox has a network namespace of its own.

    `metadata` "asked" needs a listener (SECCOMP_FILTER_FLAG_NEW_LISTENER); without one such calls fail.
    """
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
    for name, steps in _conditional(network=network, metadata=metadata).items():
        if name not in known:
            continue
        block = [*steps, _answer(_ALLOW)]
        program += [(_JUMP_EQUAL, 0, len(block), known[name]), *block]
    return [*program, _answer(_ALLOW)]


def asked(architecture: Architecture) -> dict[int, str]:
    """The calls, by number, that a filter with `metadata` "asked" asks about."""
    known = numbers(architecture)
    return {known[name]: name for name in (*_MODE_ARGUMENT, *_OWNERS_AND_TIMES) if name in known}


def encode(program: Sequence[Instruction]) -> bytes:
    """The program as an array of `struct sock_filter`, in this machine's byte order."""
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
