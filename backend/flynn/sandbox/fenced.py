"""A sandbox under a fence: without the lease nothing starts in it, and nothing outlasts its time."""

import time
from collections.abc import Callable
from dataclasses import replace

from flynn.domain.errors import SandboxUnavailable
from flynn.sandbox.command import Command, Completed, Sandbox, SandboxReport


class FencedSandbox:
    """Runs commands in `sandbox` for `seconds` in all.

    `deadline` is the CLOCK_BOOTTIME second past which nothing may act; `confirm` raises LeaseLost when the
    lease is gone.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        *,
        deadline: Callable[[], float | None],
        confirm: Callable[[], None],
        seconds: float,
    ) -> None:
        self._sandbox = sandbox
        self._deadline = deadline
        self._confirm = confirm
        self._seconds = seconds
        self._until = time.monotonic() + seconds

    @property
    def report(self) -> SandboxReport:
        """What the probe found."""
        return self._sandbox.report

    async def run(self, command: Command, on_output: Callable[[bytes], None] | None = None) -> Completed:
        """As the sandbox does. Raises SandboxUnavailable too when there is no time left, and LeaseLost."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise SandboxUnavailable(f"there was no time left after {self._seconds:g} s.")
        self._confirm()
        fenced = replace(
            command, deadline=self._deadline(), timeout_seconds=min(command.timeout_seconds, left)
        )
        return await self._sandbox.run(fenced, on_output)
