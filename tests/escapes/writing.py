"""Attempts to change what lies outside the workspace: contents and names."""

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from tests.escapes.attempt import ROOT, attempt, changed, python, shell
from tests.escapes.scene import Scene

KIND: Final = "writing outside"

shell("write to an absolute path", KIND, 'echo x > "$SECRET"', changed)
shell("append through ..", KIND, "echo x >> ../outside/secret", changed)
shell("write through a link", KIND, 'ln -s "$SECRET" link; echo x > link', changed, fast=True)
shell("write through a link to a directory", KIND, 'ln -s "$OUTSIDE" d; echo x > d/new', changed)
shell("write through a hard link", KIND, 'ln "$SECRET" hard && echo x > hard', changed)
shell("write through /proc/self/root", KIND, 'echo x > "/proc/self/root$OUTSIDE/new"', changed)
shell("write through a victim's root", KIND, 'echo x > "/proc/$VICTIM/root$OUTSIDE/new"', changed)
shell("write through a victim's directory", KIND, 'echo x > "/proc/$VICTIM/cwd/new"', changed)
shell("create a file", KIND, 'touch "$OUTSIDE/new"', changed)
shell("create a directory", KIND, 'mkdir "$OUTSIDE/new"', changed)
shell("create a link outside", KIND, 'ln -s /etc/passwd "$OUTSIDE/new"', changed)
shell("create a pipe outside", KIND, 'mkfifo "$OUTSIDE/new"', changed)
shell("hard-link a file out", KIND, 'echo x > mine; ln mine "$OUTSIDE/new"', changed)
shell("remove a file", KIND, 'rm -f "$SECRET"', changed)
shell("rename a file", KIND, 'mv "$SECRET" "$OUTSIDE/moved"', changed)
shell("move a file out", KIND, 'echo x > mine; mv mine "$OUTSIDE/new"', changed)
shell("truncate a file", KIND, 'truncate -s 0 "$SECRET"', changed)
shell("remove the directory", KIND, 'rm -rf "$OUTSIDE"', changed)
shell(
    "unpack an archive upwards",
    KIND,
    "echo x > f; tar cPf a --transform 's,^f,../outside/new,' f; tar xPf a",
    changed,
)
shell("copy with rename over", KIND, 'echo x > mine; cp --remove-destination mine "$SECRET"', changed)
shell("edit in place", KIND, 'sed -i s/secret/x/ "$SECRET"', changed)
shell(
    "write to a pipe outside",
    KIND,
    'timeout 2 bash -c \'echo "$0" > "$1"\' "$MESSAGE" "$FIFO"',
    lambda s, r: s.bait.heard(),
)
shell(
    "write to a terminal of the service", KIND, 'echo "$MESSAGE" > "$TERMINAL"', lambda s, r: s.bait.heard()
)
shell("write to shared memory's file", KIND, 'echo x > "$SHARED"; rm -f "$SHARED"; touch "$IN_SHM"', changed)
shell("create in the host's /dev/shm", KIND, 'echo x > "$IN_SHM"', changed)
shell("create in the host's /tmp", KIND, 'echo x > "$IN_TMP"', changed)
shell("create in the host's /var/tmp", KIND, 'echo x > "$IN_VAR_TMP"', changed)
shell("create in /usr", KIND, 'echo x > "$IN_USR"', changed, households=ROOT)
shell("create in /etc", KIND, 'echo x > "$IN_ETC"', changed, households=ROOT)
shell("create in the root directory", KIND, 'echo x > "$IN_ROOT"', changed, households=ROOT)
shell("create in a home directory", KIND, 'echo x > "$IN_HOME"', changed, households=ROOT)
shell(
    "create in /usr after a remount",
    KIND,
    'mount -o remount,rw,bind /usr 2>/dev/null; echo x > "$IN_USR"',
    changed,
    households=ROOT,
)

python(
    "write with openat2 and no restriction",
    KIND,
    """
how = (ctypes.c_uint64 * 3)(os.O_WRONLY | os.O_TRUNC, 0, 0)
call(437, 437, -100, SECRET.encode(), how, 24)
""",
    changed,
)
python(
    "exchange a file with one of ours",
    KIND,
    'open("mine", "w").write("x")\ncall(316, 276, -100, b"mine", -100, SECRET.encode(), 2)',
    changed,
)
python(
    "write through a shared mapping",
    KIND,
    """
import mmap
with open(SECRET, "r+b") as file:
    mmap.mmap(file.fileno(), 0)[0:1] = b"X"
""",
    changed,
)
python(
    "truncate by path",
    KIND,
    "os.truncate(SECRET, 0)",
    changed,
)
python(
    "reopen a read-only descriptor for writing",
    KIND,
    'held = os.open(SECRET, os.O_PATH)\nos.truncate(f"/proc/self/fd/{held}", 0)',
    changed,
)
python(
    "name an unnamed file outside",
    KIND,
    """
unnamed = os.open(".", os.O_TMPFILE | os.O_RDWR)
call(265, 37, -100, f"/proc/self/fd/{unnamed}".encode(), -100, f"{OUTSIDE}/new".encode(), 0x400)
""",
    changed,
)
python(
    "bind a socket outside",
    KIND,
    "import socket\nsocket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
    'socket.socket(socket.AF_UNIX).bind(f"{OUTSIDE}/new")',
    changed,
)
python(
    "bind a socket of a pair outside",
    KIND,
    'import socket\nsocket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].bind(f"{OUTSIDE}/new")',
    changed,
)
python(
    "write a victim's memory through /proc",
    KIND,
    """
address, size = map(int, BUFFER.split())
memory = os.open(f"/proc/{VICTIM}/mem", os.O_RDWR)
os.pwrite(memory, b"X" * size, address)
os.write(1, NONCE.encode())
""",
    lambda scene, ran: scene.nonce.encode() in ran.output,
)


