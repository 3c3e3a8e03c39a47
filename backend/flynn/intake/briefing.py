"""Briefing: what an order names beside its instructions, put into words once for good.

Earlier tasks that are over are told of at once. Those that the task comes after are told of when it is
released (flynn.worker.schedule), since only then there is something to tell.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.domain.brief import Brief, EarlierTask
from flynn.domain.content import clean
from flynn.domain.errors import InvalidInput
from flynn.domain.orders import TaskContext, TaskOrder
from flynn.domain.principal import Principal
from flynn.domain.report import Report
from flynn.intake.access import see_task
from flynn.intake.rules import Rules
from flynn.telemetry.redaction import redact

_EARLIER = text("""
SELECT t.id, t.title, t.report FROM tasks t WHERE t.id = ANY(:tasks) AND t.report IS NOT NULL AND NOT EXISTS (
  SELECT 1 FROM runs r WHERE r.conversation_id = t.conversation_id
  AND r.state IN ('queued', 'running', 'waiting'))""")
_OF_TASK = text("SELECT context FROM tasks WHERE conversation_id = :c")


async def earlier_tasks(connection: AsyncConnection, tasks: Sequence[UUID]) -> list[EarlierTask]:
    """Those of `tasks` that are over, in that order."""
    if not tasks:
        return []
    rows = {row.id: row for row in await connection.execute(_EARLIER, {"tasks": list(tasks)})}
    return [
        EarlierTask.of(Report.model_validate(rows[task].report), rows[task].title)
        for task in dict.fromkeys(tasks)
        if task in rows
    ]


async def brief_of(
    connection: AsyncConnection, principal: Principal, order: TaskOrder, rules: Rules
) -> str | None:
    """The words for what `order` names, None when it names nothing.

    Raises InvalidInput for earlier tasks that `principal` may not see, and for those that are neither over
    nor to be over before this one starts.
    """
    context = order.context
    for place, task in enumerate(context.tasks):
        await see_task(connection, principal, task, field=f"context.tasks.{place}")
    earlier = await earlier_tasks(connection, context.tasks)
    over = {task.id for task in earlier}
    for place, task in enumerate(context.tasks):
        if task not in over and task not in order.after:
            field, message = f"context.tasks.{place}", "is not over: name it in `after` too, or wait for it"
            raise InvalidInput(f"{field}: {message}.", errors=[{"field": field, "message": message}])
    return _words(
        Brief(
            criteria=order.acceptance_criteria,
            files=context.files,
            links=context.links,
            # What comes after them is told when they are over, and then of what they are by then.
            earlier=[task for task in earlier if task.id not in order.after],
        ),
        rules,
    )


async def brief_of_predecessors(
    connection: AsyncConnection, conversation_id: UUID, after: Sequence[UUID], rules: Rules
) -> str | None:
    """The words for those tasks of its context that a released task came after."""
    context = await connection.scalar(_OF_TASK, {"c": conversation_id})
    wanted = [UUID(task) for task in (context or {}).get("tasks", ())]
    earlier = await earlier_tasks(connection, [task for task in wanted if task in after])
    return _words(Brief(earlier=earlier), rules)


def kept(context: TaskContext) -> str | None:
    """What is stored of a context, as JSON, without secrets; None of an empty one."""
    if context == TaskContext():
        return None
    return context.model_copy(update={"links": [redact(link) for link in context.links]}).model_dump_json()


def _words(brief: Brief, rules: Rules) -> str | None:
    return redact(clean(rules.brief(brief))) if brief else None
