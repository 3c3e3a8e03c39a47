"""Doors to tasks: delegate one, wait for it, read its report."""

import asyncio
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response

from flynn.api.counting import untimed
from flynn.api.door import Client, Cursor, Delegator, Door, Limit, Reader, answer, declared
from flynn.domain.callback import CallbackState
from flynn.domain.delta import Delta
from flynn.domain.errors import NotFound
from flynn.domain.orders import BudgetOrder, MessageOrder, ReplayOrder, TaskOrder, Time
from flynn.domain.principal import Principal
from flynn.domain.report import Report
from flynn.domain.report_markdown import markdown
from flynn.domain.run import RunState
from flynn.domain.views import Acknowledgement, CallbackView, NewTask, Page, TaskView
from flynn.intake import Intake
from flynn.live.hub import Hub
from flynn.live.presence import Present
from flynn.live.viewer import ServiceEnds, SlowViewer
from flynn.store.views import Views

LONGEST_WAIT = 60
"""Seconds that a request may wait for its task."""

_TURNS = ("run.", "task.")
"""How types of events begin that can settle a task."""


def task_doors(*, intake: Intake, views: Views, hub: Hub) -> APIRouter:
    """The routes under /tasks."""
    doors = APIRouter(prefix="/tasks", tags=["tasks"], route_class=Door)

    @doors.post("", status_code=202, response_model=NewTask, responses=declared(409, 429, body=True))
    async def delegate_task(
        principal: Delegator,
        order: TaskOrder,
        idempotency_key: Annotated[
            str | None,
            Header(
                min_length=1,
                max_length=255,
                description="The same key with the same order is the same task, not another one",
            ),
        ] = None,
    ) -> Response:
        """Delegate a task. The answer means that it is committed; Location is where to wait for it."""
        task, replayed = await intake.delegate_task(principal, order, idempotency_key=idempotency_key)
        headers = {"location": f"/api/v1/tasks/{task.id}"}
        if replayed:
            headers["idempotency-replayed"] = "true"
        return answer(task, 202, headers=headers)

    @doors.get("", response_model=Page[TaskView], responses=declared())
    async def list_tasks(
        principal: Reader,
        *,
        cursor: Cursor = None,
        limit: Limit = 50,
        state: Annotated[
            list[RunState] | None, Query(description="Only tasks in this state; may be given several times")
        ] = None,
        agent: Annotated[str | None, Query(max_length=200, description="Only tasks of this agent")] = None,
        workspace: Annotated[
            str | None, Query(max_length=200, description="Only tasks in this workspace, by name or id")
        ] = None,
        created_after: Annotated[
            Time | None, Query(description="Only tasks delegated after this time")
        ] = None,
        created_before: Annotated[
            Time | None, Query(description="Only tasks delegated before this time")
        ] = None,
    ) -> Response:
        """Tasks that this key may see, newest first."""
        return answer(
            await views.tasks(
                principal,
                cursor=cursor,
                limit=limit,
                states=state,
                agent=agent,
                workspace=workspace,
                since=created_after,
                until=created_before,
            )
        )

    @doors.get("/{task_id}", response_model=TaskView, responses=declared(404))
    async def get_task(
        request: Request,
        principal: Reader,
        task_id: UUID,
        wait: Annotated[
            float,
            Query(
                ge=0,
                le=LONGEST_WAIT,
                description="Seconds to wait until the task is over or waits for somebody",
            ),
        ] = 0,
    ) -> Response:
        """One task; with `wait`, as soon as it is over or waits for somebody, or when the time is up."""
        if wait:
            untimed(request.scope)
        return answer(await settled(principal, task_id, wait, views=views, hub=hub))

    @doors.post("/{task_id}/cancel", response_model=TaskView, responses=declared(404))
    async def cancel_task(principal: Delegator, task_id: UUID) -> Response:
        """Stop a task. Of one that is over, this is the answer that it was."""
        return answer(await intake.cancel_task(principal, task_id))

    @doors.get(
        "/{task_id}/report",
        response_model=Report,
        responses={
            **declared(404),
            200: {
                "description": "The report",
                "content": {"text/markdown": {"schema": {"type": "string"}}},
            },
        },
    )
    async def get_report(
        principal: Reader,
        task_id: UUID,
        accept: Annotated[str, Header(description="text/markdown for a document to read")] = "",
        format: Annotated[
            Literal["json", "markdown"] | None, Query(description="What to answer with, whatever is accepted")
        ] = None,
    ) -> Response:
        """The report of a task that is over; 404 until then. As JSON, or as Markdown for people."""
        task = await views.task(principal, task_id)
        if task.report is None:
            raise NotFound(f"The task has no report yet: it is {task.state.value}.")
        if format == "markdown" or (format is None and _prefers_markdown(accept)):
            text = markdown(task.report, asked=task.title or task.instructions)
            return Response(text, media_type="text/markdown", headers={"vary": "accept"})
        return answer(task.report, headers={"vary": "accept"})

    @doors.post(
        "/{task_id}/messages",
        status_code=202,
        response_model=Acknowledgement,
        responses=declared(404, 409, 429, body=True),
    )
    async def message_task(principal: Client, task_id: UUID, order: MessageOrder) -> Response:
        """Say something to the agent that works on a task, or worked on it."""
        task = await views.task(principal, task_id)
        return answer(await intake.send_message(principal, task.conversation_id, order), 202)

    @doors.post("/{task_id}/budget", response_model=TaskView, responses=declared(404, 409, body=True))
    async def raise_task_budget(principal: Client, task_id: UUID, order: BudgetOrder) -> Response:
        """Raise what a task and its present run may use; it goes on if it waited for that."""
        task = await views.task(principal, task_id)
        await intake.raise_budget(principal, task.conversation_id, order)
        return answer(await views.task(principal, task_id))

    @doors.post(
        "/{task_id}/callback/replay", response_model=CallbackView, responses=declared(404, 409, body=True)
    )
    async def replay_callback(
        principal: Delegator, task_id: UUID, order: ReplayOrder | None = None
    ) -> Response:
        """Deliver to the task's callback again, also when it had given up. The body may be left out."""
        return answer(await intake.replay_callback(principal, task_id, order or ReplayOrder()))

    return doors


