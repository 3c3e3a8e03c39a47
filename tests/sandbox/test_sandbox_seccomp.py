"""The filter as a program: its tables against the kernel's headers, its answers by an interpreter."""

import errno
import re
from pathlib import Path
from typing import get_args

import pytest

from flynn.sandbox import seccomp
from flynn.sandbox.metadata import _ARGUMENTS
from flynn.sandbox.seccomp import Instruction, Metadata, asked, assemble, encode
from flynn.sandbox.system_calls import NEWEST, Architecture, numbers

ARCHITECTURES = get_args(Architecture)
AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
HEADERS: dict[Architecture, tuple[str, ...]] = {
    "x86_64": (
        "/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
        "/usr/include/asm/unistd_64.h",
        "/usr/x86_64-linux-gnu/include/asm/unistd_64.h",
    ),
    "aarch64": ("/usr/include/asm-generic/unistd.h", "/usr/aarch64-linux-gnu/include/asm-generic/unistd.h"),
}
ALLOW, ASK, KILL = 0x7FFF0000, 0x7FC00000, 0x80000000
X86_ONLY = {
    *("chmod", "chown", "lchown", "utime", "utimes", "futimesat", "open", "creat", "mknod"),
    *("create_module", "get_kernel_syms", "query_module", "iopl", "ioperm", "modify_ldt"),
    *("uselib", "ustat", "sysfs", "_sysctl"),
}
"""What aarch64 never had, or had only under its newer names."""
PLAIN = {name for name in numbers("x86_64") if "chown" in name or "utime" in name or "xattr" in name}
"""Refused or asked about under Landlock only."""
CREATE, TEMPORARY = 0o100, 0o20200000


