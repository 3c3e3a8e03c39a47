"""Socket.IO with the real client: calls, order, resumption, limits, refusals."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import jsonschema
import pytest
import socketio.exceptions

from flynn.api import client as api_client
from flynn.api import sockets as api_sockets
from flynn.domain.delta import Delta
from flynn.live.memory import MemoryBus
from flynn.live.redis import RedisBus
from tests.api.served import MESSAGE_MAX, Served, Watcher, serve, watching
from tests.live.redis_server import RedisServer, until


def words(conversation: str, text: str, offset: int = 0) -> Delta:
    return Delta(
        conversation_id=UUID(conversation), epoch=1, step=1, block=0, offset=offset, kind="text", text=text
    )


async def test_a_conversation_over_the_socket(served: Served) -> None:
    async with watching(served) as watcher:
        [session] = await watcher.until("session", 1)
        assert session["resumed"] is False
        assert session["principal"] == "owner"
        made = await watcher.call("conversation.create", {"title": "Chat"})
        assert made["ok"] is True
        conversation = made["conversation"]["id"]
        opened = await watcher.call("conversation.open", {"conversation_id": conversation})
        assert opened == {"ok": True, "last_seq": 0, "present": {"names": ["owner"], "count": 1}}
        order = {"conversation_id": conversation, "text": "Hello", "client_message_id": "1"}
        said = await watcher.call("message.send", order)
        assert (said["ok"], said["seq"], said["duplicate"]) == (True, 1, False)
        again = await watcher.call("message.send", order)
        assert (again["seq"], again["duplicate"]) == (1, True)
        served.bus.publish_delta(words(conversation, "Hel"))
        assert (await watcher.until("delta", 1))[0] == words(conversation, "Hel").model_dump(
            mode="json", exclude_none=True
        )
        stopped = await watcher.call("run.interrupt", {"conversation_id": conversation, "reason": "enough"})
        assert stopped["run"]["state"] == "cancelled"
        await watcher.until("event", len(served.published))
        assert watcher.got("event") == [r.envelope() for r in served.published]
        assert await watcher.call("conversation.close", {"conversation_id": conversation}) == {"ok": True}
        before = len(watcher.told)
        await served.say(conversation, "unheard")
        await asyncio.sleep(0.3)
        assert len(watcher.told) == before


async def test_the_acknowledgement_of_open_comes_before_the_events(served: Served) -> None:
    async with served.http() as http:
        conversation = await served.conversation(http)
    await served.say(conversation, *"abcdefgh")
    async with watching(served) as watcher:
        order: list[str] = []
        watcher.client.on("event", lambda _: order.append("event"))
        done = asyncio.Event()

        def opened(answer: dict[str, Any]) -> None:
            order.append(f"last_seq {answer['last_seq']}")
            done.set()

        await watcher.client.emit("conversation.open", {"conversation_id": conversation}, callback=opened)
        await asyncio.wait_for(done.wait(), 30)
        await until(lambda: len(order) > len(served.published))
        assert order == [f"last_seq {len(served.published)}", *["event"] * len(served.published)]


async def test_a_cut_client_goes_on_where_it_was(served: Served) -> None:
    async with served.http() as http:
        conversation = await served.conversation(http)
    await served.say(conversation, "one", "two")
    seqs: list[int] = []
    for number in range(4):
        async with watching(served) as watcher:
            order = {"conversation_id": conversation, "after_seq": seqs[-1] if seqs else 0}
            assert (await watcher.call("conversation.open", order))["ok"]
            await served.say(conversation, f"{number} a", f"{number} b")
            missing = len(served.published) - len(seqs)
            await watcher.until("event", missing)
            seqs += watcher.seqs()
            await watcher.cut()
        await served.say(conversation, f"{number} while away")
    assert seqs == list(range(1, seqs[-1] + 1))


async def test_lost_publications_are_found_in_the_log(served: Served) -> None:
    async with watching(served) as watcher:
        made = await watcher.call("conversation.create", {})
        conversation = made["conversation"]["id"]
        await watcher.call("conversation.open", {"conversation_id": conversation})
        await served.say(conversation, "heard")
        served.lose = True
        await served.say(conversation, "lost", "lost too")
        served.lose = False
        await served.say(conversation, "heard again")
        served.lose = True
        await served.say(conversation, "lost at the end")
        await watcher.until("event", len(served.published))
        assert watcher.seqs() == list(range(1, len(served.published) + 1))


@pytest.mark.parametrize("kind", ["memory", pytest.param("redis", marks=pytest.mark.needs("redis-server"))])
async def test_a_session_is_taken_up_by_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, request: pytest.FixtureRequest
) -> None:
    """The process that held the socket dies; nothing is skipped, and what was surely received is not sent."""
    monkeypatch.setattr(api_sockets, "PING_EVERY", 0.1)
    if kind == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        buses = RedisBus(server.url), RedisBus(server.url)
    else:
        memory = MemoryBus()
        buses = memory, memory  # type: ignore[assignment]  # two processes' twins of one memory
    async with (
        buses[0],
        buses[1],
        serve(tmp_path, bus=buses[0]) as one,
        serve(tmp_path, bus=buses[1], beside=one) as two,
    ):
        first = Watcher(one)
        await first.connect()
        session = (await first.until("session", 1))[0]["session"]
        made = await first.call("conversation.create", {})
        conversation = made["conversation"]["id"]
        await first.call("conversation.open", {"conversation_id": conversation})
        await one.say(conversation, "one", "two")
        await first.until("event", len(one.published))

        async def kept() -> int:
            state = await buses[0].load_session(session)
            return int(state["watching"].get(conversation, 0)) if state else 0

        async with asyncio.timeout(30):
            while await kept() < len(one.published):  # noqa: ASYNC110  # the service tells nobody
                await asyncio.sleep(0.02)
        confirmed = await kept()
        await first.cut()
        await one.say(conversation, "while away")

        async with watching(two, session=session) as second:
            [welcome] = await second.until("session", 1)
            assert welcome["resumed"] is True
            assert welcome["session"] == session
            assert welcome["watching"] == {conversation: confirmed}
            await one.say(conversation, "heard by the other process")
            await second.until("event", len(one.published) - confirmed)
            assert second.seqs() == list(range(confirmed + 1, len(one.published) + 1))


async def test_a_session_keeps_no_cursor_that_was_not_confirmed(served: Served) -> None:
    """Until a PING came back, the session resumes from the beginning: it may repeat, it never skips."""
    async with watching(served) as first:
        session = (await first.until("session", 1))[0]["session"]
        made = await first.call("conversation.create", {})
        conversation = made["conversation"]["id"]
        await first.call("conversation.open", {"conversation_id": conversation})
        await served.say(conversation, "one")
        await first.until("event", len(served.published))
        await first.cut()
    async with watching(served, session=session) as second:
        await second.until("event", len(served.published))
        assert second.seqs() == list(range(1, len(served.published) + 1))


@pytest.mark.parametrize("kind", ["memory", pytest.param("redis", marks=pytest.mark.needs("redis-server"))])
async def test_a_session_that_is_too_old_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(api_client, "SESSION_TTL", 0.3)
    bus: RedisBus | MemoryBus = MemoryBus()
    if kind == "redis":
        bus = RedisBus(request.getfixturevalue("redis_server").url)
    async with bus, serve(tmp_path, bus=bus) as served:
        async with watching(served) as first:
            session = (await first.until("session", 1))[0]["session"]
        async with watching(served, session=session) as second:
            [welcome] = await second.until("session", 1)
            assert (welcome["resumed"], welcome["session"]) == (True, session)
        await asyncio.sleep(0.5)
        async with watching(served, session=session) as third:
            [welcome] = await third.until("session", 1)
            assert welcome["resumed"] is False
            assert welcome["session"] != session


async def test_who_watches_is_told_of_others_who_do(served: Served) -> None:
    await served.key("sam", "admin")
    async with watching(served) as first:
        made = await first.call("conversation.create", {})
        order = {"conversation_id": made["conversation"]["id"]}
        assert (await first.call("conversation.open", order))["present"] == {"names": ["owner"], "count": 1}
        async with watching(served, "sam") as second, watching(served, "sam") as third:
            opened = await second.call("conversation.open", order)
            assert opened["present"] == {"names": ["owner", "sam"], "count": 2}
            [came] = await first.until("notice", 1)
            assert came == {"kind": "presence", **order, "present": opened["present"]}
            async with served.http() as http:
                found = (await http.get("/api/v1/schema")).json()
            jsonschema.validate(came, {**found["sent"]["notice"], "$defs": found["$defs"]})
            assert (await third.call("conversation.open", order))["present"]["count"] == 2
            await second.call("conversation.close", order)
            await asyncio.sleep(0.4)
            assert len(first.got("notice")) == 1, "sam is still there, on another connection"
            session = (await third.until("session", 1))[0]["session"]
            assert third.got("notice") == [], "the answer to conversation.open has said it"
        left = (await first.until("notice", 2))[1]
        assert left["present"] == {"names": ["owner"], "count": 1}
        async with watching(served, "sam", session=session) as back:
            [told] = await back.until("notice", 1)
            assert told["present"] == {"names": ["owner", "sam"], "count": 2}


async def test_when_the_service_ends_every_client_is_told_and_let_go(served: Served) -> None:
    async with watching(served) as follower, watching(served) as idle:
        made = await follower.call("conversation.create", {})
        await follower.call("conversation.open", {"conversation_id": made["conversation"]["id"]})
        await idle.until("session", 1)
        began = time.monotonic()
        await served.hub.dismiss(5)
        for watcher in (follower, idle):
            [told] = await watcher.until("problem", 1)
            assert (told["code"], told["status"], told["retry_after"]) == ("service-ends", 503, 1)
            await asyncio.wait_for(watcher.gone.wait(), 30)
        assert time.monotonic() - began < 4
        late = Watcher(served)
        await late.connect()
        [told] = await late.until("problem", 1)
        assert told["code"] == "service-ends"


async def test_a_client_that_is_told_to_come_back_does_so_by_itself(served: Served) -> None:
    client = socketio.AsyncClient(reconnection_delay=0.1, handle_sigint=False)
    sessions: list[Any] = []
    client.on("session", sessions.append)
    await client.connect(served.url, auth={"token": served.keys["owner"]}, transports=["websocket"])
    await until(lambda: len(sessions) == 1)
    told: list[Any] = []
    client.on("problem", told.append)
    served.hub.end()
    # It comes back at once and is told again, as long as this process takes connections.
    await until(lambda: len(told) >= 3)
    assert {problem["code"] for problem in told} == {"service-ends"}
    assert len(sessions) == 1
    await client.disconnect()


async def test_a_session_belongs_to_its_principal(served: Served) -> None:
    await served.key("sam", "chat")
    async with watching(served) as first:
        session = (await first.until("session", 1))[0]["session"]
    async with watching(served, "sam", session=session) as second:
        [welcome] = await second.until("session", 1)
        assert welcome["resumed"] is False
        assert welcome["session"] != session
    async with watching(served, session="unknown" * 100) as third:
        assert (await third.until("session", 1))[0]["resumed"] is False


WRONG_CALLS: list[tuple[str, Any, int, str]] = [
    ("message.sent", {}, 422, "there are: conversation.create, conversation.open"),
    ("message.send", {"text": "x"}, 422, "conversation_id: is missing"),
    ("message.send", "text", 422, "takes one object with: text, client_message_id, conversation_id"),
    ("message.send", None, 422, "text: is missing"),
    ("message.send", ({}, {}), 422, "takes one object"),
    ("message.send", {"conversation_id": str(uuid4()), "text": ""}, 422, "at least 1 character"),
    ("message.send", {"conversation_id": str(uuid4()), "text": "x", "to": 1}, 422, "to: is not known"),
    ("message.send", {"conversation_id": str(uuid4()), "text": b"x" * 9}, 404, "no conversation"),
    ("message.send", {"conversation_id": str(uuid4()), "text": "x"}, 404, "no conversation"),
    ("conversation.open", {"conversation_id": str(uuid4())}, 404, "no conversation"),
    ("conversation.open", {"conversation_id": "x"}, 422, "valid UUID"),
    ("conversation.create", {"agent": "nobody"}, 422, "flynn-dev"),
    ("run.interrupt", {"conversation_id": str(uuid4())}, 404, "no conversation"),
]


async def test_what_is_wrong_with_a_call_is_in_its_acknowledgement(served: Served) -> None:
    async with watching(served) as watcher:
        for name, data, status, detail in WRONG_CALLS:
            answer = await watcher.call(name, data)
            where = f"{name} {data}"
            assert answer.keys() == {"error"}, where
            assert answer["error"]["status"] == status, where
            assert detail in answer["error"]["detail"], where
            assert answer["error"]["request_id"], where
        assert (await watcher.call("conversation.create", {}))["ok"] is True


async def test_a_cursor_beyond_the_log_is_refused(served: Served) -> None:
    async with watching(served) as watcher:
        made = await watcher.call("conversation.create", {})
        order = {"conversation_id": made["conversation"]["id"], "after_seq": 5}
        answer = await watcher.call("conversation.open", order)
        assert answer["error"]["status"] == 422
        assert answer["error"]["errors"] == [{"field": "after_seq", "message": "must be at most 0"}]


async def test_scopes_hold_over_the_socket(served: Served) -> None:
    await served.key("reader", "read")
    async with watching(served, "reader") as watcher:
        answer = await watcher.call("conversation.create", {})
        assert answer["error"]["status"] == 403
        assert "needs a key with scope chat" in answer["error"]["detail"]


async def test_without_a_good_key_the_connection_ends_with_a_problem(served: Served) -> None:
    keys: list[Any] = [None, {}, {"token": "fly_wrong"}, {"token": 7}, "fly_text"]
    for auth in keys:
        watcher = Watcher(served)
        await watcher.client.connect(served.url, auth=auth, transports=["websocket"], wait_timeout=30)
        [told] = await watcher.until("problem", 1)
        assert told["status"] == 401, auth
        await asyncio.wait_for(watcher.gone.wait(), 30)
        assert watcher.got("session") == [], auth


async def test_a_revoked_key_ends_its_connections(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In another process than the one that revoked it."""
    monkeypatch.setattr(api_sockets, "PING_EVERY", 0.1)
    monkeypatch.setattr(api_client, "CHECK_EVERY", 0.2)
    async with served.http() as http:
        made = await http.post("/api/v1/keys", json={"name": "sam", "scopes": ["chat"]})
        served.keys["sam"] = made.json()["key"]
        async with (
            serve(tmp_path / "other", beside=served) as other,
            watching(other, "sam") as watcher,
        ):
            await watcher.until("session", 1)
            await http.delete(f"/api/v1/keys/{made.json()['id']}")
            [told] = await watcher.until("problem", 1)
            assert told["status"] == 401
            await asyncio.wait_for(watcher.gone.wait(), 30)


