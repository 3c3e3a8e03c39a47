"""The sandbox as callers have it: one backend that passed the probe, or none."""

import asyncio
import os
import shutil
from collections.abc import Callable
from typing import Protocol

from flynn.domain.errors import SandboxUnavailable
from flynn.sandbox.command import Command, Completed, SandboxReport
from flynn.sandbox.confinement import SET_UP_FAILED, STATUS_SET_UP_FAILED
from flynn.sandbox.launch import Launch
from flynn.sandbox.launcher import KILLED
from flynn.sandbox.output import Output
from flynn.sandbox.tree import Sinks, Tree
from flynn.telemetry.crash_point import reach

_WORDS_LIMIT = 1 << 13


class Backend(Protocol):
    """Turns a command into a launch of a confined tree."""

    @property
    def name(self) -> str:
        """The name that reports use."""

    @property
    def layers(self) -> tuple[str, ...]:
        """What keeps a command in."""

    @property
    def missing(self) -> tuple[str, ...]:
        """What does not, and would in a better place."""

    def prepare(self, command: Command, *, silence: float, errors: int | None) -> Launch:
        """Make the launch; `errors` is the descriptor for a stderr of its own. Raises SandboxUnavailable."""


class ConfinedSandbox:
    """Runs each command in a fresh sandbox of its backend. Implements `flynn.sandbox.command.Sandbox`."""

    def __init__(self, backend: Backend, report: SandboxReport, *, silence: float) -> None:
        self._backend = backend
        self._report = report
        self._silence = silence

    @property
    def report(self) -> SandboxReport:
        """What the probe found."""
        return self._report

    async def run(self, command: Command, on_output: Callable[[bytes], None] | None = None) -> Completed:
        """Run `command` to its end; see `flynn.sandbox.command.Sandbox.run`.

        What `on_output` raises kills the tree and is raised from here. A command that ends by signal N
        has the exit code 128 + N.
        """
        call = _Call(self._backend, command, on_output, silence=self._silence)
        try:
            return await call.completed()
        finally:
            await call.close()


class RefusingSandbox:
    """Stands where no backend passed the probe: starts nothing, and says why."""

    def __init__(self, report: SandboxReport) -> None:
        self._report = report

    @property
    def report(self) -> SandboxReport:
        """What the probe found."""
        return self._report

    async def run(self, command: Command, on_output: Callable[[bytes], None] | None = None) -> Completed:  # noqa: ARG002 - the port's signature
        """Refuse: raises SandboxUnavailable with the report's reason."""
        raise SandboxUnavailable(f"no command can run here: {self._report.reason}")


class _Call:
    """One command on its way."""

    def __init__(
        self, backend: Backend, command: Command, on_output: Callable[[bytes], None] | None, *, silence: float
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._command = command
        self._on_output = on_output
        self._output = Output(command.output_limit)
        self._errors = Output(command.output_limit)
        self._words = bytearray()
        self._failure: Exception | None = None
        self._kill_reason: str | None = None
        self._flooded = self._timed_out = False
        read, write = (None, None) if command.merge_output else os.pipe()
        self._started = self._loop.time()
        try:
            launch = _prepare(backend, command, silence=silence, errors=write)
            self._scratch = launch.scratch
            sinks = Sinks(self._take, self._take_errors, self._take_words)
            try:
                self._tree = Tree(launch, sinks, silence=silence, errors=read)
            finally:
                launch.close()
            reach("command.launched")
        except BaseException:
            if read is not None:
                os.close(read)
            raise
        finally:
            if write is not None:
                os.close(write)
        self._timeout = self._loop.call_later(command.timeout_seconds, self._expire)

    async def completed(self) -> Completed:
        """Wait for the end and say how it came. Raises SandboxUnavailable when the set-up failed."""
        status = await self._tree.ended()
        reach("command.ended")
        duration = self._loop.time() - self._started
        if self._failure is not None:
            raise self._failure
        words = self._words.decode(errors="replace").strip()
        self._check(status, words)
        killed = self._kill_reason
        if killed is None and KILLED in words:
            killed = words.rpartition(KILLED)[2]
        return Completed(
            exit_code=None if killed else status,
            output=self._output.content(),
            errors=self._errors.content(),
            output_cut=self._output.cut + self._errors.cut,
            timed_out=self._timed_out,
            flooded=self._flooded,
            kill_reason=killed,
            duration_seconds=duration,
        )

    async def close(self) -> None:
        """Kill what is left of the tree and return when it is gone, however often this is cancelled."""
        self._timeout.cancel()
        self._tree.kill()
        cancelled = False
        while not self._tree.gone:
            try:
                await self._tree.ended()
            except asyncio.CancelledError:
                cancelled = True
        if self._scratch is not None:
            await asyncio.to_thread(shutil.rmtree, self._scratch, ignore_errors=True)
        if cancelled:
            raise asyncio.CancelledError

    def _check(self, status: int, words: str) -> None:
        if SET_UP_FAILED in words and status == STATUS_SET_UP_FAILED:
            raise SandboxUnavailable(f"the sandbox could not be set up: {words.rpartition(SET_UP_FAILED)[2]}")
        if status < 0:
            raise SandboxUnavailable(
                f"the sandbox's outermost process was killed by signal {-status} from outside; "
                "what the command did is not known"
            )
        if status != 0 and words and KILLED not in words:
            raise SandboxUnavailable(f"the sandbox could not be set up: {words}")

    def _kill(self, reason: str) -> None:
        if self._kill_reason is None and not self._tree.gone:
            self._kill_reason = reason
            self._tree.kill()

    def _expire(self) -> None:
        self._timed_out = True
        self._kill(f"it ran longer than {self._command.timeout_seconds:g} s")

    def _take(self, piece: bytes) -> None:
        self._output.add(piece)
        self._bound()
        if self._on_output is not None and self._failure is None:
            try:
                self._on_output(piece)
            except Exception as error:
                self._failure = error
                self._kill("its output could not be handed on")

    def _take_errors(self, piece: bytes) -> None:
        self._errors.add(piece)
        self._bound()

    def _bound(self) -> None:
        if self._output.total + self._errors.total > self._command.output_kill:
            self._flooded = True
            self._kill(f"it wrote more than {self._command.output_kill} bytes")

    def _take_words(self, piece: bytes) -> None:
        self._words += piece[: max(_WORDS_LIMIT - len(self._words), 0)]


def _prepare(backend: Backend, command: Command, *, silence: float, errors: int | None) -> Launch:
    try:
        return backend.prepare(command, silence=silence, errors=errors)
    except OSError as error:
        # The workspace may be at work meanwhile: what was just looked at can be gone.
        raise SandboxUnavailable(f"the sandbox could not be prepared: {error}") from error