def callback_doors(*, views: Views) -> APIRouter:
    """The route /callbacks."""
    doors = APIRouter(prefix="/callbacks", tags=["tasks"], route_class=Door)

    @doors.get("", response_model=Page[CallbackView], responses=declared())
    async def list_callbacks(
        principal: Reader,
        cursor: Cursor = None,
        limit: Limit = 50,
        state: Annotated[CallbackState | None, Query(description="Only callbacks in this state")] = None,
    ) -> Response:
        """Callbacks of tasks that this key may see, newest first: how far each has been."""
        return answer(await views.callbacks(principal, cursor=cursor, limit=limit, state=state))

    return doors


async def settled(principal: Principal, task_id: UUID, seconds: float, *, views: Views, hub: Hub) -> TaskView:
    """The task, as soon as it is over or waits for somebody, after `seconds` at the latest.

    Woken by the conversation's events; no connection to the database is held meanwhile.
    """
    task = await views.task(principal, task_id)
    if seconds == 0 or _settled(task):
        return task
    async with hub.view(task.conversation_id) as viewer:
        task = await views.task(principal, task_id)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while not _settled(task) and loop.time() < deadline:
            try:
                async with asyncio.timeout_at(deadline):
                    item = await viewer.next()
            except (TimeoutError, SlowViewer, ServiceEnds):
                break
            if not isinstance(item, Delta | Present) and item["type"].startswith(_TURNS):
                task = await views.task(principal, task_id)
    return task


def _prefers_markdown(accept: str) -> bool:
    """Whether the first type of an Accept header that we can give is Markdown."""
    for item in accept.lower().split(","):
        match item.split(";")[0].strip():
            case "text/markdown":
                return True
            case "application/json" | "*/*" | "application/*":
                return False
            case _:
                continue
    return False


def _settled(task: TaskView) -> bool:
    return task.state.final or task.state is RunState.WAITING
