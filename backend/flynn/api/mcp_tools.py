"""The tools that /mcp offers: what each takes, gives and does. Nothing here knows the protocol.

They are the doors under /tasks in other words, for agents that delegate: what may be seen and done follows
from the key, and errors are sentences for the model that called.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from flynn.api.tasks import settled
from flynn.api.validation import refusal
from flynn.domain.errors import NotFound
from flynn.domain.orders import BudgetOrder, MessageOrder, TaskBudget, TaskOrder, Text
from flynn.domain.principal import Principal, Scope
from flynn.domain.report import Report
from flynn.domain.run import RunState
from flynn.domain.views import Spent, TaskView
from flynn.intake import Intake
from flynn.live.hub import Hub
from flynn.store.views import Views

LONGEST_WAIT = 50
"""Seconds that a call may wait: clients of the protocol commonly give up after sixty."""


class _Argument(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Delegation(TaskOrder):
    """What `delegate_task` takes: a task's order, and a key that lets it be sent again."""

    idempotency_key: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = Field(
        default=None, description="The same key with the same order is the same task, not another one"
    )


class OneTask(_Argument):
    """Names a task."""

    task_id: UUID = Field(description="As delegate_task gave it")


class Waiting(OneTask):
    """Names a task, and how long to wait for it."""

    wait: Annotated[float, Field(ge=0, le=LONGEST_WAIT)] = Field(
        default=0,
        description=f"Seconds to wait until the task is over or waits for somebody; at most {LONGEST_WAIT}",
    )


class Words(OneTask):
    """Names a task, and what its agent is to be told."""

    text: Text
    client_message_id: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = Field(
        default=None, description="The same id with the same words is the same message, not another one"
    )


class Raise(BudgetOrder):
    """Names a task, and what it may use from now on."""

    task_id: UUID = Field(description="As delegate_task gave it")


class TaskStatus(BaseModel):
    """How a task stands. `reason` and `detail` say why it waits or how it ended."""

    model_config = ConfigDict(frozen=True)

    task_id: UUID
    title: str | None
    state: RunState = Field(description="queued, running, waiting, completed, failed or cancelled")
    over: bool = Field(description="Whether it has ended; task_report then has the report")
    reason: str | None
    detail: str | None
    agent: str
    workspace: str
    branch: str | None = Field(
        description="Where its commits go; null where it works on the files themselves"
    )
    conversation_id: UUID
    created_at: datetime
    ended_at: datetime | None
    budget: TaskBudget = Field(description="What all its runs may use together")
    spent: Spent

    @classmethod
    def of(cls, task: TaskView, **more: Any) -> Self:
        """What a view says of it."""
        return cls(
            task_id=task.id,
            title=task.title,
            state=task.state,
            over=task.state.final,
            reason=task.reason,
            detail=task.detail,
            agent=task.agent,
            workspace=task.workspace,
            branch=task.branch,
            conversation_id=task.conversation_id,
            created_at=task.created_at,
            ended_at=task.ended_at,
            budget=task.budget,
            spent=task.spent,
            **more,
        )


class Delegated(TaskStatus):
    """A task that was taken on. `already`: the idempotency key had brought it in before."""

    already: bool
    callback_secret: str | None = Field(
        description="What posts to callback_url are signed with, when it was made here; shown this once"
    )


