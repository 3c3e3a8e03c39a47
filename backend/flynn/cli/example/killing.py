"""`flynn demo --crash`: the worker of a task is killed in the middle of a command that takes its time."""

import asyncio
from types import TracebackType
from typing import Self

from flynn.cli.client import Client
from flynn.cli.screen import Screen
from flynn.domain import events as ev
from flynn.domain.errors import Conflict
from flynn.domain.example import ExampleCrash
from flynn.domain.views import TaskView

AFTER_SECONDS = 3.0
"""How long a command has to run before its worker is killed."""

AGAIN_SECONDS = 0.5
"""When it is tried again, where it cannot be done yet: the other worker may still be starting."""


class Killing:
    """Sees a task's events and has its worker killed, once, if that is `wanted`. A context manager."""

    def __init__(self, owner: Client, screen: Screen, *, wanted: bool, after: float = AFTER_SECONDS) -> None:
        """`owner` has an admin's key. `after` so many seconds a command that still runs is cut off."""
        self._owner = owner
        self._screen = screen
        self._after = after
        self._done = not wanted
        self._refusal: str | None = None
        self._waiting: dict[str, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._waiting.values():
            task.cancel()
        await asyncio.gather(*self._waiting.values(), return_exceptions=True)
        if not self._done and self._refusal is not None:
            self._screen.line(f"  the worker was not killed: {self._refusal}", style="33")

    def see(self, task: TaskView, event: ev.EventData) -> None:
        """Look at an event of `task`: a command that goes on for a while costs its worker."""
        if isinstance(event, ev.ToolStarted) and event.tool == "Bash" and not self._done:
            self._waiting[event.call_id] = asyncio.create_task(self._kill(task))
        elif isinstance(event, ev.ToolFinished) and event.call_id in self._waiting:
            self._waiting[event.call_id].cancel()

    async def _kill(self, task: TaskView) -> None:
        await asyncio.sleep(self._after)
        body = {"conversation_id": str(task.conversation_id)}
        while not self._done:
            try:
                crash = ExampleCrash.model_validate(await self._owner.post("/example/crash", body))
            except Conflict as error:
                self._refusal = error.detail
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                self._done = True
                self._tell(crash)

    def _tell(self, crash: ExampleCrash) -> None:
        self._screen.line(
            f"  kill -9 {crash.pid}: the worker is gone in the middle of the command; another takes the run "
            "over when its lease is over",
            style="31",
        )
