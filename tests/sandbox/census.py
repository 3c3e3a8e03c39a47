"""Counts processes of this machine by a mark in their command line, as the host's /proc shows them."""

import asyncio
import time
import uuid
from pathlib import Path


class Census:
    """Processes of a tree are told from all others by an argument that nobody else has."""

    def __init__(self) -> None:
        self.mark = f"86400.{uuid.uuid4().int % 10**12}"
        """An argument for sleep(1): a day, and digits that are this test's own."""

    def pids(self) -> list[int]:
        """Living processes that carry the mark as an argument of their own."""
        found = []
        for directory in Path("/proc").glob("[0-9]*"):
            try:
                arguments = (directory / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if self.mark.encode() in arguments:
                found.append(int(directory.name))
        return found

    async def until(self, count: int, seconds: float = 30.0) -> None:
        """Wait until exactly `count` are alive."""
        deadline = time.monotonic() + seconds
        while (pids := self.pids()) is not None and len(pids) != count:
            assert time.monotonic() < deadline, f"{pids} are alive, {count} were expected"
            await asyncio.sleep(0.02)
