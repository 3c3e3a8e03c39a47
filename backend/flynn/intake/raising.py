"""Raising: the limits that an order asks for, held against those there are. No limit ever falls."""

from collections.abc import Sequence
from dataclasses import dataclass

from flynn.domain import events as ev
from flynn.domain.errors import InvalidInput
from flynn.domain.run import Limits, TaskLimits
from flynn.domain.usage import dollars


@dataclass(frozen=True, slots=True)
class _Asked:
    """One limit: how the order calls it, what there is, what is asked for, and how the former is said."""

    field: str
    held: int | None
    wanted: int
    shown: str


def raised_limits(
    run: Limits, task: TaskLimits | None, event: ev.BudgetRaised
) -> tuple[Limits, TaskLimits | None]:
    """The limits of run and task after `event`; a task's are None where they stay.

    Raises InvalidInput for one that would fall or that there is not, and when nothing is raised.
    """
    asked = [*_of_run(run, event), *_of_task(task, event)]
    problems = [problem for one in asked if (problem := _problem(one, task)) is not None]
    if not problems and all(one.wanted == one.held for one in asked):
        problems = [_nothing(run, task, asked)]
    if problems:
        detail = "; ".join(f"{p['field']}: {p['message']}" for p in problems)
        raise InvalidInput(f"The limits cannot be raised: {detail}.", errors=problems)
    given = event.model_dump(include={"turns", "nanodollars", "prompt_tokens"}, exclude_none=True)
    raised = run.model_copy(update=given)
    if task is None or event.task is None:
        return raised, None
    return raised, task.model_copy(update=event.task.model_dump(exclude_none=True))


def _of_run(held: Limits, event: ev.BudgetRaised) -> list[_Asked]:
    asked = (
        ("turns", held.turns, event.turns, str(held.turns)),
        ("dollars", held.nanodollars, event.nanodollars, f"{dollars(held.nanodollars):g}"),
        ("prompt_tokens", held.prompt_tokens, event.prompt_tokens, f"{held.prompt_tokens:,}"),
    )
    return [_Asked(field, now, wanted, shown) for field, now, wanted, shown in asked if wanted is not None]


def _of_task(task: TaskLimits | None, event: ev.BudgetRaised) -> list[_Asked]:
    held, given = task or TaskLimits(), event.task or TaskLimits()
    asked = (
        ("turns", held.turns, given.turns, f"{held.turns or 0:,}"),
        ("tokens", held.tokens, given.tokens, f"{held.tokens or 0:,}"),
        ("dollars", held.nanodollars, given.nanodollars, f"{dollars(held.nanodollars or 0):g}"),
        ("minutes", held.seconds, given.seconds, f"{(held.seconds or 0) / 60:g}"),
    )
    return [
        _Asked(f"task.{field}", now, wanted, shown)
        for field, now, wanted, shown in asked
        if wanted is not None
    ]


def _problem(asked: _Asked, task: TaskLimits | None) -> dict[str, str] | None:
    if asked.held is None:
        whose = "this is no task's conversation" if task is None else "the task has no such limit"
        return {"field": asked.field, "message": f"cannot be raised: {whose}"}
    if asked.wanted < asked.held:
        message = f"must be above the present limit of {asked.shown}{_hint(asked, task)}"
        return {"field": asked.field, "message": message}
    return None


def _hint(asked: _Asked, task: TaskLimits | None) -> str:
    """How the task's own limit of the same kind is raised, where it has one; the order names the run's."""
    held = task or TaskLimits()
    shown = {
        "turns": held.turns and f"{held.turns:,}",
        "dollars": held.nanodollars and f"{dollars(held.nanodollars):g}",
    }.get(asked.field)
    if not shown:
        return ""
    return f'; the task\'s own limit, {shown}, is raised by {{"task": {{"{asked.field}": …}}}}'


def _nothing(run: Limits, task: TaskLimits | None, asked: Sequence[_Asked]) -> dict[str, str]:
    said = f"{run.turns} turns, {dollars(run.nanodollars):g} dollars, {run.prompt_tokens:,} prompt tokens"
    of_task = _told(task) if task is not None else ""
    if of_task:
        said += f", and of the task {of_task}"
    fields = "turns, dollars, prompt_tokens" + (", task" if of_task else "")
    hint = "".join(_hint(one, task) for one in asked)
    return {"field": fields, "message": f"one must be above the present limits: {said}{hint}"}


def _told(task: TaskLimits) -> str:
    parts = (
        (task.turns, f"{task.turns} turns"),
        (task.tokens, f"{task.tokens or 0:,} tokens"),
        (task.nanodollars, f"{dollars(task.nanodollars or 0):g} dollars"),
        (task.seconds, f"{(task.seconds or 0) / 60:g} minutes"),
    )
    return ", ".join(words for given, words in parts if given is not None)