class Told(BaseModel):
    """Words that are committed: `seq` is their place in the log, `state` that of the run that reads them."""

    model_config = ConfigDict(frozen=True)

    task_id: UUID
    seq: int
    state: RunState
    already: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One tool. `scopes`: one of them is needed. `reads`: it changes nothing; `ends`: it may undo work."""

    name: str
    title: str
    description: str
    scopes: tuple[Scope, ...]
    argument: type[BaseModel]
    result: type[BaseModel]
    act: Callable[[Principal, Any], Awaitable[BaseModel]]
    reads: bool = False
    ends: bool = False

    async def call(self, principal: Principal, arguments: Mapping[str, Any]) -> BaseModel:
        """Check key and arguments, and act. Raises FlynnError with what would be right."""
        principal.need(*self.scopes)
        try:
            argument = self.argument.model_validate(arguments)
        except ValidationError as error:
            raise refusal(error.errors(), body=self.argument) from None
        return await self.act(principal, argument)

    def opens(self, principal: Principal) -> bool:
        """Whether the principal may call it at all."""
        return principal.admin or not principal.scopes.isdisjoint(self.scopes)


_READERS = (Scope.READ, Scope.CHAT, Scope.DELEGATE)


def tools_of(*, intake: Intake, views: Views, hub: Hub) -> dict[str, Tool]:
    """The tools by their names."""

    async def delegate(principal: Principal, order: Delegation) -> BaseModel:
        given = TaskOrder.model_validate(
            {name: getattr(order, name) for name in order.model_fields_set - {"idempotency_key"}}
        )
        task, already = await intake.delegate_task(principal, given, idempotency_key=order.idempotency_key)
        return Delegated.of(task, already=already, callback_secret=task.callback_secret)

    async def status(principal: Principal, asked: Waiting) -> BaseModel:
        return TaskStatus.of(await settled(principal, asked.task_id, asked.wait, views=views, hub=hub))

    async def report(principal: Principal, asked: OneTask) -> BaseModel:
        task = await views.task(principal, asked.task_id)
        if task.report is None:
            raise NotFound(
                f"The task has no report yet: it is {task.state.value}. Call task_status with wait "
                f"(up to {LONGEST_WAIT} seconds) until over is true."
            )
        return task.report

    async def more(principal: Principal, asked: Raise) -> BaseModel:
        task = await views.task(principal, asked.task_id)
        given = {name: getattr(asked, name) for name in asked.model_fields_set - {"task_id"}}
        await intake.raise_budget(principal, task.conversation_id, BudgetOrder.model_validate(given))
        return TaskStatus.of(await views.task(principal, asked.task_id))

    async def cancel(principal: Principal, asked: OneTask) -> BaseModel:
        return TaskStatus.of(await intake.cancel_task(principal, asked.task_id))

    async def tell(principal: Principal, words: Words) -> BaseModel:
        task = await views.task(principal, words.task_id)
        order = MessageOrder(text=words.text, client_message_id=words.client_message_id)
        said = await intake.send_message(principal, task.conversation_id, order)
        return Told(task_id=task.id, seq=said.seq, state=said.run.state, already=said.duplicate)

    tools = (
        Tool(
            name="delegate_task",
            title="Delegate a task",
            description=(
                "Hand a DevOps task to Flynn and return at once; the work goes on without you. Say in "
                "`instructions` what is to be done, where, and how you will know that it is done: the agent "
                "sees nothing else of your conversation. Then call task_status with `wait` until `over` is "
                "true, and task_report for the evidence."
            ),
            scopes=(Scope.DELEGATE,),
            argument=Delegation,
            result=Delegated,
            act=delegate,
        ),
        Tool(
            name="task_status",
            title="How a task stands",
            description=(
                "How a task stands: queued, running, waiting (for somebody's yes, words, or a raised limit; "
                "`detail` says which), completed, failed or cancelled. With `wait` it answers as soon as the "
                "task is over or waits for somebody."
            ),
            scopes=_READERS,
            argument=Waiting,
            result=TaskStatus,
            act=status,
            reads=True,
        ),
        Tool(
            name="task_report",
            title="The report of a task",
            description=(
                "The report of a task that is over. `evidence` is what the log proves: changed files, "
                "commands with exit codes, what linters find that is new, cost. `account` and `prose` are "
                "the agent's own words and prove nothing; `claims` holds each claim of the account against "
                "the evidence, contradicted ones first: do not build on those."
            ),
            scopes=_READERS,
            argument=OneTask,
            result=Report,
            act=report,
            reads=True,
        ),
        Tool(
            name="task_message",
            title="Tell a task's agent something",
            description=(
                "Say something to the agent that works on a task, or worked on it: it reads it at its next "
                "step, or goes on with the task. Words to one that waits for a yes are a no."
            ),
            scopes=(Scope.CHAT, Scope.DELEGATE),
            argument=Words,
            result=Told,
            act=tell,
        ),
        Tool(
            name="task_raise",
            title="Let a task use more",
            description=(
                "Raise what a waiting task may use. `reason` of task_status says what was reached: "
                "for task_turns, task_tokens, task_dollars and task_minutes name the new one in `task`, for "
                "turns, dollars and context (prompt_tokens) beside it. Ask your person before you spend more."
            ),
            scopes=(Scope.CHAT, Scope.DELEGATE),
            argument=Raise,
            result=TaskStatus,
            act=more,
        ),
        Tool(
            name="task_cancel",
            title="Stop a task",
            description="Stop a task. What it has changed stays; its report says what that is.",
            scopes=(Scope.DELEGATE,),
            argument=OneTask,
            result=TaskStatus,
            act=cancel,
            ends=True,
        ),
    )
    return {tool.name: tool for tool in tools}
