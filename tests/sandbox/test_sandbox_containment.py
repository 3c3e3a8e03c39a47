"""What a command cannot reach: files, processes, networks and kernel interfaces outside its sandbox."""

import asyncio
import errno
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flynn.domain.errors import SandboxUnavailable
from flynn.sandbox.command import Command, Sandbox
from tests.sandbox.conftest import Shell

CALLS = Path(__file__).with_name("calls.py")


def content(path: Path) -> bytes:
    return path.read_bytes()


def planted(*places: Path) -> list[Path]:
    return [found for place in places for found in place.glob("*planted-by-a-test*")]


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("the-secret")
    return path


@pytest.fixture
def neighbour() -> Iterator[subprocess.Popen[bytes]]:
    """A process of the service's user outside the sandbox."""
    with subprocess.Popen(["/bin/sleep", "60"], env={"NEIGHBOUR": "secret-of-the-neighbour"}) as process:
        yield process
        process.kill()


async def test_files_outside_cannot_be_read(shell: Shell, secret: Path, workspace: Path) -> None:
    (workspace / "link").symlink_to(secret)
    home = Path.home()
    done = await shell(
        f"cat {secret} link ../secret /etc/shadow; ls {home}/.ssh {home}; ls /boot /var/log; true"
    )
    assert b"the-secret" not in done.output
    assert b"root:*" not in done.output
    assert b"root:$" not in done.output
    assert done.output.count(b"No such file") + done.output.count(b"Permission denied") >= 6


async def test_files_outside_cannot_be_written(shell: Shell, secret: Path, tmp_path: Path) -> None:
    name = "planted-by-a-test"
    await shell(f"echo x > {secret}; rm -f {secret}; mv {secret} .; ln {secret} hard; truncate -s 0 {secret}")
    await shell(f"echo x > {tmp_path}/{name}; touch /usr/{name} /etc/{name} /{name}")
    await shell(f"mount -o remount,rw,bind /usr; touch /usr/bin/{name}")
    assert content(secret) == b"the-secret"
    assert planted(tmp_path, Path("/usr"), Path("/usr/bin"), Path("/etc"), Path("/")) == []


async def test_the_kernels_settings_cannot_be_written(shell: Shell) -> None:
    settings = ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger")
    before = content(Path(settings[0]))
    for setting in settings:
        done = await shell(f"exec 3>>{setting} && echo opened")
        assert b"opened" not in done.output, setting
    assert content(Path(settings[0])) == before


async def test_other_processes_are_out_of_reach(shell: Shell, neighbour: subprocess.Popen[bytes]) -> None:
    for pid in (neighbour.pid, os.getpid()):
        done = await shell(
            f"cd /proc/{pid}; cat environ cmdline maps; ls -l root fd; "
            f"kill -0 {pid} && echo reached; renice 5 {pid} && echo reached"
        )
        assert b"reached" not in done.output
        assert b"secret-of-the-neighbour" not in done.output
        assert b"sleep" not in done.output
    await shell(f"kill -9 {neighbour.pid}")
    assert neighbour.poll() is None


async def test_the_supervisor_is_out_of_reach(shell: Shell) -> None:
    """It watches over the tree, so nothing of the tree may stop, kill, read or write it."""
    done = await shell(
        "kill -STOP $PPID; kill -9 $PPID; kill -TERM $PPID; cat /proc/$PPID/environ;"
        "for name in mem fd/0 fd/1 fd/2; do (exec 3>>/proc/$PPID/$name && echo opened); done; echo alive"
    )
    assert done.exit_code == 0
    assert b"opened" not in done.output
    assert done.output.endswith(b"alive\n")


