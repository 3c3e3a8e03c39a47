"""Budgets at the doors: what may be asked for, what is shown, who may raise it, and what a day has spent."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest
from sqlalchemy import text

from flynn.domain import events as ev
from flynn.store import log, runs, spending
from tests.api.served import Served, serve, watching


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serve(tmp_path, day_nanodollars=5_000_000_000) as found:
        await found.key("quorra", "delegate")
        yield found


async def delegate(http: httpx2.AsyncClient, **order: Any) -> dict[str, Any]:
    sent = await http.post("/api/v1/tasks", json={"instructions": "do it", **order})
    assert sent.status_code == 202, sent.text
    task: dict[str, Any] = sent.json()
    return task


async def wait_for_a_raise(served: Served, conversation: UUID) -> None:
    """Let the task's run wait as a worker does whose task has used its turns."""
    async with served.database.begin() as connection:
        await runs.lock_conversation(connection, conversation)
        run = await runs.open_run(connection, conversation)
        assert run is not None
        run = await runs.start_run(connection, run, lost=False)
        reached = ev.BudgetReached(scope="task", limit="turns", used=1, wanted=1, allowed=1)
        waiting = ev.RunWaiting(reason="task_turns", detail="The task has used its 1 turns.")
        recorded = await log.append(connection, conversation, run.id, [reached, waiting])
        await runs.wait_run(connection, run.id, reason="task_turns", detail=waiting.detail, at=None)
    for item in recorded:
        served.bus.publish(conversation, item.envelope())


@pytest.mark.parametrize(
    ("budget", "field"),
    [
        ({"turns": 0}, "budget.turns"),
        ({"turns": 1.5}, "budget.turns"),
        ({"turns": True}, "budget.turns"),
        ({"turns": "9"}, "budget.turns"),
        ({"turns": 10_001}, "budget.turns"),
        ({"tokens": 999}, "budget.tokens"),
        ({"tokens": 10**10}, "budget.tokens"),
        ({"dollars": 0}, "budget.dollars"),
        ({"dollars": -1}, "budget.dollars"),
        ({"dollars": 4e-10}, "budget.dollars"),
        ({"dollars": "1"}, "budget.dollars"),
        ({"dollars": 1_001}, "budget.dollars"),
        ({"minutes": 0.01}, "budget.minutes"),
        ({"minutes": 10_081}, "budget.minutes"),
        ({"euros": 1}, "budget.euros"),
        (5, "budget"),
    ],
)
@pytest.mark.asyncio(loop_scope="module")
async def test_a_budget_that_is_none_is_refused_by_name(shared: Served, budget: Any, field: str) -> None:
    async with shared.http() as http:
        sent = await http.post("/api/v1/tasks", json={"instructions": "do it", "budget": budget})
    assert sent.status_code == 422, sent.text
    assert [error["field"] for error in sent.json()["errors"]] == [field]


async def test_the_smallest_budget_can_be_shown(served: Served) -> None:
    async with served.http("quorra") as http:
        task = await delegate(http, budget={"dollars": 1e-9, "minutes": 0.05})
        assert task["budget"] == {"turns": None, "tokens": None, "dollars": 1e-9, "minutes": 0.05}
        assert len((await http.get("/api/v1/tasks")).json()["items"]) == 1


async def test_a_budget_is_shown_and_an_order_without_one_is_the_order_it_was(served: Served) -> None:
    async with served.http("quorra") as http:
        budget = {"turns": 5, "tokens": 100_000, "dollars": 0.25, "minutes": 2.5}
        task = await delegate(http, budget=budget)
        assert task["budget"] == budget
        assert task["spent"] == {"turns": 0, "tokens": 0, "dollars": 0, "minutes": 0}
        part = await delegate(http, budget={"dollars": 2})
        assert part["budget"] == {"turns": None, "tokens": None, "dollars": 2, "minutes": None}
        key = {"Idempotency-Key": "k"}
        first = await http.post("/api/v1/tasks", json={"instructions": "x"}, headers=key)
        again = await http.post("/api/v1/tasks", json={"instructions": "x", "budget": None}, headers=key)
        other = await http.post(
            "/api/v1/tasks", json={"instructions": "x", "budget": {"turns": 2}}, headers=key
        )
        assert first.json()["id"] == again.json()["id"]
        assert other.status_code == 422
        alias = {"prompt": "x", "description": "t", "subagent_type": "flynn-dev", "budget": {"turns": 7}}
        assert (await http.post("/api/v1/tasks", json=alias)).json()["budget"]["turns"] == 7


