"""How full the disks are that the service lives on.

A file system may lie on a network and not answer, for ever: so it is asked in a thread of its own, one at a
time for each place, and whoever asks here never waits for it.
"""

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

PLACES = ("data", "backups", "workspaces", "volumes")
"""Every place there may be: no path of the machine is a label."""


class Disks:
    """The places of this process and how full they were when they were asked last.

    `places` maps some of PLACES to directories; of several the fullest counts.
    """

    def __init__(self, places: Mapping[str, Sequence[Path]]) -> None:
        self._places = {name: tuple(paths) for name, paths in places.items() if paths}
        self._asking: dict[str, threading.Thread] = {}
        self._found: dict[str, float] = {}

    def ratios(self, within: float) -> dict[str, float]:
        """How full each place is, from 0 to 1, as df counts it. Blocks for `within` seconds at most.

        A place that cannot be asked, or that does not answer in time, is left out.
        """
        for name in self._places:
            if name not in self._asking or not self._asking[name].is_alive():
                self._found.pop(name, None)
                thread = threading.Thread(target=self._ask, args=(name,), name=f"disk-{name}", daemon=True)
                self._asking[name] = thread
                thread.start()
        for thread in self._asking.values():
            thread.join(within / len(self._asking))
        return dict(self._found)

    def _ask(self, name: str) -> None:
        found = [used for path in self._places[name] if (used := used_ratio(path)) is not None]
        if found:
            self._found[name] = max(found)


def used_ratio(path: Path) -> float | None:
    """How full the file system of `path` is for who is not root; None where it cannot be asked. Blocks."""
    try:
        found = os.statvfs(path)
    except OSError:
        return None
    used = found.f_blocks - found.f_bfree
    whole = used + found.f_bavail
    return used / whole if whole else None
