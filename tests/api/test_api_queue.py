"""The queue at the doors: who comes first, who comes later, who is told to come again, and how it stands."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from sqlalchemy import text

from flynn.store.admission import AdmissionLimits
from flynn.store.mounts import sign_on
from flynn.worker.clock import Clock
from tests.api.served import Served, serve, watching

LIMITS = AdmissionLimits(principal=2, everyone=3, depth=6, principal_depth=4)


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serve(tmp_path, admission=LIMITS) as found:
        await found.key("quorra", "delegate")
        await found.key("reader", "read")
        yield found


async def delegate(http: httpx2.AsyncClient, **order: Any) -> dict[str, Any]:
    sent = await http.post("/api/v1/tasks", json={"instructions": "do it", **order})
    assert sent.status_code == 202, sent.text
    task: dict[str, Any] = sent.json()
    return task


async def jobs(served: Served) -> list[UUID]:
    """Conversations whose runs have a job, as workers would fetch them."""
    query = text("""
SELECT r.conversation_id FROM procrastinate_jobs j JOIN runs r ON r.job_id = j.id
ORDER BY j.priority DESC, j.id""")
    async with served.database.statement() as connection:
        return list((await connection.execute(query)).scalars())


async def test_people_who_chat_come_before_tasks_and_tasks_by_their_priority(served: Served) -> None:
    """All are in one workspace, so they stand in line behind the first."""
    async with served.http() as http:
        first = await delegate(http)
        plain = await delegate(http)
        urgent = await delegate(http, priority=9)
        chat = await served.conversation(http)
        await served.say(chat, "Hello?")
        assert (first["priority"], plain["priority"], urgent["priority"]) == (0, 0, 9)
        order = []
        for _ in range(4):
            (running,) = await jobs(served)
            order.append(str(running))
            await http.post(f"/api/v1/conversations/{running}/interrupt")
        names = {first["conversation_id"]: "first", plain["conversation_id"]: "plain", chat: "chat"}
        assert [names.get(c, "urgent") for c in order] == ["first", "chat", "urgent", "plain"]


async def test_going_on_with_a_task_has_the_tasks_rank(served: Served) -> None:
    async with served.http() as http:
        task = await delegate(http, priority=-5)
        await http.post(f"/api/v1/tasks/{task['id']}/cancel")
        said = await http.post(f"/api/v1/tasks/{task['id']}/messages", json={"text": "once more"})
        assert said.status_code == 202, said.text
        again = (await http.get(f"/api/v1/tasks/{task['id']}")).json()
        assert (again["state"], again["priority"]) == ("queued", -5)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("priority", [10, -10, 1.5, "high", True])
async def test_a_priority_out_of_bounds_is_refused_by_name(shared: Served, priority: object) -> None:
    async with shared.http() as http:
        refused = await http.post("/api/v1/tasks", json={"instructions": "x", "priority": priority})
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["field"] == "priority"


async def test_a_delayed_task_holds_nothing_and_starts_when_it_is_due(served: Served) -> None:
    clock = Clock(served.database, admission=LIMITS, publish=served.published.extend)
    time = datetime.now(UTC) + timedelta(hours=1)
    async with served.http() as http:
        later = await delegate(http, not_before=time.isoformat(), priority=9)
        assert (later["state"], later["reason"]) == ("queued", "delayed")
        assert datetime.fromisoformat(later["not_before"]) == time
        assert await jobs(served) == []
        now = await delegate(http)
        assert await jobs(served) == [UUID(now["conversation_id"])]
        await http.post(f"/api/v1/tasks/{now['id']}/cancel")
        assert await clock.wake() == 0
        async with served.database.begin() as connection:
            await connection.execute(text("UPDATE runs SET not_before = clock_timestamp()"))
        assert await clock.wake() == 1
        assert await clock.wake() == 0
        assert await jobs(served) == [UUID(later["conversation_id"])]
        seen = (await http.get(f"/api/v1/tasks/{later['id']}")).json()
        assert (seen["state"], seen["reason"], seen["not_before"]) == ("queued", None, None)


async def test_a_run_whose_workspace_is_busy_says_so(served: Served) -> None:
    async with served.http() as http:
        first = await delegate(http)
        second = await delegate(http)
        assert first["reason"] is None
        assert second["reason"] == "workspace"
        assert "Another run is at work in the workspace" in second["detail"]
        await http.post(f"/api/v1/tasks/{first['id']}/cancel")
        assert (await http.get(f"/api/v1/tasks/{second['id']}")).json()["reason"] is None


async def test_a_delayed_task_can_be_cancelled_and_takes_words_meanwhile(served: Served) -> None:
    async with served.http() as http:
        task = await delegate(http, not_before=f"{_in_a_week()}T18:00:00+01:00")
        said = await http.post(f"/api/v1/tasks/{task['id']}/messages", json={"text": "and this"})
        assert said.status_code == 202
        assert said.json()["run"]["not_before"] == task["not_before"]
        cancelled = await http.post(f"/api/v1/tasks/{task['id']}/cancel")
        assert cancelled.json()["state"] == "cancelled"
        assert cancelled.json()["report"]["state"] == "cancelled"
        assert await jobs(served) == []


def _in_a_week() -> str:
    return f"{datetime.now(UTC) + timedelta(days=7):%Y-%m-%d}"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("time", ["tomorrow", 1_900_000_000, "2026-12-24", "2026-12-24T18:00:00", "in time"])
async def test_a_time_that_is_none_is_refused_by_name(shared: Served, time: object) -> None:
    if time == "in time":
        time = (datetime.now(UTC) + timedelta(days=31)).isoformat()
    async with shared.http() as http:
        refused = await http.post("/api/v1/tasks", json={"instructions": "x", "not_before": time})
        assert refused.status_code == 422, refused.text
        assert refused.json()["errors"][0]["field"] == "not_before"


async def test_a_time_that_is_past_is_now(served: Served) -> None:
    async with served.http() as http:
        task = await delegate(http, not_before="2020-01-01T00:00:00Z")
        assert await jobs(served) == [UUID(task["conversation_id"])]


async def test_too_deep_a_queue_takes_no_new_runs_and_all_else(served: Served) -> None:
    async with served.http() as http:
        opened = await served.conversation(http)
        spare = await served.conversation(http)
        key = {"Idempotency-Key": "known"}
        known = await http.post("/api/v1/tasks", json={"instructions": "first"}, headers=key)
        for _ in range(2):
            await delegate(http)
        sent = await http.post(
            f"/api/v1/conversations/{opened}/messages", json={"text": "hello", "client_message_id": "1"}
        )
        assert sent.status_code == 202, sent.text

        refused = await http.post("/api/v1/tasks", json={"instructions": "one too many"})
        assert refused.status_code == 429
        problem = refused.json()
        assert problem["code"] == "queue-full"
        assert "4 runs of yours" in problem["detail"]
        assert int(refused.headers["retry-after"]) == problem["retry_after"] == 5
        before = (await http.get("/api/v1/tasks")).json()["items"]
        assert len(before) == 3
        said = await http.post(f"/api/v1/conversations/{spare}/messages", json={"text": "hello"})
        assert (said.status_code, said.json()["code"]) == (429, "queue-full")
        assert (await http.get(f"/api/v1/conversations/{spare}")).json()["last_seq"] == 0
        async with watching(served) as watcher:
            answer = await watcher.call("message.send", {"conversation_id": spare, "text": "hello"})
            assert answer["error"]["code"] == "queue-full"
            assert answer["error"]["retry_after"] == 5

        again = await http.post("/api/v1/tasks", json={"instructions": "first"}, headers=key)
        assert again.status_code == 202
        assert again.json()["id"] == known.json()["id"]
        resent = await http.post(
            f"/api/v1/conversations/{opened}/messages", json={"text": "hello", "client_message_id": "1"}
        )
        assert resent.json()["duplicate"] is True
        joined = await http.post(f"/api/v1/conversations/{opened}/messages", json={"text": "and this"})
        assert joined.status_code == 202
        stopped = await http.post(f"/api/v1/conversations/{opened}/interrupt")
        assert stopped.status_code == 200
        await delegate(http)  # there is a place again


async def test_the_queue_of_all_is_bounded_too(served: Served) -> None:
    async with served.http() as http, served.http("quorra") as other:
        for _ in range(4):
            await delegate(http)
        for _ in range(2):
            await delegate(other)
        refused = await other.post("/api/v1/tasks", json={"instructions": "one too many"})
        assert refused.status_code == 429
        assert "6 runs are queued" in refused.json()["detail"]


async def test_those_who_come_in_the_same_instant_get_no_more_than_there_is(served: Served) -> None:
    async with served.http() as http, served.http("quorra") as other:
        sent = [
            client.post("/api/v1/tasks", json={"instructions": "do it"})
            for _ in range(8)
            for client in (http, other)
        ]
        statuses = [answer.status_code for answer in await asyncio.gather(*sent)]
        assert sorted(statuses) == [202] * LIMITS.depth + [429] * (16 - LIMITS.depth)
        for each in (statuses[::2], statuses[1::2]):
            assert each.count(202) <= LIMITS.principal_depth


async def test_an_order_from_before_priorities_is_the_same_order_still(served: Served) -> None:
    """The digest of an order that says nothing of what is new is the one that it always had."""
    async with served.http() as http:
        key = {"Idempotency-Key": "old"}
        first = await http.post("/api/v1/tasks", json={"instructions": "x"}, headers=key)
        async with served.database.statement() as connection:
            digest = await connection.scalar(text("SELECT digest FROM idempotency_keys"))
        assert digest == _old_digest()
        other = await http.post("/api/v1/tasks", json={"instructions": "x", "priority": 1}, headers=key)
        assert first.status_code == 202
        assert other.status_code == 422


def _old_digest() -> str:
    body = '{"instructions":"x","agent":"flynn-dev","title":null,"workspace":null,"permission_mode":null}'
    return hashlib.sha256(body.encode()).hexdigest()


async def test_the_queue_is_shown_to_admins_whole_and_to_others_in_part(served: Served) -> None:
    async with served.http() as http, served.http("quorra") as other, served.http("reader") as reader:
        empty = (await http.get("/api/v1/queue")).json()
        assert empty["totals"] == {"queued": 0, "running": 0, "waiting": 0, "workers": 0}
        assert empty["oldest_queued_seconds"] is None
        await delegate(http)
        await delegate(http)
        await delegate(http, not_before=f"{_in_a_week()}T00:00:00Z")
        await delegate(other)
        worker = uuid4()
        async with served.database.begin() as connection:
            await sign_on(connection, worker, number=None, concurrency=8)

        whole = (await http.get("/api/v1/queue")).json()
        assert whole["everything"] is True
        assert whole["totals"] == {"queued": 4, "running": 0, "waiting": 0, "workers": 1}
        queues = {line["queue"] for line in whole["lines"]}
        assert len(queues) == 1
        lines = {(line["state"], line["reason"]): line["runs"] for line in whole["lines"]}
        assert lines == {
            ("queued", "worker"): 1,
            ("queued", "workspace"): 2,
            ("queued", "delayed"): 1,
        }
        assert whole["queues"][0]["queued"] == 4
        assert 0 <= whole["oldest_queued_seconds"] < 60
        assert whole["limits"] == {
            "total_runs": 3,
            "principal_runs": 2,
            "queue_depth": 6,
            "principal_queue_depth": 4,
        }
        assert [w["id"] for w in whole["workers"]] == [str(worker)]
        assert whole["workers"][0]["holds"] == []

        part = (await other.get("/api/v1/queue")).json()
        assert part["everything"] is False
        assert part["totals"] == whole["totals"]
        assert [(n["reason"], n["runs"]) for n in part["lines"]] == [("workspace", 1)]
        assert part["workers"] == []
        none = (await reader.get("/api/v1/queue")).json()
        assert none["lines"] == []
        assert none["oldest_queued_seconds"] is None
