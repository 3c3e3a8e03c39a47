"""One task on the terminal: handed in, followed to its end, and interrupted with Ctrl-C."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import assert_never
from uuid import UUID

from flynn.cli.approval import Approver
from flynn.cli.client import Client, Seen, watch
from flynn.cli.screen import Screen
from flynn.cli.signals import answering
from flynn.domain.content import Json
from flynn.domain.delta import Delta
from flynn.domain.errors import FlynnError
from flynn.domain.events import (
    ApprovalDecided,
    ApprovalExpired,
    ApprovalRequested,
    BudgetReached,
    EventData,
    RunWaiting,
    TaskReported,
)
from flynn.domain.report import Report
from flynn.domain.views import TaskView

INTERRUPTED = 128 + signal.SIGINT


@dataclass(frozen=True, slots=True)
class Ending:
    """How following a task ended: with its report, with a run that waits, or because somebody left."""

    task: TaskView
    report: Report | None = None
    waiting: RunWaiting | None = None
    reached: BudgetReached | None = None
    """The limit that it waits for, if it does."""
    requests: tuple[ApprovalRequested, ...] = ()

    @property
    def left(self) -> bool:
        """Whether the watcher went away before the task was over."""
        return self.report is None and self.waiting is None

    @property
    def exit_code(self) -> int:
        """0 completed, 1 failed or waiting, 130 cancelled or left."""
        if self.report is None:
            return 1 if self.waiting else INTERRUPTED
        return {"completed": 0, "failed": 1, "cancelled": INTERRUPTED}[self.report.state]


Onlooker = Callable[[TaskView, EventData], None]
"""Told of each event of a task as it comes."""


async def perform(
    url: str, key: str, order: Json, screen: Screen, *, onlooker: Onlooker = lambda _task, _event: None
) -> Ending:
    """Hand in a task and show it until it is over, or waits for somebody.

    The first Ctrl-C interrupts the run, the second leaves it alone; SIGTERM leaves at once. Raises
    FlynnError for what the service refuses.
    """
    async with Client(url, key) as client:
        task = TaskView.model_validate(await client.post("/tasks", order))
        approver = Approver(client, screen)
        following = asyncio.create_task(_follow(url, key, task, screen, approver, onlooker))
        stopping = _Stopping(client, task, screen, leave=following.cancel)
        with answering({signal.SIGINT: stopping.asked, signal.SIGTERM: stopping.left}):
            try:
                return await following
            except asyncio.CancelledError:
                if not stopping.gone:
                    raise
                return Ending(task)
            finally:
                following.cancel()
                await stopping.settle()


async def _follow(
    url: str, key: str, task: TaskView, screen: Screen, approver: Approver, onlooker: Onlooker
) -> Ending:
    requests: dict[UUID, ApprovalRequested] = {}
    reached: BudgetReached | None = None
    async with aclosing(watch(url, key, task.conversation_id)) as seen:
        async for item in seen:
            match item:
                case Delta():
                    screen.delta(item)
                case Seen():
                    if item.event is None:
                        continue
                    if isinstance(item.event, TaskReported):
                        return Ending(task, report=item.event.report)
                    screen.event(item.event)
                    onlooker(task, item.event)
                    match item.event:
                        case ApprovalRequested() as request:
                            requests[request.approval_id] = request
                        case BudgetReached() as reached:
                            pass
                        case ApprovalDecided(approval_id=closed) | ApprovalExpired(approval_id=closed):
                            requests.pop(closed, None)
                        case RunWaiting(reason="approval") if approver.available:
                            for request in list(requests.values()):
                                await approver.decide(task.conversation_id, request)
                        case RunWaiting(reason=reason, retry_at=at) if at is None or reason == "approval":
                            asked = tuple(requests.values())
                            return Ending(task, waiting=item.event, reached=reached, requests=asked)
                        case _:
                            pass
                case _:
                    assert_never(item)
    raise AssertionError("watching a conversation does not end by itself")


class _Stopping:
    """What Ctrl-C does: interrupt first, then leave."""

    def __init__(
        self, client: Client, task: TaskView, screen: Screen, *, leave: Callable[[], object]
    ) -> None:
        self.gone = False
        self._client = client
        self._task = task
        self._screen = screen
        self._leave = leave
        self._interrupting: asyncio.Task[None] | None = None

    def asked(self) -> None:
        """Ctrl-C."""
        if self._interrupting is not None:
            self.left()
            return
        self._screen.line("  stopping the run; Ctrl-C again leaves it alone", style="33")
        self._interrupting = asyncio.create_task(self._interrupt())

    def left(self) -> None:
        """Stop watching."""
        self.gone = True
        self._leave()

    async def settle(self) -> None:
        """Let a request to interrupt arrive, unless the watcher has left."""
        if self._interrupting is not None:
            if self.gone:
                self._interrupting.cancel()
            await asyncio.gather(self._interrupting, return_exceptions=True)

    async def _interrupt(self) -> None:
        try:
            await self._client.post(f"/conversations/{self._task.conversation_id}/interrupt", {})
        except FlynnError as error:
            self._screen.line(f"  the run was not interrupted: {error.detail}", style="31")