async def test_foreign_pages_and_hosts_do_not_get_through_the_handshake(served: Served) -> None:
    url = f"{served.url}/socket.io/?EIO=4&transport=websocket"
    async with aiohttp.ClientSession() as session:
        for headers in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(url, headers=headers)
            assert refused.value.status == 403
        for origin in ("http://localhost:3000", served.url):
            async with session.ws_connect(url, headers={"Origin": origin}) as socket:
                assert (await socket.receive()).data.startswith("0{")


async def test_a_message_over_the_limit_gets_a_413_and_the_connection_stays(served: Served) -> None:
    """2 MB, 100 KB + 1, and a frame beyond what is parsed at all: each is answered, none disconnects."""
    async with watching(served) as watcher:
        made = await watcher.call("conversation.create", {})
        order = {"conversation_id": made["conversation"]["id"]}
        for size in (MESSAGE_MAX + 1, 2_000_000, 9_000_000):
            answer = await watcher.call("message.send", {**order, "text": "x" * size})
            assert answer["error"]["status"] == 413, size
            assert answer["error"]["code"] == "payload-too-large"
        await watcher.client.emit("message.send", {**order, "text": "x" * 9_000_000})
        [told] = await watcher.until("problem", 1)
        assert told["status"] == 413
        assert (await watcher.call("message.send", {**order, "text": "ü" * (MESSAGE_MAX // 2)}))["ok"]


async def test_calls_are_carried_out_in_the_order_they_came(served: Served) -> None:
    async with watching(served) as watcher:
        made = await watcher.call("conversation.create", {})
        conversation = made["conversation"]["id"]
        await asyncio.gather(
            *[
                watcher.call("message.send", {"conversation_id": conversation, "text": f"{n}"})
                for n in range(50)
            ]
        )
        sent = [r.event.text for r in served.published if r.event.type == "message.sent"]
        assert sent == [f"{n}" for n in range(50)]


async def test_too_many_calls_at_once_are_429(served: Served) -> None:
    async with watching(served) as watcher:
        answers = await asyncio.gather(*[watcher.call("conversation.close", {"x": n}) for n in range(150)])
        statuses = {answer["error"]["status"] for answer in answers}
        assert statuses <= {422, 429}
        assert (await watcher.call("conversation.create", {}))["ok"] is True


async def test_a_client_that_does_not_read_is_disconnected_with_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection ends; another client of the same conversation hears everything."""
    monkeypatch.setattr(api_client, "LEAVE", 0.3)
    async with (
        serve(tmp_path, limit=200) as served,
        watching(served) as reader,
        aiohttp.ClientSession() as session,
    ):
        made = await reader.call("conversation.create", {})
        conversation = made["conversation"]["id"]
        await reader.call("conversation.open", {"conversation_id": conversation})
        url = f"{served.url}/socket.io/?EIO=4&transport=websocket"
        async with session.ws_connect(url, max_msg_size=0) as lazy:
            await lazy.receive()
            await lazy.send_str("40" + json.dumps({"token": served.keys["owner"]}))
            await lazy.send_str(
                '420["conversation.open",' + json.dumps({"conversation_id": conversation}) + "]"
            )
            while not (await lazy.receive()).data.startswith("430"):
                pass
            connection = lazy._response.connection
            assert connection is not None
            transport: Any = connection.transport
            transport.pause_reading()
            filler = "x" * 30_000
            for seq in range(1, 1201):
                envelope = {
                    "conversation_id": conversation,
                    "seq": seq,
                    "type": "message.sent",
                    "at": "2026-01-01T00:00:00+00:00",
                    "run_id": None,
                    "data": {"text": filler},
                }
                served.bus.publish(UUID(conversation), envelope)
                if seq % 20 == 0:
                    await reader.until("event", seq - 100)
            await reader.until("event", 1200, within=20)
            assert reader.seqs() == list(range(1, 1201))
            await asyncio.sleep(0.6)
            transport.resume_reading()
            last: Any = None
            told: list[str] = []
            async with asyncio.timeout(10):
                while True:
                    message = await lazy.receive()
                    if message.type is not aiohttp.WSMsgType.TEXT:
                        break
                    last = message.data
                    if last.startswith('42["problem"'):
                        told.append(last)
            assert lazy.closed
            assert len(served.hub._viewers[UUID(conversation)]) == 1
            assert all("slow-client" in each for each in told)


async def test_a_dead_database_at_connect_is_a_problem_with_a_time(served: Served) -> None:
    async def away(_key: str) -> None:
        raise ConnectionRefusedError("no database")

    served.views.authenticate = away  # type: ignore[method-assign, assignment]
    watcher = Watcher(served)
    await watcher.connect()
    [told] = await watcher.until("problem", 1)
    assert (told["status"], told["retry_after"]) == (503, 2.0)
    await asyncio.wait_for(watcher.gone.wait(), 30)


async def test_fifty_watchers_hear_the_same(served: Served) -> None:
    async with served.http() as http:
        conversation = await served.conversation(http)
    watchers = [Watcher(served) for _ in range(50)]
    await asyncio.gather(*[w.connect() for w in watchers])
    await asyncio.gather(*[w.call("conversation.open", {"conversation_id": conversation}) for w in watchers])
    await served.say(conversation, *(f"{n}" for n in range(20)))
    await asyncio.gather(*[w.until("event", len(served.published)) for w in watchers])
    assert {tuple(w.seqs()) for w in watchers} == {tuple(range(1, len(served.published) + 1))}
    assert served.hub.watched == 1
    await asyncio.gather(*[w.client.disconnect() for w in watchers])
    await until(lambda: served.hub.watched == 0)


async def test_garbage_on_the_wire_harms_nobody(served: Served) -> None:
    url = f"{served.url}/socket.io/?EIO=4&transport=websocket"
    frames: list[str | bytes] = [
        "",
        "9",
        "4",
        "42",
        "42{",
        '42["x"',
        "43[]",
        "45x",
        '451-["a"]',
        b"\x00\xff",
        "44",
    ]
    frames += ["42" + "[" * 20_000, '42/admin,0["x"]', '429999999999999999999["message.send"]', "3", "1"]
    async with aiohttp.ClientSession() as session:
        for frame in frames:
            async with session.ws_connect(url) as socket:
                await socket.receive()
                await socket.send_str("40" + json.dumps({"token": served.keys["owner"]}))
                if isinstance(frame, str):
                    await socket.send_str(frame)
                else:
                    await socket.send_bytes(frame)
    began = time.monotonic()
    async with watching(served) as watcher:
        assert (await watcher.call("conversation.create", {}))["ok"] is True
    assert time.monotonic() - began < 20


async def test_the_socket_has_one_namespace_only(served: Served) -> None:
    client = socketio.AsyncClient(reconnection=False, handle_sigint=False)
    with pytest.raises(socketio.exceptions.ConnectionError):
        await client.connect(
            served.url,
            auth={"token": served.keys["owner"]},
            namespaces=["/admin"],
            transports=["websocket"],
            wait_timeout=2,
        )
