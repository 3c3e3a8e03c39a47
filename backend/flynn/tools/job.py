"""Background jobs of one run: sandboxes kept alive while the agent goes on, and ended with the run.

A job lives in this process and nowhere else. It ends by itself, at its time limit, when it is stopped,
when the run's lease runs out, and before the run ends or waits; each time its whole tree is proven gone.
"""

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Literal, Self

from flynn.domain.errors import SandboxUnavailable
from flynn.domain.evidence import CommandRan, JobStarted
from flynn.sandbox.command import Command, Completed, Sandbox
from flynn.tools.capture import Capture
from flynn.tools.ending import ending
from flynn.tools.thread import ended

MOST_JOBS = 4
"""How many may run at once in one run."""
_WATCH_SECONDS = 1.0
"""How often the lease is looked at, at least: the clock of the event loop stands still in a suspend."""

Status = Literal["running", "completed", "failed", "killed"]


class Job:
    """One command in the background; `Jobs.start` lets it run."""

    def __init__(self, capture: Capture, *, text: str, command: Command) -> None:
        self.capture = capture
        self.text = text
        self.told = False
        """Whether the model knows that it has ended."""
        self._command = command
        self._done: Completed | None = None
        self.refused: str | None = None
        """Why its sandbox could not be had, or was lost: then nobody knows what it did."""
        self._killed: str | None = None
        self._started = time.monotonic()
        self._seconds = 0.0
        self.task: asyncio.Task[None] | None = None
        """What runs it; ended when nothing of it is alive and its output is written."""

    @property
    def task_id(self) -> str:
        """What it is called: unique in the conversation."""
        return self.capture.spill.name

    @property
    def started(self) -> JobStarted:
        """The evidence that it was started."""
        return JobStarted(task_id=self.task_id, command=self.text, cwd=self._command.cwd)

    @property
    def running(self) -> bool:
        """Whether anything of it may be alive."""
        return self.task is None or not self.task.done()

    @property
    def status(self) -> Status:
        """Where it stands. Raises what its sandbox raised, when that is a fault of this service."""
        if self.task is None or not self.task.done():
            return "running"
        if not self.task.cancelled():
            self.task.result()
        if self._done is None or self._done.exit_code is None:
            return "killed"
        return "failed" if self._done.exit_code else "completed"

    @property
    def exit_code(self) -> int | None:
        """Its exit code; None while it runs and when it was killed."""
        return self._done.exit_code if self._done else None

    @property
    def seconds(self) -> float:
        """How long it has run."""
        return time.monotonic() - self._started if self.running else self._seconds

    @property
    def words(self) -> str | None:
        """How it ended, unless it ended well."""
        if self.refused is not None:
            return f"Its outcome is unknown: {self.refused}"
        if self._killed is not None:
            return self._killed
        advice = "`timeout` sets how long a job may run."
        return (
            ending(self._done, timeout=self._command.timeout_seconds, advice=advice) if self._done else None
        )

    def end(self) -> tuple[CommandRan, ...]:
        """The evidence of its end, given once: whoever takes it tells the model."""
        if self.told or self.status == "running":
            return ()
        self.told = True
        if self.refused is not None:
            return ()  # nobody knows how it ended, so there is nothing to show
        return (
            CommandRan(
                command=self.text,
                cwd=self._command.cwd,
                exit_code=self.exit_code,
                duration_ms=round(self._seconds * 1000),
                timed_out=bool(self._done and self._done.timed_out),
                task_id=self.task_id,
            ),
        )

    def start(self, sandbox: Sandbox) -> None:
        """Let it run."""
        self.capture.spill.add("")  # the file is there from the start
        self.task = asyncio.create_task(self._run(sandbox))

    async def wait(self, seconds: float) -> None:
        """Wait for its end, but no longer than that; cancelling the wait does not end it."""
        if self.task is not None:
            await asyncio.wait([self.task], timeout=seconds)

    def kill(self, reason: str) -> None:
        """Begin to end it; `reason` is a sentence for the model."""
        if self.task is not None and not self.task.done() and self._killed is None:
            self._killed = reason
            self.task.cancel()

    async def stop(self, reason: str) -> None:
        """End it and return when nothing of it is alive, however often this is cancelled."""
        self.kill(reason)
        if self.task is not None:
            await ended([self.task])

    async def _run(self, sandbox: Sandbox) -> None:
        try:
            self._done = await sandbox.run(self._command, self.capture.feed)
        except SandboxUnavailable as error:
            self.refused = error.detail
        except asyncio.CancelledError:
            self._killed = self._killed or "Killed: the service is ending."
        else:
            self._killed = None  # it was faster
        finally:
            self._seconds = time.monotonic() - self._started
            await self.capture.close()


class Jobs:
    """The jobs of one run while one worker holds it. A context manager: leaving it ends them all.

    `deadline` gives the CLOCK_BOOTTIME second at which the lease runs out unless it is moved.
    """

    def __init__(self, deadline: Callable[[], float | None]) -> None:
        self._deadline = deadline
        self._jobs: dict[str, Job] = {}
        self._guard: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.end("Killed: its run was left.")

    def find(self, task_id: str) -> Job | None:
        """The job of that name, ended ones included."""
        return self._jobs.get(task_id)

    @property
    def running(self) -> list[Job]:
        """Those that may be alive, in the order of their start."""
        return [job for job in self._jobs.values() if job.running]

    @property
    def unannounced(self) -> list[Job]:
        """Those that have ended without the model knowing."""
        return [job for job in self._jobs.values() if not job.running and not job.told]

    def start(self, job: Job, sandbox: Sandbox) -> None:
        """Let `job` run. The caller has seen that there is room (MOST_JOBS)."""
        self._jobs[job.task_id] = job
        job.start(sandbox)
        if self._guard is None or self._guard.done():
            self._guard = asyncio.create_task(self._watch())

    async def end(self, reason: str) -> None:
        """End all jobs and return when nothing of them is alive, however often this is cancelled."""
        for job in self.running:
            job.kill(reason)
        try:
            await ended(job.task for job in self._jobs.values() if job.task is not None)
        finally:
            if self._guard is not None:
                self._guard.cancel()
                await ended([self._guard])

    async def _watch(self) -> None:
        """End the jobs when the lease has run out, whatever else this worker is held up by."""
        while running := self.running:
            deadline = self._deadline()
            left = _WATCH_SECONDS
            if deadline is not None:
                left = deadline - time.clock_gettime(time.CLOCK_BOOTTIME)
                if left <= 0:
                    for job in running:
                        job.kill("Killed: the service lost its lease on the run.")
                    left = _WATCH_SECONDS
            tasks = [job.task for job in running if job.task is not None]
            await asyncio.wait(tasks, timeout=min(left, _WATCH_SECONDS))
