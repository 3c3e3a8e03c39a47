"""Tasks over REST: delegate, wait, read the report, cancel."""

import asyncio
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query
from fastapi.responses import Response

from flynn.api.auth import Caller
from flynn.api.doors import Cursor, House, Limit, Parts
from flynn.api.problems import responses
from flynn.domain.delta import Delta
from flynn.domain.errors import NotFound
from flynn.domain.orders import MessageOrder, TaskOrder
from flynn.domain.principal import Principal
from flynn.domain.report import Report
from flynn.domain.run import RunState
from flynn.domain.views import Acknowledgement, Page, TaskView

router = APIRouter(prefix="/tasks", tags=["tasks"])
_STOPS = {"run.waiting", "run.completed", "run.failed", "run.cancelled", "task.reported"}

IdempotencyKey = Annotated[
    str | None,
    Header(min_length=1, max_length=255, description="A post repeated with the same key is one task"),
]


@router.post("", status_code=202, responses=responses(400, 401, 403, 413, 422, 503))
async def delegate_task(
    order: TaskOrder,
    caller: Caller,
    parts: Parts,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> TaskView:
    """Delegate a task: `{"instructions": …}` alone is enough."""
    view, replayed = await parts.intake.delegate_task(caller, order, idempotency_key=idempotency_key)
    response.headers["Location"] = f"/api/v1/tasks/{view.id}"
    if replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return view


@router.get("", responses=responses(401, 403, 422, 503))
async def list_tasks(
    caller: Caller, parts: Parts, cursor: Cursor = None, limit: Limit = 50, state: RunState | None = None
) -> Page[TaskView]:
    """Tasks that you may see, newest first."""
    return await parts.views.tasks(caller, cursor=cursor, limit=limit, state=state)


@router.get("/{task_id}", responses=responses(401, 403, 404, 422, 503))
async def read_task(
    task_id: UUID,
    caller: Caller,
    parts: Parts,
    wait: Annotated[float, Query(ge=0, le=60, description="Seconds to wait for the end")] = 0,
) -> TaskView:
    """One task. With `wait`, the answer comes when the task is over or waits, or the time is up."""
    task = await parts.views.task(caller, task_id)
    if wait == 0 or _rests(task):
        return task
    return await _wait(parts, caller, task, wait)


@router.get("/{task_id}/report", responses=responses(401, 403, 404, 422, 503))
async def read_report(task_id: UUID, caller: Caller, parts: Parts) -> Report:
    """The report of a task that is over; 404 until then."""
    task = await parts.views.task(caller, task_id)
    if task.report is None:
        raise NotFound(f"The task {task_id} is {task.state.value}; its report comes with its end.")
    return task.report


@router.post("/{task_id}/cancel", responses=responses(401, 403, 404, 422, 503))
async def cancel_task(task_id: UUID, caller: Caller, parts: Parts) -> TaskView:
    """Stop a task. A task that is over stays as it ended."""
    return await parts.intake.cancel_task(caller, task_id)


@router.post("/{task_id}/messages", status_code=202, responses=responses(400, 401, 403, 404, 413, 422, 503))
async def send_message(task_id: UUID, order: MessageOrder, caller: Caller, parts: Parts) -> Acknowledgement:
    """Say something to the agent at work on a task."""
    task = await parts.views.task(caller, task_id)
    return await parts.intake.send_message(caller, task.conversation_id, order)


def _rests(task: TaskView) -> bool:
    return task.state.final or task.state is RunState.WAITING


async def _wait(parts: House, caller: Principal, task: TaskView, seconds: float) -> TaskView:
    """Follow the task's log until it rests; what is missed on the bus, the hub finds in the log."""
    try:
        async with asyncio.timeout(seconds):
            async with parts.hub.view(task.conversation_id) as viewer:
                while True:
                    task = await parts.views.task(caller, task.id)
                    if _rests(task):
                        return task
                    item = await viewer.next()
                    while isinstance(item, Delta) or item["type"] not in _STOPS:
                        item = await viewer.next()
    except TimeoutError:
        return await parts.views.task(caller, task.id)
