"""A running supervised tree: its pipes, its heartbeat, its end and the proof of that end."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Final

from flynn.domain.errors import SandboxUnavailable
from flynn.sandbox.launch import Launch
from flynn.sandbox.process_tree import descendants, kill_tree

_PIECE: Final = 1 << 16
_GRACE_SECONDS: Final = 1.0
"""How long a supervisor may take to end its tree before that is done from outside."""
_AGAIN_SECONDS: Final = 0.01

Sink = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Sinks:
    """Who takes what the tree says: the command's output, its errors apart, the launcher's own words."""

    output: Sink
    errors: Sink
    words: Sink


class Tree:
    """One outermost process (bubblewrap, or the supervisor) and all that is beneath it.

    The outermost process ends only when nothing beneath it is left: bubblewrap after the pid namespace's
    pid 1, whose end the kernel delays until the namespace is empty; the supervisor when, as a subreaper,
    it has no child. So its end is the proof.
    Start it on the event loop's thread: bubblewrap's parent-death signal follows the thread.
    """

    def __init__(self, launch: Launch, sinks: Sinks, *, silence: float, errors: int | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._silence = silence
        self._process = _spawn(launch)
        if launch.mapping is not None:
            launch.mapping.serve(self._loop)
        self._handle = os.pidfd_open(self._process.pid)
        self._ended: asyncio.Future[int] = self._loop.create_future()
        self._heartbeat: int | None = _own(self._process.stdin)
        self._streams = {_own(self._process.stdout): sinks.output, _own(self._process.stderr): sinks.words}
        if errors is not None:
            self._streams[errors] = sinks.errors
        for descriptor in self._streams:
            os.set_blocking(descriptor, False)
            self._loop.add_reader(descriptor, self._read, descriptor)
        os.set_blocking(self._heartbeat, False)
        self._loop.add_reader(self._handle, self._finish)
        self._timer = self._loop.call_later(silence / 4, self._beat)

    @property
    def gone(self) -> bool:
        """Whether nothing of the tree is left."""
        return self._ended.done()

    async def ended(self) -> int:
        """Wait until the whole tree is gone; the outermost process's status, negative for a signal.

        Cancelling the wait does not end the tree.
        """
        return await asyncio.shield(self._ended)

    def kill(self) -> None:
        """Begin to end the tree: its supervisor does that, and if it does not, it is done from here."""
        if self._heartbeat is not None:
            self._silence_heartbeat()
            self._timer = self._loop.call_later(_GRACE_SECONDS, self._force)

    def _silence_heartbeat(self) -> None:
        self._timer.cancel()
        if self._heartbeat is not None:
            os.close(self._heartbeat)
            self._heartbeat = None

    def _beat(self) -> None:
        if self._heartbeat is not None:
            with suppress(BlockingIOError, BrokenPipeError):  # a full or broken pipe: nobody listens
                os.write(self._heartbeat, b".")
            self._timer = self._loop.call_later(self._silence / 4, self._beat)

    def _force(self) -> None:
        """End the tree from here. The outermost process goes last: while it lives, nothing can get away."""
        kill_tree(self._process.pid)
        if not descendants(self._process.pid):
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)
        self._timer = self._loop.call_later(_AGAIN_SECONDS, self._force)

    def _read(self, descriptor: int) -> bool:
        """Take one piece; whether there may be more at once."""
        try:
            piece = os.read(descriptor, _PIECE)
        except BlockingIOError:
            return False
        if piece:
            self._streams[descriptor](piece)
            return True
        self._loop.remove_reader(descriptor)
        return False

    def _finish(self) -> None:
        """The outermost process has ended: all that was ever written is in the pipes now."""
        self._loop.remove_reader(self._handle)
        status = self._process.wait()
        self._silence_heartbeat()
        for descriptor in self._streams:
            while self._read(descriptor):
                pass
            self._loop.remove_reader(descriptor)
            os.close(descriptor)
        os.close(self._handle)
        self._ended.set_result(status)


def _spawn(launch: Launch) -> subprocess.Popen[bytes]:
    # Not asyncio's: its end would be waited for by a thread, and its signals sent by number.
    try:
        return subprocess.Popen(
            launch.argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            close_fds=True,
            pass_fds=launch.descriptors,
            env={},
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        if launch.mapping is not None:
            launch.mapping.discard()
        raise SandboxUnavailable(f"{launch.argv[0]} cannot be started: {error.strerror}") from error


def _own(pipe: IO[bytes] | None) -> int:
    """Take a pipe's descriptor from its file object."""
    if pipe is None:
        raise SandboxUnavailable("the process was started without its pipes")
    descriptor = os.dup(pipe.fileno())
    pipe.close()
    return descriptor
