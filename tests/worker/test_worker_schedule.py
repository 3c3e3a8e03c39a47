"""Tasks after others, and deadlines: started and stopped by whichever process looks."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from sqlalchemy import text

from flynn.domain import events as ev
from flynn.domain.run import RunState
from flynn.intake.rules import Rules
from flynn.store import runs, standing
from flynn.store.census import take_census
from flynn.worker.schedule import Schedule
from tests.api.served import Served, serve
from tests.eventually import abandon, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with serve(tmp_path_factory.mktemp("schedule")) as found:
        await found.key("quorra", "delegate")
        await found.key("mallory", "delegate")
        yield found


def schedule(served: Served) -> Schedule:
    def publish(recorded: Sequence[ev.Recorded]) -> None:
        for item in recorded:
            served.bus.publish(item.conversation_id, item.envelope())

    rules: Rules = served.intake._rules
    return Schedule(served.database, rules=rules, publish=publish)


async def post(served: Served, **more: Any) -> dict[str, Any]:
    async with served.http("quorra") as http:
        answer = await http.post("/api/v1/tasks", json={"instructions": "work", **more})
    assert answer.status_code == 202, answer.text
    task: dict[str, Any] = answer.json()
    return task


async def show(served: Served, task: dict[str, Any], **more: Any) -> dict[str, Any]:
    async with served.http("quorra") as http:
        found: dict[str, Any] = (await http.get(f"/api/v1/tasks/{task['id']}", params=more)).json()
    return found


async def cancel(served: Served, task: dict[str, Any]) -> None:
    async with served.http("quorra") as http:
        assert (await http.post(f"/api/v1/tasks/{task['id']}/cancel")).status_code == 200


async def complete(served: Served, task: dict[str, Any]) -> None:
    """End a task's run well, as a worker would."""
    async with served.database.begin() as connection:
        conversation = await runs.lock_conversation(connection, UUID(task["conversation_id"]))
        run = await runs.open_run(connection, conversation.id)
        assert run is not None
        await runs.end_run(connection, run, state=RunState.COMPLETED, reason="end_turn", detail=None)


async def admitted(served: Served, task: dict[str, Any]) -> bool:
    query = text("SELECT job_id IS NOT NULL FROM runs WHERE conversation_id = :c")
    async with served.database.statement() as connection:
        return bool(await connection.scalar(query, {"c": UUID(task["conversation_id"])}))


async def types(served: Served, task: dict[str, Any]) -> list[str]:
    return [e["type"] for e in await served.views.envelopes(UUID(task["conversation_id"]), 0)]


async def test_a_task_starts_when_all_before_it_are_over(served: Served) -> None:
    first, second = await post(served), await post(served)
    third = await post(served, after=[first["id"], second["id"], first["id"]])
    assert third["after"] == [first["id"], second["id"]]
    assert third["after_failed"] == "fail"
    assert (third["state"], third["reason"]) == ("queued", "after")
    assert first["id"] in third["detail"]
    looking = schedule(served)
    await complete(served, first)
    await looking.look()
    assert not await admitted(served, third)
    async with served.http("quorra") as http:
        lines = (await http.get("/api/v1/queue")).json()["lines"]
    assert [line["runs"] for line in lines if line["reason"] == "after"] == [1]
    async with served.database.begin() as connection:
        long_ago = text("UPDATE runs SET queued_at = now() - interval '1 day' WHERE after IS NOT NULL")
        await connection.execute(long_ago)
        assert (await take_census(connection)).queue_age < 3600, "it waits for no worker yet"
    await complete(served, second)
    assert await looking.look() == 1
    assert await admitted(served, third)
    assert (await show(served, third))["reason"] is None
    assert await looking.look() == 0
    await complete(served, third)


@pytest.mark.parametrize(("asked", "state"), [("fail", "failed"), ("skip", "cancelled")])
async def test_what_comes_after_a_failed_one_ends_as_asked(served: Served, asked: str, state: str) -> None:
    first = await post(served)
    second = await post(served, after=[first["id"]], after_failed=asked)
    third = await post(served, after=[second["id"]], after_failed=asked)
    waiting = asyncio.create_task(show(served, third, wait=30))
    await cancel(served, first)
    assert [await schedule(served).look() for _ in range(3)] == [1, 1, 0], "one after the other"
    ended = await waiting
    assert ended["state"] == state
    assert (await show(served, second))["state"] == state
    report = (await show(served, second))["report"]
    assert f"The task {first['id']}, which it comes after, ended as cancelled." in report["detail"]
    assert f"The task {second['id']}" in ended["report"]["detail"]
    assert await types(served, third) == ["message.sent", "run.queued", f"run.{state}", "task.reported"]


async def test_a_held_task_takes_words_and_an_end(served: Served) -> None:
    first = await post(served)
    second = await post(served, after=[first["id"]])
    async with served.http("quorra") as http:
        said = await http.post(f"/api/v1/tasks/{second['id']}/messages", json={"text": "and look twice"})
        assert said.status_code == 202
    await cancel(served, second)
    assert (await show(served, second))["state"] == "cancelled"
    await complete(served, first)
    assert await schedule(served).look() == 0


async def test_two_who_look_at_once_do_it_once(served: Served) -> None:
    first = await post(served)
    followers = [await post(served, after=[first["id"]]) for _ in range(5)]
    await cancel(served, first)
    await asyncio.gather(*(schedule(served).look() for _ in range(4)))
    for follower in followers:
        assert (await types(served, follower)).count("run.failed") == 1


