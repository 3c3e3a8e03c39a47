"""Attempts to signal processes outside, and the supervisor that watches over the call."""

from typing import Final

from tests.escapes.attempt import OWNER, attempt, hurt, python, reached, shell
from tests.escapes.scene import Scene

KIND: Final = "processes"

shell("kill a victim", KIND, 'kill -9 "$VICTIM"', hurt, fast=True)
shell("stop a victim", KIND, 'kill -STOP "$VICTIM"; sleep 0.3', hurt)
shell("end a victim", KIND, 'kill -TERM "$VICTIM"; sleep 0.3', hurt)
shell("ask whether a victim lives", KIND, 'kill -0 "$VICTIM" && echo "$NONCE"', reached)
shell("kill a victim's group", KIND, 'kill -9 -- "-$VICTIM"', hurt)
python("kill a victim's thread", KIND, "call(234, 131, int(VICTIM), int(VICTIM), 9)", hurt)
python("kill a victim by its thread's number", KIND, "call(200, 130, int(VICTIM), 9)", hurt)
python(
    "queue a signal",
    KIND,
    "information = (ctypes.c_int * 32)(9, 0, -1)\ncall(129, 138, int(VICTIM), 9, information)",
    hurt,
)
python(
    "kill through a pidfd",
    KIND,
    "import signal\nsignal.pidfd_send_signal(os.pidfd_open(int(VICTIM)), 9)",
    hurt,
)
python(
    "kill through the directory of a process",
    KIND,
    'held = os.open(f"/proc/{VICTIM}", os.O_RDONLY)\ncall(424, 424, held, 9, 0, 0)',
    hurt,
)
python(
    "kill with the signal of a pipe",
    KIND,
    """
import fcntl, signal
read, write = os.pipe()
fcntl.fcntl(read, 10, 9)  # F_SETSIG
fcntl.fcntl(read, fcntl.F_SETOWN, int(VICTIM))
fcntl.fcntl(read, fcntl.F_SETFL, fcntl.fcntl(read, fcntl.F_GETFL) | os.O_ASYNC)
os.write(write, b"x")
libc.sleep(1)
""",
    hurt,
)
python(
    "kill with the signal of a socket pair",
    KIND,
    """
import fcntl, socket
mine, other = socket.socketpair()
fcntl.fcntl(mine, 10, 9)
fcntl.fcntl(mine, 15, (1).to_bytes(4, "little") + int(VICTIM).to_bytes(4, "little"))  # F_SETOWN_EX
fcntl.fcntl(mine, fcntl.F_SETFL, fcntl.fcntl(mine, fcntl.F_GETFL) | os.O_ASYNC)
other.send(b"x")
libc.sleep(1)
""",
    hurt,
)
python(
    "kill with the signal of a watched directory",
    KIND,
    """
import fcntl
held = os.open(".", os.O_RDONLY)
fcntl.fcntl(held, 10, 9)
fcntl.fcntl(held, fcntl.F_NOTIFY, fcntl.DN_CREATE | fcntl.DN_MULTISHOT)
fcntl.fcntl(held, fcntl.F_SETOWN, int(VICTIM))
open("made", "w").close()
libc.sleep(1)
""",
    hurt,
)
# Only where the uid is the test's own: the control hits every process of it.
shell(
    "kill everything",
    KIND,
    ': $VICTIM; [ "$(id -u)" -ge 20000 ] && kill -9 -1; true',
    hurt,
    households=OWNER,
)


@attempt("kill the supervisor", KIND)
async def kill_supervisor(scene: Scene) -> bool:
    """In the control the parent is a shell of its own that stands in for it."""
    return await _at_parent(scene, "kill -9 $PPID; kill -TERM $PPID; kill -HUP $PPID")


@attempt("stop the supervisor", KIND)
async def stop_supervisor(scene: Scene) -> bool:
    return await _at_parent(scene, "kill -STOP $PPID; (sleep 3; kill -CONT $PPID) >/dev/null 2>&1 & true")


@attempt("fill the supervisor's pipes", KIND)
async def pipes(scene: Scene) -> bool:
    script = "for n in 0 1 2; do (exec 9>/proc/$PPID/fd/$n) 2>/dev/null && echo $NONCE; done"
    if scene.control:
        script = f"bash -c '{script}'; exit $?"
    ran = await scene.shell(script.replace("$NONCE", scene.nonce))
    return scene.nonce.encode() in ran.output


@attempt("read the supervisor's orders", KIND)
async def orders(scene: Scene) -> bool:
    """In its environment, as a careless launcher would take them."""
    script = f"(exec 9</proc/$PPID/environ) && echo {scene.nonce}"
    ran = await scene.shell(f"bash -c '{script}; true'; exit $?" if scene.control else script)
    return scene.nonce.encode() in ran.output


@attempt("forge the supervisor's words", KIND)
async def forged(scene: Scene) -> bool:
    """What the launcher says goes to a descriptor of its own; in the control it shares the output's."""
    script = 'echo "flynn-launcher: killed: forged" >&2; exit 137'
    if scene.control:
        return b"killed: forged" in (await scene.shell(script)).output
    ran = await scene.shell(script)
    return ran.kill_reason is not None or ran.error is not None or ran.exit_code != 137


async def _at_parent(scene: Scene, script: str) -> bool:
    whole = f"{script}; sleep 0.5; exit 7"
    if not scene.control:
        ran = await scene.run(whole, timeout=6.0)
        return ran.exit_code != 7 or bool(ran.left) or ran.seconds > 2.5
    scene.file("inner.sh", whole)
    ran = await scene.run("bash inner.sh; exit $?", timeout=6.0)
    return ran.exit_code != 7 or ran.seconds > 2.5
