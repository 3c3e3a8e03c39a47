"""Server-Sent Events: the log as a stream that goes on where it was cut."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx2
import pytest

from flynn.api import stream
from flynn.domain.delta import Delta
from tests.api.served import Served
from tests.live.redis_server import until

Frame = dict[str, Any]


async def frames(answer: httpx2.Response) -> AsyncIterator[Frame]:
    """Parse the stream as the standard says."""
    frame: Frame = {}
    async for line in answer.aiter_lines():
        if line == "":
            if "data" in frame:
                yield frame
            frame = {}
        elif line.startswith(":"):
            yield {"comment": line[1:].strip()}
        else:
            name, _, value = line.partition(": ")
            frame[name] = json.loads(value) if name == "data" else value


async def take(answer: httpx2.Response, count: int) -> list[Frame]:
    found: list[Frame] = []
    async with asyncio.timeout(30):
        async for frame in frames(answer):
            found.append(frame)
            if len(found) == count:
                break
    return found


ACCEPT = {"Accept": "text/event-stream"}


async def test_the_log_streams_and_goes_on_after_last_event_id(served: Served) -> None:
    async with served.http() as http:
        conversation = await served.conversation(http)
        await served.say(conversation, "one", "two", "three")
        path = f"/api/v1/conversations/{conversation}/events"
        async with http.stream("GET", path, headers=ACCEPT) as answer:
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.headers["cache-control"] == "no-store"
            found = await take(answer, 3)
        assert [f["event"] for f in found] == ["event"] * 3
        assert [f["data"] for f in found] == [r.envelope() for r in served.published[:3]]
        assert [f["id"] for f in found] == ["1", "2", "3"]
        headers = {**ACCEPT, "Last-Event-ID": "3"}
        async with http.stream("GET", path, headers=headers, params={"after_seq": 1}) as answer:
            before = len(served.published)
            found = await take(answer, before - 3)
        assert [f["data"]["seq"] for f in found] == list(range(4, before + 1))


async def test_live_events_and_deltas_follow(served: Served) -> None:
    async with served.http() as http:
        conversation = await served.conversation(http)
        path = f"/api/v1/conversations/{conversation}/events"
        async with http.stream("GET", path, headers=ACCEPT, params={"deltas": True}) as answer:
            reading = asyncio.create_task(take(answer, 3))
            await asyncio.sleep(0.1)
            await served.say(conversation, "hello")
            served.bus.publish_delta(
                Delta(
                    conversation_id=UUID(conversation),
                    epoch=1,
                    step=1,
                    block=0,
                    offset=0,
                    kind="text",
                    text="Hi",
                )
            )
            found = await reading
        assert [f["event"] for f in found] == ["event", "event", "delta"]
        assert found[2]["data"]["text"] == "Hi"
        assert "id" not in found[2]


async def test_what_is_wrong_is_told_before_the_stream_begins(served: Served) -> None:
    async with served.http() as http:
        conversation = await served.conversation(http)
        path = f"/api/v1/conversations/{conversation}/events"
        for headers, params in (
            ({"Last-Event-ID": "x"}, {}),
            ({"Last-Event-ID": "9"}, {}),
            ({}, {"after_seq": 9}),
            ({}, {"after_seq": -1}),
        ):
            answer = await http.get(path, headers={**ACCEPT, **headers}, params=params)
            assert answer.status_code == 422
            assert answer.headers["content-type"] == "application/problem+json"
        assert served.hub.watched == 0
        gone = await http.get(f"/api/v1/conversations/{UUID(int=1)}/events", headers=ACCEPT)
        assert gone.status_code == 404


async def test_a_silent_stream_is_kept_alive_and_a_revoked_key_ends_it(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "KEEP_ALIVE", 0.1)
    async with served.http() as http:
        made = await http.post("/api/v1/keys", json={"name": "sam", "scopes": ["chat"]})
        served.keys["sam"] = made.json()["key"]
        conversation = await served.conversation(http)
        path = f"/api/v1/conversations/{conversation}/events"
        async with served.http("sam") as sam, sam.stream("GET", path, headers=ACCEPT) as answer:
            found: list[Frame] = []

            async def read() -> None:
                async for frame in frames(answer):
                    found.append(frame)

            reading = asyncio.create_task(read())
            await until(lambda: bool(found))
            assert found[0] == {"comment": "still here"}
            await http.delete(f"/api/v1/keys/{made.json()['id']}")
            await asyncio.wait_for(reading, 30)
        assert found[-1]["event"] == "problem"
        assert found[-1]["data"]["status"] == 401


async def test_the_end_of_the_service_ends_streams_and_waiters_at_once(served: Served) -> None:
    async with served.http() as http:
        task = (await http.post("/api/v1/tasks", json={"instructions": "x"})).json()
        path = f"/api/v1/conversations/{task['conversation_id']}/events"
        waiting = asyncio.create_task(http.get(f"/api/v1/tasks/{task['id']}", params={"wait": 30}))
        async with served.http() as other, other.stream("GET", path, headers=ACCEPT) as answer:
            await asyncio.sleep(0.1)
            served.hub.end()
            found = await take(answer, 99)
        assert found[-1]["data"]["code"] == "service-ends"
        assert (await asyncio.wait_for(waiting, 20)).json()["state"] == "queued"


async def test_who_leaves_is_forgotten(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served.http() as http:
        conversation = await served.conversation(http)
        await served.say(conversation, "one")
        path = f"/api/v1/conversations/{conversation}/events"
        async with served.http() as other, other.stream("GET", path, headers=ACCEPT) as answer:
            await take(answer, 1)
            assert served.hub.watched == 1
        async with asyncio.timeout(30):
            while served.hub.watched:  # noqa: ASYNC110  # the service tells nobody
                await asyncio.sleep(0.02)


async def test_a_client_that_does_not_read_its_stream_is_cut_off(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "STALL", 0.5)
    async with served.http() as http:
        conversation = await served.conversation(http)
    host, port = served.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    request = (
        f"GET /api/v1/conversations/{conversation}/events HTTP/1.1\r\nHost: {host}\r\n"
        f"Authorization: Bearer {served.keys['owner']}\r\nAccept: text/event-stream\r\n\r\n"
    )
    writer.write(request.encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    await until(lambda: served.hub.watched == 1)
    for seq in range(1, 601):
        envelope = {
            "conversation_id": conversation,
            "seq": seq,
            "type": "message.sent",
            "at": "2026-01-01T00:00:00+00:00",
            "run_id": None,
            "data": {"text": "x" * 30_000},
        }
        served.bus.publish(UUID(conversation), envelope)
        if seq % 50 == 0:
            await asyncio.sleep(0.02)
    await until(lambda: served.hub.watched == 0, within=10)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        async with asyncio.timeout(10):
            await reader.readexactly(600 * 30_000)
    writer.close()
