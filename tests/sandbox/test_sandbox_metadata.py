"""Modes, owners and times: what a command may change within its workspace, and nowhere else.

Landlock has no rule for these calls, so there the supervisor makes them (`flynn.sandbox.metadata`).
"""

import json
import os
import platform
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flynn.sandbox.command import Command, Sandbox
from flynn.sandbox.opening import Preference
from tests.sandbox.conftest import BACKENDS, Open, Shell

ATTEMPTS = Path(__file__).with_name("metadata_calls.py")
X86 = platform.machine() == "x86_64"
MODE, OLD = 0o640, 1_000_000_000


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def facts(path: Path) -> tuple[int, int, int, float, list[str]]:
    """All that a change of metadata could change, of the file and of the directory around it."""
    status = path.stat()
    return status.st_mode, status.st_uid, status.st_gid, status.st_mtime, os.listxattr(path)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A file of the service's own uid."""
    path = tmp_path / "outside"
    path.mkdir()
    file = path / "file"
    file.write_text("x")
    file.chmod(MODE)
    os.utime(file, (OLD, OLD))
    return file


Attempt = Callable[..., Any]


async def attempts(sandbox: Sandbox, workspace: Path, target: Path, kind: str) -> dict[str, int]:
    """The errno of every call of the family on `target`, by name; 0 where it went through."""
    command = Command(
        argv=("python3", "-I", "-S", "-c", ATTEMPTS.read_text(), str(target), kind), workspace=workspace
    )
    done = await sandbox.run(command)
    assert done.exit_code == 0, done.output
    answer: dict[str, int] = json.loads(done.output)
    return answer


@pytest.mark.parametrize("way", ["path", "descriptor", "link", "directory", "proc"])
async def test_nothing_outside_is_changed_by_any_call(
    sandbox: Sandbox, workspace: Path, outside: Path, way: str
) -> None:
    """By its path, an O_PATH descriptor, a link, a descriptor of its directory, a magic link of /proc."""
    before = facts(outside), facts(outside.parent)
    answers = await attempts(sandbox, workspace, outside, way)
    if sandbox.report.backend != "bubblewrap":  # there the file is not even seen
        assert len(answers) >= (18 if X86 else 10)
    assert all(answers.values()), answers
    assert (facts(outside), facts(outside.parent)) == before


@pytest.mark.parametrize("way", ["path", "directory", "link"])
def test_the_same_calls_change_it_without_a_sandbox(outside: Path, way: str, tmp_path: Path) -> None:
    """The control: what fails above fails because of the sandbox."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", ATTEMPTS.read_text(), str(outside), way],
        capture_output=True,
        check=True,
        cwd=tmp_path,
    )
    answers = json.loads(done.stdout)
    worked = {name for name, number in answers.items() if number == 0}
    assert {"fchmodat", "utimensat"} <= worked
    assert mode(outside) != MODE
    assert outside.stat().st_mtime != OLD


@pytest.mark.parametrize("way", ["path", "descriptor", "link", "directory", "proc"])
async def test_within_the_workspace_modes_and_times_can_be_changed(
    sandbox: Sandbox, workspace: Path, way: str
) -> None:
    file = workspace / "deep" / "file"
    file.parent.mkdir()
    file.write_text("x")
    file.chmod(MODE)
    answers = await attempts(sandbox, workspace, file, way)
    # The kernel itself refuses the two on a descriptor that only names a file.
    native = {"fchmod", "fchown"} if sandbox.report.backend == "bubblewrap" else set()
    for name, number in answers.items():
        if "xattr" not in name and name not in ("fchmodat2", "file_setattr", *native):
            assert number == 0, name
    assert mode(file) == 0o751
    assert file.stat().st_mtime == 1234


async def test_programs_change_what_is_theirs(shell: Shell, workspace: Path) -> None:
    done = await shell(
        "set -e; echo 'echo ran' > tool; chmod +x tool; ./tool; mkdir -p a/b; cd a/b; chmod 600 ../../tool;"
        "stat -c %a ../../tool; touch -d @1000 ../../tool; stat -c %Y ../../tool; ln -s ../../tool link;"
        "touch -h -d @2000 link; stat -c %Y link; stat -c %Y ../../tool; cp -p link copy; stat -c %a-%Y copy;"
        "chmod 700 .; cd ..; tar -cf t.tar b; mkdir x; tar -xf t.tar -C x; stat -c %a x/b;"
        'touch "$TMPDIR/note"; chmod 611 "$TMPDIR/note"; stat -c %a "$TMPDIR/note"'
    )
    assert done.output.decode().split() == [
        *("ran", "600", "1000", "2000", "1000", "600-1000", "700", "611"),
    ]


async def test_threads_with_directories_of_their_own_are_understood(shell: Shell, workspace: Path) -> None:
    """A relative path counts from the thread's directory, and the task that asks is a thread."""
    script = """
import ctypes, os, threading
libc = ctypes.CDLL(None)
os.mkdir("one"); os.mkdir("two")
for name in ("one", "two"):
    open(f"{name}/file", "w").close()
def work(name, mode):
    assert libc.unshare(0x200) in (0, -1)  # CLONE_FS is refused in the sandbox: the directory is shared
    directory = os.open(name, os.O_RDONLY)
    for _ in range(50):
        os.chmod("file", mode, dir_fd=directory)
threads = [threading.Thread(target=work, args=pair) for pair in (("one", 0o711), ("two", 0o722))]
[t.start() for t in threads]; [t.join() for t in threads]
print(oct(os.stat("one/file").st_mode)[-3:], oct(os.stat("two/file").st_mode)[-3:])
"""
    assert (await shell(f"python3 -I -S -c '{script}'")).output == b"711 722\n"