@attempt("write into the service's data directory", KIND, households=("root", "user"))
async def data(scene: Scene) -> bool:
    """It is a place of the service's uid; in the household `owner` no other uid could write it anyway."""
    made = scene.stand.data / "planted"
    await scene.shell('echo x > "$DATA/planted"')
    there = made.exists()
    made.unlink(missing_ok=True)
    return there


@attempt("write into the service's code", KIND, households=ROOT)
async def code(scene: Scene) -> bool:
    made = Path(__file__).parent / "planted.py"
    await scene.run('echo x > "$1"', (str(made),))
    there = made.exists()
    made.unlink(missing_ok=True)
    return there


@attempt("write into another conversation's private directory", KIND, households=("root", "user"))
async def scratch(scene: Scene) -> bool:
    other = scene.stand.new_scratch()
    await scene.run('echo x > "$1/planted"', (str(other),))
    return (other / "planted").exists()


@attempt("lead the next command's mounts astray from the private /tmp", KIND, households=("root", "user"))
async def mounts(scene: Scene) -> bool:
    """A careless set-up makes the way to a workspace beneath /tmp in what the last command left there."""
    top = Path(tempfile.mkdtemp(dir="/tmp"))
    workspace = top / "deep" / "workspace"
    workspace.mkdir(parents=True)
    try:
        for root in ("", "/oldroot", "/newroot", "/newroot/oldroot", "/proc/self/root", "/proc/1/root"):
            await scene.shell(
                f'cd "$TMPDIR" && rm -rf {top.name}; ln -sfn "{root}$OUTSIDE" {top.name} && ls -la'
            )
            if scene.control:
                with suppress(OSError):
                    (scene.tmp / top.name / "deep").mkdir()
            else:
                await scene.shell("true", workspace=workspace)
        return scene.bait.changed()
    finally:
        shutil.rmtree(top, ignore_errors=True)


@attempt("write a workspace through one that is nested in it", KIND)
async def nested(scene: Scene) -> bool:
    scene.directory("workspace/inner")
    await scene.shell('mv inner gone; ln -s "$OUTSIDE" inner')
    await scene.shell("echo x > new", workspace=scene.workspace / "inner")
    scene.stopped_by_refusal("through a link")
    return scene.bait.changed()


@attempt("write a workspace that is open for reading only", KIND)
async def read_only(scene: Scene) -> bool:
    """As ripgrep gets it."""
    file = scene.file("kept", "kept")
    await scene.shell("echo x > kept; rm -f kept; touch new; chmod 777 kept", writable=False)
    return not file.exists() or file.read_text() != "kept" or (scene.workspace / "new").exists()


@attempt("write the kernel's settings", KIND, households=ROOT)
async def settings(scene: Scene) -> bool:
    """They are opened for writing and written what they say already."""
    ran = await scene.shell(
        "for name in kernel/core_pattern kernel/hostname kernel/modprobe vm/overcommit_memory; do "
        'value=$(cat /proc/sys/$name 2>/dev/null || echo x); (exec 3<>/proc/sys/$name && echo "$NONCE"); done'
    )
    return scene.nonce.encode() in ran.output


@attempt("open the kernel's other handles for writing", KIND, households=ROOT)
async def handles(scene: Scene) -> bool:
    """Sysrq, the helper of uevents, and the power state: only opened."""
    ran = await scene.shell(
        "for name in /proc/sysrq-trigger /sys/kernel/uevent_helper /sys/power/state /sys/kernel/mm/ksm/run "
        '/proc/irq/default_smp_affinity; do (exec 3>>$name && echo "$NONCE"); done'
    )
    return scene.nonce.encode() in ran.output


@attempt("make a control group", KIND, households=ROOT)
async def group(scene: Scene) -> bool:
    name = f"flynn-escape-{scene.nonce[-8:]}"
    # Not in what the same attempt makes beside this one: neither could be removed then.
    script = (
        "for top in /sys/fs/cgroup /sys/fs/cgroup/*; do "
        'case "$top" in */flynn-escape-*) ;; *) mkdir "$top/$1" ;; esac; done'
    )
    await scene.run(script, (name,))
    made = _groups(name)
    for path in made:
        path.rmdir()
    return bool(made)


def _groups(name: str) -> list[Path]:
    top = Path("/sys/fs/cgroup")
    return [place / name for place in (top, *top.iterdir()) if (place / name).is_dir()]
