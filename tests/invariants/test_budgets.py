"""Money is bounded, also where runs are many: a whole task, and all that one principal asks for in a day.

What is reached, who waits, and that nothing is spent beyond what was allowed: of crashes, follow-ups and runs
at the same time too.
"""

import asyncio
from collections import Counter
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from flynn.agent.agent_catalog import Catalog, load_agents
from flynn.agent.prompt import Prompts
from flynn.domain import events as ev
from flynn.domain.errors import InvalidInput
from flynn.domain.orders import (
    BudgetOrder,
    ConversationOrder,
    InterruptOrder,
    TaskBudget,
    TaskOrder,
    WorkspaceOrder,
)
from flynn.domain.run import RunState
from flynn.domain.views import TaskView
from flynn.store import spending
from flynn.worker.clock import Clock
from tests.eventually import eventually
from tests.house import ADMISSION, ROOT, House, TestLease, open_house
from tests.worker.test_worker_losses import take

SCRIPT = """
name: reads
loop: true
turns:
  - blocks: [{tool: Glob, input: {pattern: "*"}}]
  - blocks: [{text: Done.}]
"""


async def delegate(house: House, **budget: float) -> TaskView:
    order = TaskOrder.model_validate({"instructions": "Look.", "workspace": "house", "budget": budget})
    task, _ = await house.intake.delegate_task(house.owner, order, idempotency_key=None)
    return await house.views.task(house.owner, task.id)


async def see(house: House, task: TaskView) -> TaskView:
    return await house.views.task(house.owner, task.id)


async def raised(house: House, task: TaskView, **budget: float) -> None:
    order = BudgetOrder(task=TaskBudget.model_validate(budget))
    await house.intake.raise_budget(house.owner, task.conversation_id, order)


async def reached(house: House, conversation_id: UUID) -> list[ev.BudgetReached]:
    log = await house.log(conversation_id)
    for item, following in pairwise(log):
        if isinstance(item.event, ev.BudgetReached):
            assert isinstance(following.event, ev.RunWaiting)
    return [item.event for item in log if isinstance(item.event, ev.BudgetReached)]


async def day(house: House) -> spending.Day:
    async with house.database.statement() as connection:
        return await spending.read_day(connection, house.owner.id)


async def reservations(house: House) -> int:
    async with house.database.statement() as connection:
        return int(await connection.scalar(text("SELECT coalesce(sum(nanodollars), 0) FROM reservations")))


CASES: list[tuple[str, str, dict[str, float], dict[str, float]]] = [
    ("task_turns", "turns", {"turns": 1}, {"turns": 9}),
    ("task_tokens", "tokens", {"tokens": 20_000}, {"tokens": 500_000}),
    ("task_dollars", "dollars", {"dollars": 0.000001}, {"dollars": 1}),
]


@pytest.mark.parametrize(("reason", "limit", "budget", "more"), CASES, ids=[case[0] for case in CASES])
async def test_a_task_that_reaches_its_budget_waits_says_so_and_goes_on_when_it_is_raised(
    tmp_path: Path, reason: str, limit: str, budget: dict[str, float], more: dict[str, float]
) -> None:
    async with open_house(tmp_path, SCRIPT) as house:
        task = await delegate(house, **budget)
        await house.work()
        waiting = await see(house, task)
        assert (waiting.state, waiting.reason) == (RunState.WAITING, reason)
        assert "Raise the task's limit" in (waiting.detail or "")
        (event,) = await reached(house, task.conversation_id)
        assert (event.scope, event.limit) == ("task", limit)
        assert event.allowed == pytest.approx(budget[limit])
        assert event.used + event.wanted > event.allowed
        assert event.used == getattr(waiting.spent, limit)
        await raised(house, task, **more)
        await house.work()
        over = await see(house, task)
        assert over.state is RunState.COMPLETED
        assert getattr(over.budget, limit) == more[limit]
        assert over.spent.turns == 3  # that for the account too
        assert over.spent.dollars == pytest.approx(over.report.evidence.cost_dollars if over.report else 0)
        assert over.spent.tokens == over.report.evidence.usage.total if over.report else 0


