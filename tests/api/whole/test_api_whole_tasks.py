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


async def test_fifty_posts_at_once_are_one_task(doors: Doors) -> None:
    async def post() -> tuple[int, str | None]:
        answer = await doors.owner.post(
            "/api/v1/tasks", json={"instructions": "All at once"}, headers={"idempotency-key": "fifty"}
        )
        if answer.status_code == 409:
            assert "is just being taken" in answer.json()["detail"]
            assert answer.headers["retry-after"] == "1"
            return 409, None
        assert answer.status_code == 202, answer.text
        return 202, answer.json()["id"]

    answers = await asyncio.gather(*(post() for _ in range(50)))
    again = await post()
    assert {task for status, task in answers if status == 202} == {again[1]}
    listed = (await doors.owner.get("/api/v1/tasks", params={"limit": 500})).json()["items"]
    assert [task["id"] for task in listed if task["instructions"] == "All at once"] == [again[1]]


async def test_a_task_after_another_starts_when_that_one_is_over(doors: Doors) -> None:
    first = await doors.task("Go slowly")
    second = await doors.task("Look around", after=[first["id"]], context={"tasks": [first["id"]]})
    third = await doors.task("Look around", after=[first["id"], second["id"]], after_failed="skip")
    ended = [await doors.ended(task["id"]) for task in (first, second, third)]
    assert [task["state"] for task in ended] == ["completed"] * 3
    starts = []
    for task in ended:
        events = await doors.seen(task["conversation_id"])
        starts += [e["at"] for e in events if e["type"] in ("run.started", "task.reported")]
    assert starts == sorted(starts)
    told = [e["data"] for e in await doors.seen(second["conversation_id"]) if e["type"] == "message.sent"]
    assert len(told) == 2
    assert told[1]["principal"] == "flynn"
    assert f"An earlier task ({first['id']}), completed. It changed no files." in told[1]["text"]
    assert "one two three four five six" in told[1]["text"]
