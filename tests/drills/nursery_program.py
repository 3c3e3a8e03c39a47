"""The drills' own program: forks flynn's processes from one that has imported everything, and lets them die.

A child is a process like any other: it calls flynn's command line, with the arguments and the environment
it was given. Before that, and again whenever its control pipe says so, it arms one crash point: at the
n-th reach it writes the point's name into a file and sends itself SIGKILL.

Orders come as JSON, one a line, on stdin; each birth and death is told as JSON, one a line, on stdout.
"""

import ctypes
import json
import os
import select
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import flynn.cli.serve
import flynn.cli.worker  # noqa: F401 -- what children would have to import, each for itself
from flynn.cli.commands import main as flynn_main
from flynn.telemetry import crash_point

PR_SET_PDEATHSIG = 1
LOOK_SECONDS = 0.02


class Death:
    """What happens at a crash point: nothing, until it is the one and was reached so often."""

    def __init__(self, point: str, count: int, marker: Path) -> None:
        if point not in crash_point.POINTS:
            raise ValueError(f"there is no crash point {point}")
        self._point, self._left, self._marker = point, count, marker

    def __call__(self, name: str) -> None:
        if name != self._point:
            return
        self._left -= 1
        if self._left == 0:
            self._marker.write_text(name)
            os.kill(os.getpid(), signal.SIGKILL)


def arm(order: list[Any], files: Path) -> None:
    """Arm a point (`[name, count]`), and say so."""
    point, count = order
    crash_point.arm(Death(point, count, files.with_suffix(".died")))
    files.with_suffix(".armed").write_text(json.dumps(order))


def take_orders(files: Path) -> None:
    """Arm what the control pipe asks for, for as long as the process lives."""
    while True:
        with files.with_suffix(".control").open() as pipe:
            for line in pipe:
                arm(json.loads(line), files)


def live(order: dict[str, Any]) -> None:
    """What a child does. `files` is the path that its own files begin with."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    files = Path(order["files"])
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    for number, path in ((1, files.with_suffix(".out")), (2, Path(order["log"]))):
        os.dup2(os.open(path, flags, 0o600), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(order["directory"])
    os.environ.clear()
    os.environ.update(order["environment"])
    if order["arm"]:
        arm(order["arm"], files)
    threading.Thread(target=take_orders, args=(files,), daemon=True).start()
    sys.argv = ["flynn", *order["arguments"]]
    flynn_main()


def bear(order: dict[str, Any]) -> int:
    """Fork a child; gives its pid."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        live(order)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def tell(**news: object) -> None:
    """One line for whoever started us."""
    os.write(1, json.dumps(news).encode() + b"\n")


def nurse() -> None:
    """Take orders until stdin ends."""
    tell(ready=True)
    rest = b""
    while True:
        if select.select([0], [], [], LOOK_SECONDS)[0]:
            read = os.read(0, 1 << 20)
            if not read:
                return
            *lines, rest = (rest + read).split(b"\n")
            for line in lines:
                tell(born=bear(json.loads(line)))
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            tell(ended=pid, code=os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    nurse()
