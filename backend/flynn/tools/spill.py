"""The whole of a long output, written to a file beside what the model is shown of it."""

import asyncio
import os
import secrets
from pathlib import Path

from flynn.domain.errors import WorkspaceError
from flynn.tools.thread import ended
from flynn.workspace.output_store import LARGEST_FILE, create_output, shown_path


def fresh_name(kind: str) -> str:
    """A name for an output that no other has: of a job ("b"), another command ("c"), another result ("r")."""
    return f"{kind}{secrets.token_hex(5)}"


def owner_of_outputs(workspace: Path) -> tuple[int, int] | None:
    """Whom outputs shall belong to where this process is root: to the workspace's owner, as commands do."""
    if os.geteuid() != 0:
        return None
    status = workspace.stat()
    return status.st_uid, status.st_gid


class Spill:
    """Takes text on the event loop and writes it in threads, in order; no file before there is a text.

    When the file cannot be made or written, `failure` says why and the rest is dropped: a command is not
    stopped for that. Call `close` at the end, also after a cancellation.
    """

    def __init__(self, scratch: Path, name: str, owner: tuple[int, int] | None) -> None:
        self.name = name
        self.failure: str | None = None
        self.full = False
        """Whether something was left out because the file has its largest size."""
        self.begun = False
        self._scratch = scratch
        self._owner = owner
        self._descriptor: int | None = None
        self._waiting: list[str] = []
        self._work: asyncio.Task[None] | None = None
        self._written = 0

    @property
    def path(self) -> str:
        """Where the agent finds it."""
        return shown_path(self.name)

    def add(self, text: str) -> None:
        """Write `text` behind what came before; returns at once."""
        self.begun = True
        self._waiting.append(text)
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._drain())

    async def close(self) -> None:
        """Wait until everything is written, however often this is cancelled, and close the file."""
        try:
            if self._work is not None:
                await ended([self._work])
        finally:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    async def _drain(self) -> None:
        while self._waiting:
            batch = "".join(self._waiting)
            self._waiting.clear()
            if self.failure is None:
                await asyncio.to_thread(self._write, batch)

    def _write(self, text: str) -> None:
        try:
            if self._descriptor is None:
                self._descriptor = create_output(self._scratch, self.name, self._owner)
            encoded = text.encode("utf-8", "replace")
            data = memoryview(encoded)[: LARGEST_FILE - self._written]
            self.full = self.full or len(data) < len(encoded)
            while data:
                written = os.write(self._descriptor, data)
                self._written += written
                data = data[written:]
        except WorkspaceError as error:
            self.failure = error.detail
        except OSError as error:
            self.failure = error.strerror or type(error).__name__