async def test_a_raise_that_is_not_enough_waits_again_and_a_repeated_one_changes_nothing(
    tmp_path: Path,
) -> None:
    async with open_house(tmp_path, SCRIPT) as house:
        task = await delegate(house, dollars=0.000001)
        await house.work()
        await raised(house, task, dollars=0.000002)
        await raised(house, task, dollars=0.000002)
        types = await house.types(task.conversation_id)
        assert types.count("budget.raised") == 1
        await house.work()
        first, second = await reached(house, task.conversation_id)
        assert (first.allowed, second.allowed) == (0.000001, 0.000002)
        with pytest.raises(InvalidInput, match=r"task\.dollars: must be above the present limit"):
            await raised(house, task, dollars=0.0000015)
        with pytest.raises(
            InvalidInput, match=r"task\.minutes: cannot be raised: the task has no such limit"
        ):
            await raised(house, task, minutes=5)
        chat = await house.intake.create_conversation(house.owner, ConversationOrder(workspace="house"))
        await house.say(chat.id, "Look.")
        with pytest.raises(
            InvalidInput, match=r"task\.turns: cannot be raised: this is no task's conversation"
        ):
            await house.intake.raise_budget(house.owner, chat.id, BudgetOrder(task=TaskBudget(turns=5)))


async def test_turns_that_were_raised_before_the_run_began_do_not_fall_to_those_of_its_agent(
    tmp_path: Path,
) -> None:
    async with open_house(tmp_path, SCRIPT) as house:
        agent = load_agents([ROOT / "agents"]).get("flynn-dev").model_copy(update={"max_turns": 1})
        house.runner = house.runner_of(Prompts(ROOT / "prompts"), Catalog({agent.name: agent}))
        task, other = await delegate(house), await delegate(house)
        order = BudgetOrder(turns=60)
        run = await house.intake.raise_budget(house.owner, task.conversation_id, order)
        assert run.limits.turns == 60
        await house.work()
        assert (await see(house, task)).state is RunState.COMPLETED
        waiting = await see(house, other)
        assert (waiting.state, waiting.reason) == (RunState.WAITING, "turns")


async def test_a_follow_up_is_paid_from_the_same_budget(tmp_path: Path) -> None:
    async with open_house(tmp_path, SCRIPT) as house:
        task = await delegate(house, turns=3)
        await house.work()
        assert (await see(house, task)).state is RunState.COMPLETED
        await house.say(task.conversation_id, "And again.")
        await house.work()
        waiting = await see(house, task)
        assert (waiting.state, waiting.reason, waiting.spent.turns) == (RunState.WAITING, "task_turns", 3)


async def lose_a_call(house: House) -> ev.StepStarted:
    """Let a worker start a model call and be lost in it: nothing more is written by it."""
    worker = await house.start_work()
    while not house.simulator.stage.records.after(0):  # noqa: ASYNC110  # the simulator tells nobody
        await asyncio.sleep(0.02)
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    log = await house.log((await house.views.conversations(house.owner)).items[0].id)
    started = log[-1].event
    assert isinstance(started, ev.StepStarted)
    return started


HANGS = """
name: hangs
turns: [{faults: [{kind: hang, on_attempt: 1}], blocks: [{text: Done.}]}]
"""


async def test_a_lost_workers_call_is_charged_at_its_worst_to_task_and_day(tmp_path: Path) -> None:
    async with open_house(tmp_path, HANGS) as house:
        task = await delegate(house, dollars=0.5, turns=5, tokens=200_000)
        started = await lose_a_call(house)
        assert (await day(house)).reserved == started.reserved_nanodollars == await reservations(house)
        await house.work()
        over = await see(house, task)
        assert over.state is RunState.COMPLETED
        log = await house.log(task.conversation_id)
        lost = next(item.event for item in log if isinstance(item.event, ev.StepFailed))
        assert (lost.reason, lost.nanodollars) == ("worker_lost", started.reserved_nanodollars)
        assert lost.tokens == started.reserved_tokens > 16_000
        done = [item.event for item in log if isinstance(item.event, ev.StepCompleted)]
        assert len(done) == 2  # the answer, and the account
        assert over.spent.turns == 3
        assert over.spent.tokens == lost.tokens + sum(call.usage.total for call in done)
        after = await day(house)
        assert (after.reserved, after.spent) == (0, lost.nanodollars + sum(call.nanodollars for call in done))
        assert await reservations(house) == 0


