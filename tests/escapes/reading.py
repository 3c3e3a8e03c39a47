"""Attempts to read what lies outside the workspace."""

import os
from typing import Final

from tests.escapes.attempt import ROOT, attempt, python, reached, shell, spilled
from tests.escapes.scene import Scene

KIND: Final = "reading outside"

shell("read an absolute path", KIND, 'cat "$SECRET"', spilled, fast=True)
shell("read through ..", KIND, "cat ../outside/secret", spilled)
shell("read through a deep ..", KIND, "mkdir -p a/b/c; cd a/b/c; cat ../../../../outside/secret", spilled)
shell("read through a link", KIND, 'ln -s "$SECRET" link; cat link', spilled)
shell("read through a link to a directory", KIND, 'ln -s "$OUTSIDE" d; cat d/secret; grep -r . d', spilled)
shell("read through a chain of links", KIND, "ln -s .. up; ln -s up/outside o; cat o/secret", spilled)
shell("read through a hard link", KIND, 'ln "$SECRET" hard && cat hard', spilled)
shell("read through /proc/self/root", KIND, 'cat "/proc/self/root$SECRET"', spilled)
shell("read through /proc/self/cwd", KIND, "cat /proc/self/cwd/../outside/secret", spilled)
shell("read through /dev/fd of a directory", KIND, 'exec 9<"$OUTSIDE"; cat /dev/fd/9/secret', spilled)
shell("read by globbing", KIND, "cat ../*/secret ../*/*", spilled)
shell("read by sourcing", KIND, '. "$SECRET"', spilled)
shell("read into an array", KIND, 'mapfile -t lines < "$SECRET"; echo "${lines[@]}"', spilled)
shell("read by copying the directory", KIND, 'cp -r "$OUTSIDE" copy; cat copy/secret', spilled)
shell("read by moving it in", KIND, 'mv "$SECRET" here; cat here', spilled)
shell("read with an archive", KIND, 'tar -cf - -C / "${SECRET#/}"', spilled)
shell("read with git's diff", KIND, 'git diff --no-index /dev/null "$SECRET"', spilled)
shell("read shared memory's files", KIND, 'cat "$SHARED"', spilled)
shell("list a directory outside", KIND, 'ls "$OUTSIDE" | grep -q secret && echo "$NONCE"', reached)

