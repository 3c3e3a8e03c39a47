"""The warm process: has imported what a worker needs, and forks one whenever it is told to.

A worker that starts from nothing takes seconds of processor time for its imports alone; a fork of this one
takes next to none, and shares what was imported. Light itself: whoever starts it carries no more for that.
"""

import os
import pickle
import signal
import socket
import subprocess  # noqa: TID251 -- a process of our own, over no workspace
import sys
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from flynn.domain.errors import Unavailable
from flynn.settings import keep_plain_environment, plain_environment

PROGRAM = "flynn.cli.example.warm_program"
LEAVE_SECONDS = 5.0


class Process(Protocol):
    """As much of subprocess.Popen as is needed."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; gives its code. Raises subprocess.TimeoutExpired."""

    def kill(self) -> None:
        """Send it SIGKILL."""


class Fork:
    """A Process that is a fork of this one."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._code: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """See Process.wait."""
        end = time.monotonic() + timeout if timeout is not None else float("inf")
        while self._code is None:
            found, status = os.waitpid(self._pid, os.WNOHANG)
            if found:
                self._code = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > end:
                raise subprocess.TimeoutExpired("the warm process", timeout or 0)
            else:
                time.sleep(0.01)
        return self._code

    def kill(self) -> None:
        """See Process.kill."""
        if self._code is None:
            os.kill(self._pid, signal.SIGKILL)


class Forked:
    """A process that the warm one forked. Nobody here may wait for it, so its id could become another's.

    Hence signals go to its descriptor, which `close` closes, or the end of this object.
    """

    def __init__(self, pid: int, descriptor: int) -> None:
        """`pid` is for people. `descriptor` is a pidfd, and this object's from now on."""
        self.pid = pid
        self._descriptor = descriptor
        self.close = weakref.finalize(self, os.close, descriptor)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, unless it is gone."""
        if self.close.alive:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, number)


class WarmProcess:
    """The process. A context manager; it ends when it is left, or when this process is gone."""

    def __init__(self, process: Process, orders: socket.socket) -> None:
        self._process = process
        self._orders = orders

    @classmethod
    def started(cls) -> Self:
        """A new one, which imports everything for itself. Raises Unavailable."""
        ours, theirs = _pair()
        try:
            # Its environment holds none of the settings: secrets are among them, and what a worker may
            # know it is told.
            process = subprocess.Popen(  # noqa: S603 -- our own program
                [sys.executable, "-P", "-m", PROGRAM],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env=plain_environment(),
                cwd=Path("/"),
                start_new_session=True,  # Ctrl-C in a terminal is for the service
            )
        except OSError as error:
            ours.close()
            raise Unavailable(f"No process can be started: {error.strerror}.") from error
        finally:
            theirs.close()
        return cls(process, ours)

    @classmethod
    def forked(cls, serve: Callable[[socket.socket], None]) -> Self:
        """A fork of this process, which has imported what workers need, and runs neither loop nor thread.

        `serve` is that of the warm program.
        """
        sys.stdout.flush()
        sys.stderr.flush()
        ours, theirs = _pair()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.setsid()
                ours.close()
                keep_plain_environment()
                with Path(os.devnull).open("r+b") as null:
                    for standard in (0, 1):
                        os.dup2(null.fileno(), standard)
                serve(theirs)
                code = 0
            finally:
                os._exit(code)
        theirs.close()
        return cls(Fork(pid), ours)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def fork(self, order: Any, connection: socket.socket, log: int) -> Forked:
        """Have a worker forked that plays `order` (see warm_program).

        It gets a copy of `connection`, and writes its log to the descriptor `log`. Blocks until the imports
        are done. Raises Unavailable when the process is gone.
        """
        try:
            socket.send_fds(self._orders, [pickle.dumps(order)], [connection.fileno(), log])
            answer, descriptors, _, _ = socket.recv_fds(self._orders, 64, 1)
        except OSError:
            answer, descriptors = b"", []
        if not answer:
            raise Unavailable("The process that the example's workers are forked from has ended.")
        os.set_inheritable(descriptors[0], False)
        return Forked(int(answer), descriptors[0])

    def close(self) -> None:
        """Let it end, and wait for it. Safe to call again."""
        with suppress(OSError):
            self._orders.shutdown(socket.SHUT_RDWR)  # wakes whoever waits for an answer
        self._orders.close()
        try:
            self._process.wait(LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _pair() -> tuple[socket.socket, socket.socket]:
    """Both ends of a line on which each order is a packet."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
