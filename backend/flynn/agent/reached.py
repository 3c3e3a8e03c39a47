"""A limit is reached: what the run then waits for, in words and in figures."""

from datetime import UTC, datetime, time, timedelta
from typing import Literal

from flynn.agent.turns import DayFull, Waits
from flynn.domain import events as ev
from flynn.domain.run import Limits, TaskLimits
from flynn.domain.usage import dollars

TaskReason = Literal["task_turns", "task_tokens", "task_dollars", "task_minutes"]


def run_turns(used: int, limits: Limits) -> Waits:
    """The run has made its calls."""
    detail = f"The run has used its {limits.turns} turns. Raise the limit to go on."
    reached = _reached("run", "turns", used, 1, limits.turns)
    return Waits("turns", detail, limits=limits, reached=reached)


def run_context(prompt: int, limits: Limits) -> Waits:
    """The next prompt is larger than the run may send."""
    detail = (
        f"The next prompt would have about {prompt:,} tokens; the limit is "
        f"{limits.prompt_tokens:,}, because calls above 100,000 cost five times as much. "
        "Raise the limit to go on at that price, or go on in a new conversation."
    )
    reached = _reached("run", "prompt_tokens", 0, prompt, limits.prompt_tokens)
    return Waits("context", detail, limits=limits, reached=reached)


def run_dollars(used: int, wanted: int, limits: Limits) -> Waits:
    """The dollars of the run are not enough for the next call."""
    detail = (
        f"The run has used ${dollars(used):.4f} and the next call could cost "
        f"${dollars(wanted):.4f}; the limit is ${dollars(limits.nanodollars):.4f}. "
        "Raise it to go on."
    )
    reached = _reached("run", "dollars", dollars(used), dollars(wanted), dollars(limits.nanodollars))
    return Waits("dollars", detail, limits=limits, reached=reached)


def task_turns(used: int, allowed: int, limits: TaskLimits) -> Waits:
    """All runs of the task have made its calls."""
    detail = f"The task has used its {allowed:,} turns. Raise the task's limit to go on."
    return _task("task_turns", detail, _reached("task", "turns", used, 1, allowed), limits)


def task_tokens(used: int, wanted: int, allowed: int, limits: TaskLimits) -> Waits:
    """The tokens of the task are not enough for the next call."""
    detail = (
        f"The task has used {used:,} tokens and the next call could take {wanted:,}; its limit is "
        f"{allowed:,}. Raise the task's limit to go on."
    )
    return _task("task_tokens", detail, _reached("task", "tokens", used, wanted, allowed), limits)


def task_dollars(used: int, wanted: int, allowed: int, limits: TaskLimits) -> Waits:
    """The dollars of the task are not enough for the next call."""
    detail = (
        f"The task has used ${dollars(used):.4f} and the next call could cost ${dollars(wanted):.4f}; "
        f"its limit is ${dollars(allowed):.4f}. Raise the task's limit to go on."
    )
    reached = _reached("task", "dollars", dollars(used), dollars(wanted), dollars(allowed))
    return _task("task_dollars", detail, reached, limits)


def task_minutes(used: float, allowed: int, limits: TaskLimits) -> Waits:
    """The task was at work for so many seconds, which is all that it may."""
    detail = (
        f"The task was at work for {_minutes(used)} minutes; its limit is {_minutes(allowed)}. "
        "Raise the task's limit to go on."
    )
    return _task("task_minutes", detail, _reached("task", "minutes", used / 60, 0, allowed / 60), limits)


def day_full(full: DayFull) -> Waits:
    """The principal's day has no room for the next call: the run goes on by itself when the day is over."""
    midnight = datetime.combine(full.day + timedelta(days=1), time(), UTC)
    detail = (
        f"{full.principal} has spent or reserved ${dollars(full.taken):.4f} today (UTC), and the next call "
        f"could cost ${dollars(full.wanted):.4f}; ${dollars(full.allowed):.4f} a day are allowed. It goes on "
        f"by itself at {midnight:%Y-%m-%d %H:%M} UTC; only an operator can allow more."
    )
    reached = _reached(
        "principal_day", "dollars", dollars(full.taken), dollars(full.wanted), dollars(full.allowed)
    )
    return Waits("day", detail, midnight, reached=reached)


def _reached(
    scope: ev.BudgetScope, limit: ev.LimitName, used: float, wanted: float, allowed: float
) -> ev.BudgetReached:
    return ev.BudgetReached(scope=scope, limit=limit, used=used, wanted=wanted, allowed=allowed)


def _task(reason: TaskReason, detail: str, reached: ev.BudgetReached, limits: TaskLimits) -> Waits:
    return Waits(reason, detail, task=limits, reached=reached)


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:,.2f}".rstrip("0").rstrip(".")
