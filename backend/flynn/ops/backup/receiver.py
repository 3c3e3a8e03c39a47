"""The receiver: pg_receivewal as a supervised child, for as long as a line is kept."""

import asyncio
import contextlib
from asyncio.subprocess import Process
from pathlib import Path

from flynn.domain.errors import FlynnError
from flynn.store.embedded import Client, start_program
from flynn.telemetry.logging import Logger

SLOT = "flynn_backup"

FIRST_DELAY_SECONDS = 0.5
LAST_DELAY_SECONDS = 15.0
STEADY_SECONDS = 30.0
"""Waits between attempts: doubled from the first to the last, anew for one that lasted."""


class Receiver:
    """Writes the server's log into `directory`, each commit as soon as it happens.

    A child that ends is started again. It is killed with the thread that runs this loop, even by kill -9.
    """

    def __init__(self, client: Client, directory: Path, log: Logger) -> None:
        self.trouble: str | None = None
        """What it said when it ended by itself last; None while it runs well."""
        self._client = client
        self._directory = directory
        self._log = log
        self._process: Process | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Its process, while there is one."""
        return self._process.pid if self._process and self._process.returncode is None else None

    def start(self) -> None:
        """Begin, and go on until `stop`."""
        self._task = asyncio.create_task(self._supervise(), name="backup-receiver")

    async def stop(self) -> None:
        """End it. What it has received is on the disk."""
        if self._task is not None:
            task, self._task = self._task, None
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _supervise(self) -> None:
        loop = asyncio.get_running_loop()
        delay = FIRST_DELAY_SECONDS
        while True:
            since = loop.time()
            try:
                said = await self._receive()
            except (OSError, FlynnError) as error:
                said = str(error)
            if loop.time() - since > STEADY_SECONDS:
                delay = FIRST_DELAY_SECONDS
            self.trouble = said
            self._log.warning("the receiver of the database's log ended; it is started again", said=said)
            await asyncio.sleep(delay)
            delay = min(delay * 2, LAST_DELAY_SECONDS)

    async def _receive(self) -> str:
        """Run one child to its end; returns its last line."""
        said = "it said nothing"
        with self._client.password_file(self._directory.parent) as environment:
            self._process = process = await start_program(
                "pg_receivewal",
                *("--directory", str(self._directory), "--slot", SLOT, "--synchronous", "--no-loop"),
                *("--status-interval", "1", *self._client.options),
                directory=self._directory,
                environment=environment,
            )
            steady = asyncio.get_running_loop().call_later(2.0, self._well)
            try:
                if process.stdout is None:
                    raise RuntimeError("the receiver has no output")
                async for line in process.stdout:
                    said = line.decode(errors="replace").strip() or said
                await process.wait()
            finally:
                steady.cancel()
                if process.returncode is None:
                    with contextlib.suppress(ProcessLookupError):
                        process.kill()
                    await process.wait()
        return said

    def _well(self) -> None:
        self.trouble = None