def answer(program: list[Instruction], number: int, *arguments: int, audit: int) -> int:
    """Interpret the program as the kernel would (the six instructions that it uses)."""
    words = [number, audit, 0, 0]
    for argument in (*arguments, *[0] * (6 - len(arguments))):
        words += [argument & 0xFFFFFFFF, argument >> 32]
    register = position = 0
    while True:
        code, if_true, if_false, constant = program[position]
        position += 1
        match code:
            case 0x20:
                register = words[constant // 4]
            case 0x15:
                position += if_true if register == constant else if_false
            case 0x25:
                position += if_true if register > constant else if_false
            case 0x45:
                position += if_true if register & constant else if_false
            case 0x54:
                register &= constant
            case 0x06:
                return constant
            case _:
                raise AssertionError(f"unknown instruction {code:#x}")


def verdict(value: int) -> str:
    if value in (ALLOW, ASK, KILL):
        return {ALLOW: "allow", ASK: "ask", KILL: "kill"}[value]
    return errno.errorcode[value & 0xFFFF]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_tables_are_those_of_the_kernel(architecture: Architecture) -> None:
    header = next((path for name in HEADERS[architecture] if (path := Path(name)).exists()), None)
    if header is None:
        pytest.skip("the kernel's headers are not installed")
    pattern = re.compile(r"#define __NR(?:3264)?_(\w+) (\d+)")
    truth = {
        match[1]: int(match[2]) for line in header.read_text().splitlines() if (match := pattern.match(line))
    }
    ours = numbers(architecture)
    common = ours.keys() & truth.keys()
    assert len(common) > 70
    assert {name: ours[name] for name in common} == {name: truth[name] for name in common}


def test_every_call_is_in_both_tables_but_for_what_aarch64_never_had() -> None:
    assert numbers("x86_64").keys() - numbers("aarch64").keys() == X86_ONLY
    assert numbers("aarch64").keys() <= numbers("x86_64").keys()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_denied_call_is_refused_wherever_it_exists(architecture: Architecture) -> None:
    program, known = assemble(architecture, network=False), numbers(architecture)
    for name in (*seccomp._DENIED, *seccomp._SHARED_MEMORY_AND_QUEUES):
        if name in known:
            assert verdict(answer(program, known[name], audit=AUDIT[architecture])) == "EPERM", name
        else:
            assert name in X86_ONLY


@pytest.mark.parametrize("metadata", get_args(Metadata))
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_metadata_is_allowed_asked_about_or_refused(architecture: Architecture, metadata: Metadata) -> None:
    program, known = assemble(architecture, network=False, metadata=metadata), numbers(architecture)
    expected = {"allowed": "allow", "asked": "ask", "refused": "EPERM"}[metadata]
    calls = {name: number for number, name in asked(architecture).items()}
    assert {"fchmod", "fchmodat", "fchmodat2", "fchown", "fchownat", "utimensat"} <= calls.keys()
    assert set(_ARGUMENTS) == {name for each in ARCHITECTURES for name in asked(each).values()}
    for name, number in calls.items():
        assert verdict(answer(program, number, audit=AUDIT[architecture])) == expected, name
    for name in ("setxattr", "lsetxattr", "fsetxattr", "setxattrat", "removexattr", "removexattrat"):
        found = verdict(answer(program, known[name], audit=AUDIT[architecture]))
        assert found == ("allow" if metadata == "allowed" else "ENOTSUP"), name


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_no_program_that_runs_as_its_owner_is_made(architecture: Architecture) -> None:
    program, known = assemble(architecture, network=True), numbers(architecture)

    def of(name: str, *arguments: int) -> str | None:
        if name not in known:
            return None
        return verdict(answer(program, known[name], *arguments, audit=AUDIT[architecture]))

    for bit in (0o4000, 0o2000, 0o6000):
        mode = bit | 0o755
        refused = [
            of("chmod", 1, mode),
            *(of("fchmod", 1, mode), of("fchmodat", 1, 1, mode), of("fchmodat2", 1, 1, mode)),
            *(of("open", 1, CREATE, mode), of("openat", 1, 1, CREATE, mode), of("creat", 1, mode)),
            *(of("openat", 1, 1, TEMPORARY, mode), of("mknod", 1, mode), of("mknodat", 1, 1, mode)),
        ]
        assert set(refused) - {None} == {"EPERM"}
        assert of("openat", 1, 1, 0, mode) == "allow", "without O_CREAT the mode is not looked at"
    assert of("openat2") == "ENOSYS"
    assert of("openat", 1, 1, CREATE, 0o1777) == of("fchmodat", 1, 1, 0o1777) == "allow"
    for flags in (0x40086602, 0x40046602, 0x401C5820):
        assert of("ioctl", 1, flags) == "EPERM"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_no_number_is_used_twice(architecture: Architecture) -> None:
    values = list(numbers(architecture).values())
    assert len(values) == len(set(values))
    assert max(values) <= NEWEST


@pytest.mark.parametrize("network", [True, False])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_call_gets_its_verdict(architecture: Architecture, network: bool) -> None:
    program = assemble(architecture, network=network)
    known = numbers(architecture)
    audit = AUDIT[architecture]

    def of(name: str, *arguments: int) -> str:
        return verdict(answer(program, known[name], *arguments, audit=audit))

    assert of("ptrace") == of("mount") == of("unshare") == of("bpf") == of("io_uring_setup") == "EPERM"
    assert of("clone3") == "ENOSYS"
    assert of("clone", 0x01200011) == "allow"
    for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert of("clone", flag | 17) == "EPERM"
    assert of("ioctl", 1, 0x5401) == "allow"
    assert of("ioctl", 1, 0x5412) == of("ioctl", 1, 0x541C) == of("ioctl", 1, 0xFF_00005412) == "EPERM"
    assert of("prlimit64", 0) == of("sched_setaffinity", 0) == of("setpriority", 0, 0) == "allow"
    assert of("prlimit64", 1) == of("sched_setaffinity", 1) == of("setpriority", 0, 1) == "EPERM"
    assert of("setpriority", 2, 0) == of("ioprio_set", 3, 0) == "EPERM"
    assert of("ioprio_set", 1, 0) == "allow"
    inside = "allow" if network else "EPERM"
    assert of("socketpair", 2) == "EPERM"
    for flags in (0, 0o2000000, 0o4000):
        assert of("socketpair", 1, 1 | flags) == of("socketpair", 1, 5 | flags) == "allow"
        # One that takes datagrams could send them to any socket that has a name.
        assert of("socketpair", 1, 2 | flags) == of("socketpair", 1, 3 | flags) == inside
    assert of("socket", 1) == of("socket", 2) == of("socket", 10) == of("socket", 16, 3, 0) == inside
    assert of("socket", 16, 3, 12) == of("socket", 40) == of("socket", 17) == of("socket", 38) == "EPERM"
    assert of("shmget") == of("mq_open") == inside
    assert of("memfd_create") == of("memfd_secret") == "ENOSYS"
    assert of("fallocate") == "ENOTSUP"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_ordinary_calls_pass_and_foreign_ones_do_not(architecture: Architecture) -> None:
    program = assemble(architecture, network=True)
    audit = AUDIT[architecture]
    named = {number for name, number in numbers(architecture).items() if name not in PLAIN}
    for number in range(NEWEST + 1):
        if number not in named:
            assert verdict(answer(program, number, audit=audit)) == "allow"
    for number in (NEWEST + 1, 0x40000000, 0x40000000 | 59, 0xFFFFFFFF):
        assert verdict(answer(program, number, audit=audit)) == "ENOSYS"
    for other in (0x40000003, 0x40000028, AUDIT["aarch64" if architecture == "x86_64" else "x86_64"]):
        assert verdict(answer(program, 0, audit=other)) == "kill"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_program_fits_the_kernels_bounds(architecture: Architecture) -> None:
    program = assemble(architecture, network=True)
    assert len(program) < 4096
    assert all(0 <= jump <= 255 for _, *jumps, _ in program for jump in jumps)
    assert len(encode(program)) == 8 * len(program)
