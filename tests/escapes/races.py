"""Attempts on the file tools that win, if at all, by changing the workspace while a tool is at work."""

import ctypes
import os
import threading
import time
from typing import Final

from tests.escapes.attempt import attempt
from tests.escapes.scene import Scene

KIND: Final = "file tools"

_HERE, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE, rename(2)


class _Swapping(threading.Thread):
    """Makes `way` a directory and a link that leads out, in turn, as fast as it can."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(daemon=True)
        self._here = scene.workspace
        self._done = threading.Event()
        (self._here / "way").mkdir()
        (self._here / "way" / "secret").write_text("harmless")
        (self._here / "other").symlink_to(scene.bait.get("OUTSIDE"))

    def run(self) -> None:
        libc, number = ctypes.CDLL(None), 316 if os.uname().machine == "x86_64" else 276
        way, other = os.fsencode(self._here / "way"), os.fsencode(self._here / "other")
        while not self._done.is_set():
            libc.syscall(number, _HERE, way, _HERE, other, _EXCHANGE)

    def __enter__(self) -> "_Swapping":
        self.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._done.set()
        self.join()


@attempt("Read while directories are exchanged", KIND)
async def race_reading(scene: Scene) -> bool:
    """The control resolves, checks and then opens."""
    until = time.monotonic() + (10 if scene.control else 1.5)
    with _Swapping(scene):
        while time.monotonic() < until:
            if not scene.control:
                if scene.secret in str((await scene.tool("Read", file_path="way/secret")).content):
                    return True
                continue
            try:
                path = scene.workspace / "way/secret"
                if path.resolve().is_relative_to(scene.workspace) and scene.secret in path.read_text():
                    return True
            except OSError:
                continue
    return False


@attempt("Write while directories are exchanged", KIND)
async def race_writing(scene: Scene) -> bool:
    until = time.monotonic() + (10 if scene.control else 1.5)
    scene.begin()
    with _Swapping(scene):
        while time.monotonic() < until and not _appeared(scene):
            if not scene.control:
                await scene.tool("Write", file_path=f"way/new-{time.monotonic_ns()}", content="written")
                continue
            try:
                path = scene.workspace / "way/new"
                if path.parent.resolve().is_relative_to(scene.workspace):
                    path.write_text("written")
            except OSError:
                continue
    return scene.bait.changed()


def _appeared(scene: Scene) -> bool:
    return any(path.name.startswith("new") for path in scene.bait.outside.iterdir())
