"""The cast: the scripted model, the warm process and the workers that are forked from it.

Nothing of it is there before it is entered, but for the warm process where somebody expects to need it.
"""

import asyncio
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from importlib import import_module
from typing import Any, TextIO

from flynn.app.cast import Listen
from flynn.cli.example.warm_process import Forked, WarmProcess
from flynn.domain.content import Json
from flynn.domain.errors import FlynnError
from flynn.settings import Settings
from flynn.telemetry.logging import get_logger
from flynn.workspace.volume import Volume

WORKERS = 2
"""One that may be killed, and one that takes over."""

LEAVE_SECONDS = 13.0
"""How long workers may take to hand back what they hold; then they are killed."""

STILLBORN = 3
"""Workers that may end in a row before they ever had a number; then no more are started."""

_log = get_logger("flynn.example")


class ForkedWorker:
    """A worker process, as the service sees it (see flynn.app.cast.Player)."""

    def __init__(self, process: Forked, stream: socket.socket) -> None:
        self.pid = process.pid
        self.number: int | None = None
        self.ever = False
        """Whether it ever had a number."""
        self.killed = False
        self.gone = asyncio.Event()
        self._process = process
        self._stream = stream
        self._writer: asyncio.StreamWriter | None = None
        self._dismissed = False

    async def attend(self, listen: Listen) -> None:
        """Take in what it says, until it has ended."""
        try:
            reader, self._writer = await asyncio.open_connection(sock=self._stream)
            if self._dismissed:
                self._writer.write_eof()
            await listen(reader, self._hear)
        finally:
            self.number = None
            self.gone.set()
            self._process.close()
            if self._writer is None:
                self._stream.close()
            else:
                self._writer.close()

    def kill(self) -> None:
        """See Player.kill. Whoever is gone already is not there to be killed."""
        if not self.gone.is_set():
            self.killed = True
            self.number = None
            self._process.send(signal.SIGKILL)

    def dismiss(self, *, urgent: bool = False) -> None:
        """Ask it to end, in order; `urgent`: without giving what it is at any time."""
        if self._writer is not None and not self._dismissed and not self._writer.is_closing():
            self._writer.write_eof()
        self._dismissed = True
        if urgent and not self.gone.is_set():
            self._process.send(signal.SIGTERM)

    def _hear(self, kind: str, value: Json) -> None:
        if kind == "number" and not self.killed:
            self.number = value
            self.ever = self.ever or value is not None


class ForkingCast:
    """Plays the example (see flynn.app.cast.Cast)."""

    def __init__(
        self, *, watchable: bool = True, warm: WarmProcess | None = None, log: TextIO | None = None
    ) -> None:
        """`warm` is a warm process that was started already; it goes with the cast. With `log`, which
        is that of `log_aside`, workers log as their service does, and their last words go to it; else all
        goes to standard error.
        """
        self._watchable = watchable
        self._warm = warm
        self._log = log or sys.stderr
        self._workers: list[ForkedWorker] = []
        self._stack: AsyncExitStack | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._forking = asyncio.Lock()
        self._ending = False
        self._trouble: str | None = None

    async def enter(self, settings: Settings, volume: Volume, listen: Listen) -> None:
        """See Cast.enter."""
        # Only now: a service that is never asked does not carry the simulator.
        room: Any = await asyncio.to_thread(import_module, "flynn.cli.example.scripted_model")
        worker: Any = await asyncio.to_thread(import_module, "flynn.cli.example.worker")
        self._ending, self._trouble = False, None
        async with AsyncExitStack() as stack:
            warm, self._warm = self._warm, None
            if warm is None:
                warm = await asyncio.to_thread(WarmProcess.started)
            stack.push_async_callback(asyncio.to_thread, warm.close)
            model = await stack.enter_async_context(room.ScriptedModel(watchable=self._watchable))
            order = worker.Order(model.settings(settings), volume, aside=self._log is not sys.stderr)
            self._tasks = [
                asyncio.create_task(self._keep(warm, order, listen), name=f"example: worker {place + 1}")
                for place in range(WORKERS)
            ]
            for task in self._tasks:
                task.add_done_callback(_complain)
            self._stack = stack.pop_all()

    def players(self) -> Sequence[ForkedWorker]:
        """See Cast.players."""
        return [worker for worker in self._workers if not (worker.killed or worker.gone.is_set())]

    def trouble(self) -> str | None:
        """See Cast.trouble."""
        return self._trouble

    def wind_down(self, *, urgent: bool = False) -> None:
        """See Cast.wind_down."""
        self._ending = True
        for worker in self.players():
            worker.dismiss(urgent=urgent)

    async def leave(self) -> None:
        """See Cast.leave."""
        self.wind_down()
        if self.players():
            await asyncio.wait(self._tasks, timeout=LEAVE_SECONDS)
        for worker in self.players():
            _log.warning("a worker of the example does not come to its end; it is killed", pid=worker.pid)
            worker.kill()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks, self._trouble = [], None
        if self._stack is not None:
            stack, self._stack = self._stack, None
            await stack.aclose()
        if self._warm is not None:
            warm, self._warm = self._warm, None
            await asyncio.to_thread(warm.close)

    async def _keep(self, warm: WarmProcess, order: Any, listen: Listen) -> None:
        """Have a worker, and another when it ends, until the cast leaves."""
        stillborn = 0
        while not self._ending:
            try:
                worker = await self._fork(warm, order)
            except FlynnError as error:
                self._trouble = error.detail
                return
            self._take_in(worker)
            try:
                await worker.attend(listen)
            finally:
                self._workers.remove(worker)
            stillborn = 0 if worker.ever else stillborn + 1
            if stillborn >= STILLBORN:
                self._trouble = "The example's workers do not start; the service's log says why."
                return

    def _take_in(self, worker: ForkedWorker) -> None:
        self._workers.append(worker)
        if self._ending:
            worker.dismiss()

    async def _fork(self, warm: WarmProcess, order: Any) -> ForkedWorker:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        try:
            async with self._forking:
                forked = await asyncio.to_thread(warm.fork, order, theirs, self._log.fileno())
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return ForkedWorker(forked, ours)


def _complain(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("nobody looks after a worker of the example any more", exc_info=error)