shell("read a victim's environment", KIND, 'tr "\\0" "\\n" < "/proc/$VICTIM/environ"', spilled)
shell("read a victim's root", KIND, 'cat "/proc/$VICTIM/root$SECRET"', spilled)
shell("read a victim's directory", KIND, 'cat "/proc/$VICTIM/cwd/secret"', spilled)
shell("read a victim's descriptors", KIND, 'cat "/proc/$VICTIM/fd/3"', spilled)
shell(
    "read through a victim's task",
    KIND,
    'cat "/proc/$VICTIM/task/$VICTIM/root$SECRET"; cat "/proc/$VICTIM/task/$VICTIM/environ"',
    spilled,
)
shell(
    "read a victim's map of memory",
    KIND,
    'grep -q "\\[heap\\]" "/proc/$VICTIM/maps" && echo "$NONCE"',
    reached,
)
shell(
    "read a victim's file system names", KIND, 'grep -q . "/proc/$VICTIM/mountinfo" && echo "$NONCE"', reached
)
python(
    "read a victim's memory through /proc",
    KIND,
    """
address, size = map(int, BUFFER.split())
memory = os.open(f"/proc/{VICTIM}/mem", os.O_RDONLY)
os.write(1, os.pread(memory, size, address))
""",
    spilled,
)
python(
    "read a victim's memory with process_vm_readv",
    KIND,
    """
address, size = map(int, BUFFER.split())
here = ctypes.create_string_buffer(size)
near = (ctypes.c_uint64 * 2)(ctypes.addressof(here), size)
far = (ctypes.c_uint64 * 2)(address, size)
call(310, 270, int(VICTIM), near, 1, far, 1, 0)
os.write(1, here.raw)
""",
    spilled,
)
python(
    "take a victim's descriptor with pidfd_getfd",
    KIND,
    """
victim = call(434, 434, int(VICTIM), 0)
for number in range(3, 10):
    taken = call(438, 438, victim, number, 0)
    if taken >= 0:
        os.write(1, os.pread(taken, 100, 0))
""",
    spilled,
)
python(
    "read by a file handle",
    KIND,
    """
import struct
handle = ctypes.create_string_buffer(struct.pack("=Ii", 128, 0), 136)
mount = ctypes.c_int()
print(call(303, 264, -100, SECRET.encode(), handle, ctypes.byref(mount), 0))
place = os.open(os.path.dirname(SECRET), os.O_RDONLY)
opened = call(304, 265, place, handle, os.O_RDONLY)
os.write(1, os.read(opened, 100))
""",
    spilled,
    households=ROOT,
)
python(
    "read with openat2 and no restriction",
    KIND,
    """
how = (ctypes.c_uint64 * 3)(os.O_RDONLY, 0, 0)
os.write(1, os.read(call(437, 437, -100, SECRET.encode(), how, 24), 100))
""",
    spilled,
)
python(
    "read from an O_PATH descriptor",
    KIND,
    'held = os.open(SECRET, os.O_PATH)\nos.write(1, open(f"/proc/self/fd/{held}", "rb").read())',
    spilled,
)
python(
    "run it as a program",
    KIND,
    'os.chmod(SECRET, 0o755)\nos.execv("/bin/sh", ["sh", "-v", SECRET])',
    spilled,
)
shell(
    "read the kernel's log",
    KIND,
    'timeout 2 dd if=/dev/kmsg of=/dev/null count=1 bs=8192 2>/dev/null && echo "$NONCE"',
    reached,
    households=ROOT,
)
shell(
    "read the disk beneath the file system",
    KIND,
    "for disk in /dev/[vsn]d[a-z] /dev/nvme0n1 /dev/loop0; do "
    'head -c 512 $disk >/dev/null 2>&1 && echo "$NONCE"; done',
    reached,
    households=ROOT,
)
shell("read /sys", KIND, 'head -c 9 /sys/kernel/mm/transparent_hugepage/enabled && echo "$NONCE"', reached)
shell("read the files of control groups", KIND, 'ls /sys/fs/cgroup/* >/dev/null && echo "$NONCE"', reached)
shell("read the host's accounts", KIND, 'grep -q "^daemon:" /etc/passwd && echo "$NONCE"', reached)
shell(
    "read a log", KIND, 'f=$(find /var/log -type f -readable | head -n 1); [ "$f" ] && echo "$NONCE"', reached
)
shell(
    "read the host's passwords",
    KIND,
    'grep -q "^root:" /etc/shadow && echo "$NONCE"',
    reached,
    households=ROOT,
)
shell(
    "see the host's processes",
    KIND,
    'grep -q . "/proc/$VICTIM/cmdline" && echo "$NONCE"',
    reached,
)


@attempt("inherit the service's environment", KIND)
async def environment(scene: Scene) -> bool:
    os.environ["FLYNN_ESCAPE"] = scene.secret
    try:
        ran = await scene.shell(
            "env; cat /proc/[0-9]*/environ 2>/dev/null", environment={"FLYNN_ESCAPE": scene.secret}
        )
    finally:
        del os.environ["FLYNN_ESCAPE"]
    return spilled(scene, ran)


@attempt("read a descriptor that the service left open", KIND)
async def inherited(scene: Scene) -> bool:
    kept = os.open(scene.bait.get("SECRET"), os.O_RDONLY)
    os.set_inheritable(kept, True)
    try:
        ran = await scene.shell("for n in {3..60}; do cat <&$n; done 2>/dev/null", hand_on=True)
    finally:
        os.close(kept)
    return spilled(scene, ran)


@attempt("read what another conversation left in its /tmp", KIND)
async def other_conversation(scene: Scene) -> bool:
    """In the control both have the machine's."""
    await scene.shell(f'echo {scene.secret} > "$TMPDIR/note-of-another"')
    ran = await scene.shell(
        'cat "$TMPDIR/note-of-another" "$OUTSIDE/../tmp/note-of-another"', scratch=scene.stand.new_scratch()
    )
    return spilled(scene, ran)


@attempt("read a workspace through one that is nested in it", KIND)
async def nested(scene: Scene) -> bool:
    """The outer workspace's command exchanges the inner one for a link before that is used."""
    scene.directory("workspace/inner")
    await scene.shell('mv inner gone; ln -s "$OUTSIDE" inner')
    ran = await scene.shell("cat secret", workspace=scene.workspace / "inner")
    scene.stopped_by_refusal("through a link")
    return spilled(scene, ran)