async def test_a_call_left_by_a_run_that_others_end_is_charged_too(tmp_path: Path) -> None:
    async with open_house(tmp_path, HANGS) as house:
        task = await delegate(house, turns=5)
        started = await lose_a_call(house)
        async with house.database.begin() as connection:
            await connection.execute(text("UPDATE runs SET state = 'queued'"))
        await house.intake.cancel_task(house.owner, task.id)
        after = await day(house)
        assert (after.reserved, after.spent) == (0, started.reserved_nanodollars)
        assert (await see(house, task)).spent.turns == 1


async def test_a_budget_that_a_lost_call_used_up_is_asked_for(tmp_path: Path) -> None:
    async with open_house(tmp_path, HANGS) as house:
        task = await delegate(house, turns=1)
        await lose_a_call(house)
        await house.work()
        assert (await see(house, task)).reason == "task_turns"
        assert len(house.simulator.stage.records.after(0)) == 1


MINUTES = """
name: sleeps
turns:
  - blocks:
    - {tool: Bash, input: {command: "echo one >> done.txt"}}
    - {tool: Bash, input: {command: "echo two >> done.txt"}}
  - blocks: [{text: Done.}]
"""


async def test_time_at_work_is_kept_over_crashes_and_nothing_is_begun_beyond_it(tmp_path: Path) -> None:
    async with open_house(tmp_path, MINUTES) as house:
        task = await delegate(house, minutes=1)
        await take(house)
        async with house.database.begin() as connection:
            # The lost worker had it for 65 seconds, until now.
            await connection.execute(text("UPDATE runs SET working_since = working_since - interval '65 s'"))
        await house.work()
        waiting = await see(house, task)
        assert (waiting.state, waiting.reason) == (RunState.WAITING, "task_minutes")
        assert waiting.spent.minutes >= 1.08
        (event,) = await reached(house, task.conversation_id)
        assert (event.limit, event.allowed) == ("minutes", 1)
        assert len(house.simulator.stage.records.after(0)) == 0
        assert not (house.workspace / "done.txt").exists()
        await raised(house, task, minutes=3)
        await house.work()
        assert (await see(house, task)).state is RunState.COMPLETED
        assert (house.workspace / "done.txt").read_text() == "one\ntwo\n"


async def test_time_that_nobody_worked_is_nobodys(tmp_path: Path) -> None:
    async with open_house(tmp_path, SCRIPT) as house:
        task = await delegate(house, minutes=60)
        await take(house)
        async with house.database.begin() as connection:
            # Its worker was lost two hours ago, and there was none to take over.
            await connection.execute(text("UPDATE runs SET working_since = working_since - interval '2 h'"))
            await connection.execute(text("UPDATE events SET at = at - interval '2 h'"))
        await house.work()
        over = await see(house, task)
        assert over.state is RunState.COMPLETED
        assert 15 <= over.spent.minutes < 17


@pytest.mark.slow
@pytest.mark.needs("bubblewrap")
async def test_a_command_is_killed_soon_after_the_minutes_are_used_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flynn.agent.budget.GRACE_SECONDS", 1.0)
    script = """
name: sleeps
turns:
  - blocks:
    - {tool: Bash, input: {command: "sleep 500"}}
    - {tool: Bash, input: {command: "echo late >> late.txt"}}
  - blocks: [{text: Done.}]
"""
    async with open_house(tmp_path, script) as house:
        task = await delegate(house, minutes=0.05)
        await asyncio.wait_for(house.work(), 60)
        waiting = await see(house, task)
        assert (waiting.state, waiting.reason) == (RunState.WAITING, "task_minutes")
        log = await house.log(task.conversation_id)
        (killed,) = [item.event for item in log if isinstance(item.event, ev.ToolFinished)]
        assert "The time that there is for the task was over." in str(killed.content)
        assert not (house.workspace / "late.txt").exists()
        await raised(house, task, minutes=5)
        await house.work()
        assert (await see(house, task)).state is RunState.COMPLETED
        assert (house.workspace / "late.txt").read_text() == "late\n"