async def test_no_network_of_the_host_is_reached(shell: Shell, sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "host.sock"
    abstract = f"\0flynn-test-{os.getpid()}"
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX) as unix,
        socket.socket(socket.AF_UNIX) as unnamed,
    ):
        udp.bind(("127.0.0.1", 0))
        udp.settimeout(0.2)
        unix.bind(str(path))
        unix.listen()
        unnamed.bind(abstract)
        unnamed.listen()
        tcp_port, udp_port = tcp.getsockname()[1], udp.getsockname()[1]
        script = f"""
import socket
for family, kind, address in [
    (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", {tcp_port})),
    (socket.AF_UNIX, socket.SOCK_STREAM, {str(path)!r}),
    (socket.AF_UNIX, socket.SOCK_STREAM, {abstract!r}),
    (socket.AF_INET, socket.SOCK_STREAM, ("1.1.1.1", 53)),
]:
    try:
        s = socket.socket(family, kind); s.settimeout(1); s.connect(address); print("reached", address)
    except OSError as error:
        print("stopped", error)
try:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"out", ("127.0.0.1", {udp_port}))
except OSError as error:
    print("stopped", error)
"""
        # The same from outside arrives, so the listeners are real.
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", script.replace('("1.1.1.1", 53)', '("127.0.0.1", 1)')],
            capture_output=True,
            check=True,
        )
        assert done.stdout.count(b"reached") == 3
        assert udp.recv(8) == b"out"
        inside = await shell(f"python3 -I -c '{script.replace(chr(39), chr(34))}'")
        assert b"reached" not in inside.output
        assert inside.output.count(b"stopped") >= 4
        with pytest.raises(TimeoutError):
            udp.recv(8)


async def test_kernel_interfaces_are_refused(sandbox: Sandbox, workspace: Path) -> None:
    kind = "network" if sandbox.report.backend == "bubblewrap" else "alone"
    command = Command(argv=("python3", "-I", "-S", "-c", CALLS.read_text(), kind), workspace=workspace)
    done = await sandbox.run(command)
    assert done.exit_code == 0, done.output
    results = {
        name: int(code)
        for name, _, code in (line.rpartition(" ") for line in done.output.decode().splitlines())
    }
    absent = {"clone3", "a call from the future", "getpid as x32"}
    assert len(results) >= 45
    for name, code in results.items():
        expected = 0 if name.startswith("allowed") else errno.ENOSYS if name in absent else errno.EPERM
        assert code == expected, f"{name}: {errno.errorcode.get(code, code)}"


async def test_no_privilege_is_left(shell: Shell) -> None:
    script = (
        "import ctypes; libc = ctypes.CDLL(None); sets = (ctypes.c_uint32 * 6)();"
        "print(libc.capget((ctypes.c_uint32 * 2)(0x20080522, 0), sets), sum(sets),"
        "libc.prctl(39, 0, 0, 0, 0), libc.prctl(21, 0, 0, 0, 0))"
    )
    assert (await shell(f"python3 -I -S -c '{script}'")).output == b"0 0 1 2\n"


async def test_no_descriptor_of_the_service_is_handed_on(shell: Shell) -> None:
    read, write = os.pipe()
    os.set_inheritable(read, True)
    os.set_inheritable(write, True)
    try:
        script = (
            "import os\nfor n in range(3, 1024):\n try: os.fstat(n)\n except OSError: continue\n print(n)"
        )
        done = await shell(f"python3 -I -S -c '{script}'")
    finally:
        os.close(read)
        os.close(write)
    assert done.output == b""


async def test_the_machine_is_no_workspace(sandbox: Sandbox) -> None:
    for path in ("/", "/etc", "/usr/share", "/proc"):
        with pytest.raises(SandboxUnavailable, match="cannot be a workspace"):
            await sandbox.run(Command(argv=("true",), workspace=Path(path)))


async def test_a_workspace_must_exist(sandbox: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(SandboxUnavailable, match="cannot be opened"):
        await sandbox.run(Command(argv=("true",), workspace=tmp_path / "missing"))


async def test_limits_of_a_process(shell: Shell, workspace: Path) -> None:
    done = await shell("ulimit -c; ulimit -n; ulimit -q; head -c 300M /dev/zero > big; echo $?")
    core, descriptors, queues, *_, status = done.output.split()
    assert (core, descriptors, queues) == (b"0", b"1024", b"0")
    assert status == b"153"  # 128 + SIGXFSZ
    assert (workspace / "big").stat().st_size == 256 * 2**20
