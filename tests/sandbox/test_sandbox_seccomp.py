"""The filter as a program: its tables against the kernel's headers, its answers by an interpreter."""

import errno
import re
from pathlib import Path
from typing import get_args

import pytest

from flynn.sandbox.seccomp import Instruction, assemble, encode
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
ALLOW, KILL = 0x7FFF0000, 0x80000000


def answer(program: list[Instruction], number: int, *arguments: int, audit: int) -> int:
    """Interpret the program as the kernel would (the five instructions that it uses)."""
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
            case 0x06:
                return constant
            case _:
                raise AssertionError(f"unknown instruction {code:#x}")


def verdict(value: int) -> str:
    if value in (ALLOW, KILL):
        return "allow" if value == ALLOW else "kill"
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
    assert of("socketpair", 1) == "allow"
    assert of("socketpair", 2) == "EPERM"
    inside = "allow" if network else "EPERM"
    assert of("socket", 1) == of("socket", 2) == of("socket", 10) == of("socket", 16, 3, 0) == inside
    assert of("socket", 16, 3, 12) == of("socket", 40) == of("socket", 17) == of("socket", 38) == "EPERM"
    assert of("shmget") == of("mq_open") == inside


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_ordinary_calls_pass_and_foreign_ones_do_not(architecture: Architecture) -> None:
    program = assemble(architecture, network=True)
    audit = AUDIT[architecture]
    named = set(numbers(architecture).values())
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