async def test_a_principals_day_is_waited_for_and_wakes_by_itself(tmp_path: Path) -> None:
    async with open_house(tmp_path, SCRIPT, day=1_000) as house:
        task = await delegate(house)
        await house.work()
        waiting = await see(house, task)
        assert (waiting.state, waiting.reason) == (RunState.WAITING, "day")
        (event,) = await reached(house, task.conversation_id)
        assert (event.scope, event.limit, event.used, event.allowed) == ("principal_day", "dollars", 0, 1e-6)
        log = await house.log(task.conversation_id)
        assert "step.started" not in [item.event.type for item in log]
        asked = log[-1].event
        assert isinstance(asked, ev.RunWaiting)
        midnight = datetime.combine(log[-1].at.astimezone(UTC).date() + timedelta(days=1), time(), UTC)
        assert asked.retry_at == midnight
        # Limits of run and task are others: raising them brings it no further.
        await house.intake.raise_budget(house.owner, task.conversation_id, BudgetOrder(dollars=500))
        await house.work()
        assert (await see(house, task)).reason == "day"
        async with house.database.begin() as connection:
            await connection.execute(text("UPDATE runs SET not_before = clock_timestamp()"))
        clock = Clock(house.database, admission=ADMISSION, publish=house.published.extend)
        assert await clock.wake() == 1
        assert (await house.views.task(house.owner, task.id)).state is RunState.QUEUED


async def test_more_that_an_operator_allows_is_taken_at_the_next_start_or_word(tmp_path: Path) -> None:
    async with open_house(tmp_path, SCRIPT, day=1_000) as house:
        task = await delegate(house)
        await house.work()
        async with house.database.begin() as connection:
            assert await spending.reserve(connection, house.owner.id, task.conversation_id, 900, allowed=None)
            assert await spending.wake_for_the_day(connection, allowed=900) == []
            assert len(await spending.wake_for_the_day(connection, allowed=10**9)) == 1
            assert await spending.wake_for_the_day(connection, allowed=10**9) == []
        await house.say(task.conversation_id, "Try again.")
        assert (await see(house, task)).state is RunState.QUEUED


ALWAYS_HANGS = """
name: hangs
loop: true
turns: [{faults: [{kind: hang}], blocks: [{text: Done.}]}]
"""


async def converse_apart(house: House, place: Path) -> UUID:
    """A conversation with words in it, in a workspace of its own."""
    await asyncio.to_thread(place.mkdir)
    await house.intake.create_workspace(house.owner, WorkspaceOrder(name=place.name, path=str(place)))
    order = ConversationOrder(workspace=place.name)
    conversation = await house.intake.create_conversation(house.owner, order)
    await house.say(conversation.id, "Look.")
    return conversation.id


async def price(place: Path) -> int:
    """What is reserved for the first call of such a conversation."""
    await asyncio.to_thread(place.mkdir)
    async with open_house(place, ALWAYS_HANGS) as house:
        await converse_apart(house, place / "w0")
        return (await lose_a_call(house)).reserved_nanodollars


async def test_runs_at_the_same_time_spend_no_more_than_their_day(tmp_path: Path) -> None:
    """Five runs of one principal begin at once, of which the day can pay for two calls at their worst."""
    allowed = await price(tmp_path / "before") * 5 // 2
    async with open_house(tmp_path, ALWAYS_HANGS, day=allowed) as house:
        conversations = [await converse_apart(house, tmp_path / f"w{n}") for n in range(5)]
        admitted = await house.jobs()
        assert len(admitted) == 5
        workers = [asyncio.create_task(house.runner.run(run, TestLease(job))) for run, job in admitted]

        async def standing() -> Counter[str | None]:
            views = [await house.views.conversation(house.owner, one) for one in conversations]
            return Counter(view.run.reason if view.run else None for view in views)

        async def refused() -> bool:
            return (await standing())["day"] == 3 and len(house.simulator.stage.records.after(0)) == 2

        await eventually(refused, what="two calls, and three runs that wait")
        assert (await day(house)).taken == await reservations(house) <= allowed
        for conversation in conversations:
            await house.intake.interrupt(house.owner, conversation, InterruptOrder())
        await asyncio.gather(*workers)
        charged = [
            item.event.nanodollars
            for conversation in conversations
            for item in await house.log(conversation)
            if isinstance(item.event, ev.StepCompleted | ev.StepFailed)
        ]
        after = await day(house)
        assert (after.reserved, after.spent, len(charged)) == (0, sum(charged), 2)
        assert 0 < after.spent <= allowed


def figures(view: Any) -> dict[str, float]:
    found: dict[str, float] = view.model_dump(exclude_none=True)
    return found


async def test_an_order_without_a_budget_has_none(tmp_path: Path) -> None:
    async with open_house(tmp_path, SCRIPT) as house:
        task = await delegate(house)
        assert figures(task.budget) == {}
        assert figures(task.spent) == {"turns": 0, "tokens": 0, "dollars": 0, "minutes": 0}
