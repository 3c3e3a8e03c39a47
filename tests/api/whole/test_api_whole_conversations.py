"""Conversations over REST: words, events, streams, limits; and the document that describes the doors."""

import re
from uuid import uuid4

import pytest

from tests.api.whole.doors import Doors

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


async def test_words_are_answered_and_paged(doors: Doors) -> None:
    place = f"/api/v1/conversations/{await doors.conversation()}"
    said = await doors.owner.post(f"{place}/messages", json={"text": "Hello", "client_message_id": "m1"})
    assert said.status_code == 202
    again = await doors.owner.post(f"{place}/messages", json={"text": "Hello", "client_message_id": "m1"})
    assert again.json()["duplicate"] is True
    assert again.json()["message_id"] == said.json()["message_id"]
    other = await doors.owner.post(f"{place}/messages", json={"text": "Bye", "client_message_id": "m1"})
    assert other.status_code == 422
    async with doors.owner.stream(
        "GET", f"{place}/events", headers={"accept": "text/event-stream", "last-event-id": "1"}
    ) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        ids: list[int] = []
        async for line in stream.aiter_lines():
            if line.startswith("id:"):
                ids.append(int(line.partition(":")[2]))
            if line.startswith("data:") and "run.completed" in line:
                break
    assert ids == list(range(2, 2 + len(ids)))
    messages = (await doors.owner.get(f"{place}/messages")).json()["items"]
    assert [(m["role"], m["text"]) for m in messages] == [("user", "Hello"), ("assistant", "All is well.")]
    seqs: list[int] = []
    after: int | None = 0
    while after is not None:
        page = (await doors.owner.get(f"{place}/events", params={"after_seq": after, "limit": 3})).json()
        seqs += [event["seq"] for event in page["items"]]
        after = page["next"]
    assert seqs == list(range(1, (await doors.owner.get(place)).json()["last_seq"] + 1))


async def test_a_run_at_its_limit_goes_on_with_a_raised_budget(doors: Doors) -> None:
    task = await doors.task("Take three looks")
    waiting = await doors.ended(task["id"])
    assert (waiting["state"], waiting["reason"]) == ("waiting", "turns")
    place = f"/api/v1/conversations/{task['conversation_id']}/budget"
    lower = await doors.owner.post(place, json={"turns": 1})
    assert lower.status_code == 422
    assert (await doors.owner.post(place, json={"turns": 9})).status_code == 200
    assert (await doors.owner.post(place, json={"turns": 9})).status_code == 200
    assert (await doors.ended(task["id"]))["state"] == "completed"
    assert (await doors.owner.post(place, json={"turns": 20})).status_code == 409


async def test_an_interrupt_stops_the_run(doors: Doors) -> None:
    task = await doors.task("Go slowly")
    place = f"/api/v1/conversations/{task['conversation_id']}"
    stopped = await doors.owner.post(f"{place}/interrupt", json={"reason": "enough"})
    assert stopped.status_code == 200
    assert (await doors.ended(task["id"]))["state"] == "cancelled"


async def test_health_and_readiness_need_no_key(doors: Doors) -> None:
    async with doors.client(None) as client:
        assert (await client.get("/health")).json()["status"] == "ok"
        assert (await client.get("/ready")).status_code == 200


async def test_workspaces_and_keys_can_be_listed_and_a_key_closed(doors: Doors) -> None:
    secret = await doors.key("passing", "read")
    keys = (await doors.owner.get("/api/v1/keys")).json()["items"]
    assert secret not in str(keys)
    key_id = next(key["id"] for key in keys if key["name"] == "passing")
    assert (await doors.owner.delete(f"/api/v1/keys/{key_id}")).json()["revoked_at"]
    async with doors.client(secret) as client:
        assert (await client.get("/api/v1/tasks")).status_code == 401
    assert (await doors.owner.delete(f"/api/v1/keys/{uuid4()}")).status_code == 404


async def test_every_operation_declares_its_answers(doors: Doors) -> None:
    document = (await doors.owner.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.")
    names = set(re.findall(r"#/components/schemas/([\w-]+)", str(document)))
    assert names <= document["components"]["schemas"].keys()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert any(status.startswith("2") for status in operation["responses"]), (method, path)
            if path.startswith("/api/v1/") and "security" in operation:
                assert "401" in operation["responses"], (method, path)


async def test_the_documentation_needs_no_internet(doors: Doors) -> None:
    page = (await doors.owner.get("/docs")).text
    found = re.findall(r"""(?:src|href)="([^"]+)\"""", page)
    assert found
    for asset in found:
        assert asset.startswith("/"), asset
        assert (await doors.owner.get(asset)).status_code == 200, asset
