"""Tasks over REST: delegated once, waited for, reported, cancelled."""

import asyncio

import pytest

from tests.api.whole.doors import Doors

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


async def test_a_task_is_delegated_waited_for_and_reported(doors: Doors) -> None:
    answer = await doors.owner.post("/api/v1/tasks", json={"instructions": "Look around"})
    assert answer.status_code == 202
    place = answer.headers["location"]
    task = (await doors.owner.get(place, params={"wait": 20})).json()
    assert task["state"] == "completed"
    report = await doors.owner.get(f"{place}/report")
    assert report.status_code == 200
    assert report.json() == task["report"]
    assert "All is well." in report.text


async def test_a_report_comes_with_the_end_and_cancel_is_an_end(doors: Doors) -> None:
    task = await doors.task("Go slowly")
    place = f"/api/v1/tasks/{task['id']}"
    missing = await doors.owner.get(f"{place}/report")
    assert missing.status_code == 404
    assert (await doors.owner.post(f"{place}/cancel")).status_code == 200
    ended = await doors.ended(task["id"])
    assert ended["state"] == "cancelled"
    assert (await doors.owner.get(f"{place}/report")).status_code == 200
    again = await doors.owner.post(f"{place}/cancel")
    assert again.json()["ended_at"] == ended["ended_at"]


async def test_a_repeated_post_is_one_task(doors: Doors) -> None:
    headers = {"idempotency-key": "once"}
    order = {"instructions": "Look around once"}
    first = await doors.owner.post("/api/v1/tasks", json=order, headers=headers)
    second = await doors.owner.post("/api/v1/tasks", json=order, headers=headers)
    assert (first.status_code, second.status_code) == (202, 202)
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert first.json()["id"] == second.json()["id"]
    other = await doors.owner.post("/api/v1/tasks", json={"instructions": "Else"}, headers=headers)
    assert other.status_code == 422
    assert other.json()["errors"][0]["field"] == "Idempotency-Key"


async def test_twenty_posts_at_once_are_one_task(doors: Doors) -> None:
    async def post() -> tuple[str, bool]:
        answer = await doors.owner.post(
            "/api/v1/tasks", json={"instructions": "All at once"}, headers={"idempotency-key": "twenty"}
        )
        assert answer.status_code == 202, answer.text
        return answer.json()["id"], "idempotency-replayed" in answer.headers

    answers = await asyncio.gather(*(post() for _ in range(20)))
    assert len({task for task, _ in answers}) == 1
    assert sum(replayed for _, replayed in answers) == 19


async def test_claude_codes_words_are_the_same_order(doors: Doors) -> None:
    order = {"subagent_type": "flynn-dev", "description": "Look", "prompt": "Look around"}
    answer = await doors.owner.post("/api/v1/tasks", json=order)
    assert answer.status_code == 202
    task = answer.json()
    assert (task["agent"], task["title"], task["instructions"]) == ("flynn-dev", "Look", "Look around")


async def test_tasks_are_listed_newest_first_page_by_page(doors: Doors) -> None:
    made = [(await doors.task(f"Look {n}"))["id"] for n in range(3)]
    first = (await doors.owner.get("/api/v1/tasks?limit=2")).json()
    assert [task["id"] for task in first["items"]] == [made[2], made[1]]
    second = (await doors.owner.get("/api/v1/tasks", params={"limit": 2, "cursor": first["next"]})).json()
    assert second["items"][0]["id"] == made[0]
    await doors.ended(made[2])
    done = (await doors.owner.get("/api/v1/tasks?state=completed")).json()["items"]
    assert {task["state"] for task in done} == {"completed"}


async def test_words_reach_a_task(doors: Doors) -> None:
    task = await doors.task()
    said = await doors.owner.post(f"/api/v1/tasks/{task['id']}/messages", json={"text": "And there"})
    assert said.status_code == 202
    assert said.json()["conversation_id"] == task["conversation_id"]


async def test_a_stranger_sees_nothing_of_it(doors: Doors) -> None:
    place = doors.workspaces / "closed"
    place.mkdir()
    made = await doors.owner.post("/api/v1/workspaces", json={"name": "closed", "path": str(place)})
    assert made.status_code == 201
    task = await doors.task(workspace="closed")
    async with doors.client(await doors.key("stranger", "delegate", "chat")) as stranger:
        for path in (f"tasks/{task['id']}", f"conversations/{task['conversation_id']}"):
            assert (await stranger.get(f"/api/v1/{path}")).status_code == 404
        events = f"/api/v1/conversations/{task['conversation_id']}/events"
        streamed = await stranger.get(events, headers={"accept": "text/event-stream"})
        assert streamed.status_code == 404
        assert (await stranger.post(f"/api/v1/tasks/{task['id']}/cancel")).status_code == 404
        answer = await stranger.get("/api/v1/tasks?limit=200")
        assert answer.status_code == 200, answer.text
        listed = answer.json()["items"]
        assert task["id"] not in [item["id"] for item in listed]
        assert "closed" not in [w["name"] for w in (await stranger.get("/api/v1/workspaces")).json()["items"]]
