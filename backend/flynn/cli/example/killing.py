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


class Killing:
    """Sees a task's events and has its worker killed, once, if that is `wanted`. A context manager."""

    def __init__(self, owner: Client, screen: Screen, *, wanted: bool) -> None:
        """`owner` has an admin's key."""
        self._owner = owner
        self._screen = screen
        self._done = not wanted
        self._waiting: dict[str, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._waiting.values():
            task.cancel()
        await asyncio.gather(*self._waiting.values(), return_exceptions=True)

    def see(self, task: TaskView, event: ev.EventData) -> None:
        """Look at an event of `task`: a command that goes on for a while costs its worker."""
        if isinstance(event, ev.ToolStarted) and event.tool == "Bash" and not self._done:
            self._waiting[event.call_id] = asyncio.create_task(self._kill(task))
        elif isinstance(event, ev.ToolFinished) and event.call_id in self._waiting:
            self._waiting[event.call_id].cancel()

    async def _kill(self, task: TaskView) -> None:
        await asyncio.sleep(AFTER_SECONDS)
        if self._done:
            return
        try:
            answer = await self._owner.post("/example/crash", {"conversation_id": str(task.conversation_id)})
        except Conflict as error:
            self._screen.line(f"  the worker is not killed: {error.detail}", style="33")
            return
        self._done = True
        crash = ExampleCrash.model_validate(answer)
        self._screen.line(
            f"  kill -9 {crash.pid}: the worker is gone in the middle of the command; another takes the run "
            "over when its lease is over",
            style="31",
        )
