"""Lets bubblewrap build a sandbox as root and a command in it run as the workspace's owner.

Only a process outside may map a second uid into a user namespace, so bubblewrap reports its child,
waits, and goes on when the map is written: `--info-fd` and `--userns-block-fd`. Root (as itself, without
privileges over anything but what these two own) can then walk to places that the owner cannot, and the
launcher becomes the owner. Source: user_namespaces(7).
"""

import asyncio
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

_PIECE: Final = 1 << 12


class UserMapping:
    """One mapping of root and of one other (uid, gid), to themselves, into one sandbox."""

    def __init__(self, uid: int, gid: int) -> None:
        self._uid = uid
        self._gid = gid
        self._told = b""
        self._info, self._info_inside = os.pipe()
        self._block_inside, self._block = os.pipe()
        os.set_blocking(self._info, False)

    @property
    def inside(self) -> tuple[int, int]:
        """The descriptors that bubblewrap gets: where it reports, and what it waits for."""
        return self._info_inside, self._block_inside

    def words(self) -> list[str]:
        """Bubblewrap's options."""
        identity = ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        return ["--info-fd", str(self._info_inside), "--userns-block-fd", str(self._block_inside), *identity]

    def serve(self, loop: asyncio.AbstractEventLoop) -> None:
        """Write the map as soon as bubblewrap, which runs by now, has reported."""
        for descriptor in self.inside:
            os.close(descriptor)
        loop.add_reader(self._info, self._take, loop)

    def discard(self) -> None:
        """Close everything where bubblewrap could not be started."""
        for descriptor in (*self.inside, self._info, self._block):
            os.close(descriptor)

    def _take(self, loop: asyncio.AbstractEventLoop) -> None:
        piece = os.read(self._info, _PIECE)
        self._told += piece
        if piece and not self._told.rstrip().endswith(b"}"):
            return
        loop.remove_reader(self._info)
        # Where this fails bubblewrap goes on without a map, fails, and says so.
        with suppress(OSError, ValueError, KeyError):
            child = Path("/proc") / str(int(json.loads(self._told)["child-pid"]))
            (child / "uid_map").write_text(_map(self._uid), encoding="ascii")
            (child / "gid_map").write_text(_map(self._gid), encoding="ascii")
            os.write(self._block, b".")
        os.close(self._info)
        os.close(self._block)


def _map(number: int) -> str:
    return "0 0 1\n" if number == 0 else f"0 0 1\n{number} {number} 1\n"