async def test_a_task_that_waits_is_seen_everywhere_and_raised_once(served: Served) -> None:
    async with served.http("quorra") as http, watching(served, "quorra") as watcher:
        task = await delegate(http, budget={"turns": 1})
        place = f"/api/v1/tasks/{task['id']}"
        await watcher.call("conversation.open", {"conversation_id": task["conversation_id"]})
        await wait_for_a_raise(served, UUID(task["conversation_id"]))
        seen = (await http.get(place, params={"wait": 20})).json()
        assert (seen["state"], seen["reason"]) == ("waiting", "task_turns")
        events = await watcher.until("event", 4)
        assert [event["type"] for event in events[-2:]] == ["budget.reached", "run.waiting"]
        assert events[-2]["data"] == {
            "scope": "task",
            "limit": "turns",
            "used": 1,
            "wanted": 1,
            "allowed": 1,
        }
        # Whoever takes the run's limit for the task's own is told how that is raised.
        hint = 'the task\'s own limit, 1, is raised by {"task": {"turns": …}}'
        held = (await http.get(f"/api/v1/conversations/{task['conversation_id']}")).json()
        run = held["run"]["limits"]["turns"]
        for turns in (2, run):
            mistaken = await http.post(f"{place}/budget", json={"turns": turns})
            assert mistaken.status_code == 422
            assert hint in mistaken.json()["detail"]
        money = await http.post(f"{place}/budget", json={"dollars": 0.0001})
        assert "own limit" not in money.json()["detail"]
        lower = await http.post(f"{place}/budget", json={"task": {"turns": 1}})
        assert lower.status_code == 422
        assert "and of the task 1 turns" in lower.json()["detail"]
        none = await http.post(f"{place}/budget", json={"task": {"minutes": 9}})
        assert none.json()["errors"][0]["field"] == "task.minutes"
        raised = await http.post(f"{place}/budget", json={"task": {"turns": 4}})
        assert raised.status_code == 200, raised.text
        assert (raised.json()["state"], raised.json()["budget"]["turns"]) == ("queued", 4)
        again = await http.post(f"{place}/budget", json={"task": {"turns": 4}})
        assert again.status_code == 200
        page = await http.get(f"/api/v1/conversations/{task['conversation_id']}/events")
        types = [event["type"] for event in page.json()["items"]]
        assert types.count("budget.raised") == 1
        assert types[-2:] == ["budget.raised", "run.queued"]


async def test_only_who_may_go_on_with_a_task_may_raise_it(served: Served, tmp_path: Path) -> None:
    place = tmp_path / "apart"
    await asyncio.to_thread(place.mkdir)
    await served.key("stranger", "delegate", "chat")
    await served.key("reader", "read")
    async with served.http() as http:
        made = await http.post("/api/v1/workspaces", json={"name": "apart", "path": str(place)})
        task = await delegate(http, workspace=made.json()["name"], budget={"turns": 1})
    for name, status in (("stranger", 404), ("reader", 403)):
        async with served.http(name) as other:
            sent = await other.post(f"/api/v1/tasks/{task['id']}/budget", json={"task": {"turns": 9}})
            assert sent.status_code == status, sent.text
    async with served.http() as http:
        assert (await http.get(f"/api/v1/tasks/{task['id']}")).json()["budget"]["turns"] == 1


async def test_what_a_day_has_spent_is_shown_to_its_principal_and_all_to_an_admin(served: Served) -> None:
    async with served.http("quorra") as http, served.http() as admin:
        task = await delegate(http)
        conversation = UUID(task["conversation_id"])
        async with served.database.begin() as connection:
            found = await connection.execute(text("SELECT id FROM principals WHERE name = 'quorra'"))
            principal = found.scalar_one()
            reserved = await spending.reserve(
                connection, principal, conversation, 2_000_000_000, allowed=None
            )
            assert reserved is not None
        own = (await http.get("/api/v1/usage")).json()
        ends = datetime.combine(reserved.day + timedelta(days=1), time(), UTC)
        assert own == {
            "day": reserved.day.isoformat(),
            "ends_at": ends.isoformat().replace("+00:00", "Z"),
            "allowed_dollars": 5,
            "principals": [{"name": "quorra", "spent_dollars": 0, "reserved_dollars": 2}],
        }
        async with served.database.begin() as connection:
            await spending.settle(connection, conversation, 1_500_000_000)
        everybody = (await admin.get("/api/v1/usage")).json()["principals"]
        assert everybody == [
            {"name": "owner", "spent_dollars": 0, "reserved_dollars": 0},
            {"name": "quorra", "spent_dollars": 1.5, "reserved_dollars": 0},
        ]