async def test_a_file_without_a_name_can_be_changed(shell: Shell) -> None:
    script = (
        'import os; f = open("t", "w"); os.unlink("t"); os.fchmod(f.fileno(), 0o604);'
        "os.utime(f.fileno(), (5, 6));"
        "print(oct(os.fstat(f.fileno()).st_mode)[-3:], os.fstat(f.fileno()).st_mtime)"
    )
    assert (await shell(f"python3 -I -S -c '{script}'")).output == b"604 6.0\n"


async def test_no_program_that_runs_as_its_owner_can_be_made(shell: Shell, workspace: Path) -> None:
    script = (
        "import os\n"
        "def attempt(f, *a):\n try: f(*a)\n except OSError as e: print(e.errno)\n else: print(0)\n"
        "attempt(os.chmod, 'tool', 0o4755); attempt(os.chmod, 'tool', 0o2755)\n"
        "attempt(os.fchmod, os.open('tool', 0), 0o4755)\n"
        "attempt(os.open, 'new', os.O_CREAT | os.O_WRONLY, 0o4755)\n"
        "attempt(os.open, '.', os.O_TMPFILE | os.O_WRONLY, 0o4755)\n"
        "attempt(os.mknod, 'node', 0o104755)\n"
        "attempt(os.open, 'tool', os.O_RDONLY, 0o4755); attempt(os.chmod, 'tool', 0o1755)\n"
    )
    done = await shell(f'cp /usr/bin/id tool; python3 -I -S -c "{script}"; find . -perm /6000')
    assert done.output.split() == [b"1"] * 6 + [b"0"] * 2


async def test_a_workspace_that_is_read_only_keeps_its_metadata(shell: Shell, workspace: Path) -> None:
    file = workspace / "file"
    file.write_text("x")
    file.chmod(MODE)
    done = await shell("chmod 777 file; chmod 777 .; touch -d @1 file; true", writable=False)
    assert b"Operation not permitted" in done.output or b"Read-only" in done.output
    assert mode(file) == MODE
    assert file.stat().st_mtime > 1


async def test_racing_a_link_against_the_supervisor_changes_nothing_outside(
    sandbox: Sandbox, workspace: Path, outside: Path
) -> None:
    """The path is exchanged between the question and the change, many thousand times."""
    before = facts(outside)
    script = f"""
import os, threading, time
os.mkdir("real"); open("real/file", "w").close()
os.symlink("real", "way"); stop = False
def exchange():
    while not stop:
        for target in ({str(outside.parent)!r}, "real"):
            os.symlink(target, "next"); os.rename("next", "way")
threading.Thread(target=exchange).start()
made = refused = 0
end = time.monotonic() + 1.5
while time.monotonic() < end:
    try:
        os.chmod("way/file", 0o777); os.utime("way/file", (1, 1)); made += 1
    except PermissionError:
        refused += 1
    except FileNotFoundError:
        pass
stop = True
print(made > 0, refused > 0)
"""
    done = await sandbox.run(Command(argv=("python3", "-I", "-S", "-c", script), workspace=workspace))
    assert done.output.startswith(b"True"), done.output
    assert facts(outside) == before


async def test_a_flood_of_questions_keeps_no_limit_from_binding(shell: Shell) -> None:
    done = await shell(
        "python3 -I -S -c \"import os\nopen('f', 'w').close()\nwhile 1: os.chmod('f', 0o600)\" & "
        "python3 -I -S -c \"import os\nwhile 1: os.chmod('f', 0o600)\"; wait",
        timeout_seconds=1.0,
    )
    assert done.timed_out
    assert done.duration_seconds < 15


@pytest.mark.needs("root")
@pytest.mark.parametrize("prefer", BACKENDS)
async def test_a_root_service_lends_no_right_that_the_owner_does_not_have(
    prefer: Preference, opened: Open, public: Path
) -> None:
    """The supervisor is root, where the command became the workspace's owner."""
    workspace, home = public / "workspace", public / "home"
    uid = 20011
    for directory in (workspace, home):
        directory.mkdir()
        os.chown(directory, uid, uid)
    own, foreign, elsewhere = workspace / "own", workspace / "foreign", home / "file"
    for file in (own, foreign, elsewhere):
        file.write_text("x")
        file.chmod(MODE)
    os.chown(own, uid, uid)
    os.chown(elsewhere, uid, uid)
    script = (
        f"chmod 755 own; chmod 777 foreign; chown {uid} foreign; chown 0 own; chmod 777 {elsewhere}; id -u"
    )
    command = Command(argv=("bash", "-c", script), workspace=workspace)
    done = await (await opened(prefer)).run(command)
    assert done.output.endswith(b"%d\n" % uid)
    assert (mode(own), mode(foreign), mode(elsewhere)) == (0o755, MODE, MODE)
    assert (own.stat().st_uid, foreign.stat().st_uid) == (uid, 0)