async def test_one_that_cannot_be_started_holds_up_no_other(served: Served) -> None:
    first = await post(served)
    broken = await post(served, after=[first["id"]], context={"tasks": [first["id"]]})
    second = await post(served, after=[first["id"]])
    await complete(served, first)
    unread = text("UPDATE tasks SET report = CAST(:report AS json) WHERE id = :t")
    async with served.database.begin() as connection:
        # As a newer version may leave one, which this one cannot read.
        await connection.execute(unread, {"t": UUID(first["id"]), "report": "{}"})
    looking = schedule(served)
    for _ in range(2):
        await looking.look()
    assert await admitted(served, second)
    await complete(served, second)
    assert (await show(served, broken))["reason"] == "after"
    async with served.database.begin() as connection:
        await connection.execute(unread, {"t": UUID(first["id"]), "report": None})
    await looking.look()
    assert await admitted(served, broken)
    await complete(served, broken)


async def test_who_cannot_see_a_task_cannot_come_after_it(served: Served, tmp_path: Path) -> None:
    first = await post(served)
    async with served.http("quorra") as http:
        absent = str(uuid4())
        order = {"instructions": "x", "after": [first["id"], absent]}
        refused = await http.post("/api/v1/tasks", json=order)
        assert refused.status_code == 422
        assert refused.json()["errors"] == [{"field": "after.1", "message": f"there is no task {absent}"}]
    async with served.http("owner") as owner:
        await asyncio.to_thread((tmp_path / "m").mkdir)
        made = await owner.post("/api/v1/workspaces", json={"name": "m", "path": str(tmp_path / "m")})
        place = f"/api/v1/workspaces/{made.json()['id']}/members/mallory"
        assert (await owner.put(place)).status_code == 200
        found = (await owner.get("/api/v1/workspaces")).json()["items"]
        default = next(w["id"] for w in found if w["name"] == "default")
        assert (await owner.delete(f"/api/v1/workspaces/{default}/members/mallory")).status_code == 200
    async with served.http("mallory") as http:
        order = {"instructions": "x", "workspace": "m", "after": [first["id"]]}
        refused = await http.post("/api/v1/tasks", json=order)
        assert refused.status_code == 422
        message = f"there is no task {first['id']}"
        assert refused.json()["errors"] == [{"field": "after.0", "message": message}]


def soon(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


async def expire(served: Served, task: dict[str, Any]) -> None:
    """Let the deadline be past."""
    async with served.database.begin() as connection:
        late = text("UPDATE runs SET deadline = now() - interval '1 second' WHERE conversation_id = :c")
        await connection.execute(late, {"c": UUID(task["conversation_id"])})


async def test_a_queued_task_ends_at_its_deadline(served: Served) -> None:
    task = await post(served, deadline=soon(3600))
    assert task["deadline"] is not None
    await expire(served, task)
    looking = asyncio.create_task(schedule(served).run())

    async def over() -> bool:
        return bool((await show(served, task))["state"] == "cancelled")

    await eventually(over, what="the deadline")
    await abandon(looking)
    ended = await show(served, task)
    assert "The task's deadline, " in ended["report"]["detail"]
    assert await types(served, task) == [
        "message.sent",
        "run.queued",
        "interrupt.requested",
        "run.cancelled",
        "task.reported",
    ]


async def test_a_running_task_is_told_to_stop_once(served: Served) -> None:
    task = await post(served, deadline=soon(100))
    async with served.database.begin() as connection:
        started = text("UPDATE runs SET state = 'running' WHERE conversation_id = :c")
        await connection.execute(started, {"c": UUID(task["conversation_id"])})
    looking = schedule(served)
    assert await looking.look() == 0
    await expire(served, task)
    assert await looking.look() == 1
    assert await looking.look() == 0
    assert (await types(served, task)).count("interrupt.requested") == 1
    assert (await show(served, task))["deadline"] == task["deadline"]


async def test_a_deadline_of_a_task_that_is_over_does_nothing(served: Served) -> None:
    task = await post(served, deadline=soon(100))
    await complete(served, task)
    await expire(served, task)
    assert await schedule(served).look() == 0


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"deadline": "2020-01-01T00:00:00Z"}, "deadline"),
        ({"deadline": soon(40 * 86_400)}, "deadline"),
        ({"deadline": soon(50), "not_before": soon(100)}, "deadline"),
        ({"deadline": "tomorrow"}, "deadline"),
        ({"after": "x"}, "after"),
        ({"after": ["x"]}, "after.0"),
        ({"after": [], "after_failed": "run"}, "after_failed"),
    ],
)
async def test_what_cannot_be_kept_is_named(served: Served, given: dict[str, Any], field: str) -> None:
    async with served.http("quorra") as http:
        refused = await http.post("/api/v1/tasks", json={"instructions": "x", **given})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == field


async def test_what_died_in_the_middle_has_done_nothing(served: Served) -> None:
    """The first look is cut off before its commit; the second one finds everything as it was."""
    first = await post(served)
    second = await post(served, after=[first["id"]])
    await cancel(served, first)
    looking = schedule(served)
    async with served.database.statement() as connection:
        found = await standing.released_runs(connection)
    assert len(found) == 1
    async with served.database.engine.connect() as connection:
        assert await looking._settle(connection, found[0])
        await connection.rollback()
    assert (await show(served, second))["state"] == "queued"
    assert await looking.look() == 1
    assert (await show(served, second))["state"] == "failed"
