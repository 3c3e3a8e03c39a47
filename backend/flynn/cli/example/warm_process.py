"""The warm process: has imported what a worker needs, and forks one whenever it is told to.

A worker that starts from nothing takes seconds of processor time for its imports alone; a fork of this one
takes next to none, and shares what was imported. It is started before it is needed, where that is known.
Light itself: whoever starts it has imported nothing else yet.
"""

import pickle
import socket
import subprocess  # noqa: TID251 -- a process of our own, over no workspace
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from flynn.domain.errors import Unavailable
from flynn.settings import plain_environment

PROGRAM = "flynn.cli.example.warm_program"
LEAVE_SECONDS = 5.0


class WarmProcess:
    """The process. A context manager; it ends when it is left, or when this process is gone."""

    def __init__(self) -> None:
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            # Its environment holds none of the settings: secrets are among them, and what a worker may
            # know it is told.
            self._process = subprocess.Popen(  # noqa: S603 -- our own program
                [sys.executable, "-m", PROGRAM],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env=plain_environment(),
                cwd=Path("/"),
                start_new_session=True,  # Ctrl-C in a terminal is for the service
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def alive(self) -> bool:
        """Whether it takes orders."""
        return self._process.poll() is None

    def fork(self, order: Any, connection: socket.socket, log: int) -> int:
        """Have a worker forked that plays `order` (see warm_program); gives its process id.

        It gets a copy of `connection`, and writes its log to the descriptor `log`. Blocks until the imports
        are done. Raises Unavailable when the process is gone.
        """
        try:
            socket.send_fds(self._orders, [pickle.dumps(order)], [connection.fileno(), log])
            answer = self._orders.recv(64)
        except OSError:
            answer = b""
        if not answer:
            raise Unavailable("The process that the example's workers are forked from has ended.")
        return int(answer)

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
