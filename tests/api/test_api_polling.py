"""Socket.IO over plain requests: the same doors, the same gate, and nothing held back without bounds."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
import socketio
from engineio.payload import Payload  # type: ignore[import-untyped]  # it has no types

from flynn.api import polling as api_polling
from tests.api.served import MESSAGE_MAX, Served, Watcher, serve
from tests.eventually import eventually
from tests.live.redis_server import until

pytestmark = pytest.mark.slow

PATH = "/socket.io/"
BEGIN = {"EIO": "4", "transport": "polling"}


@pytest.fixture
async def polled(tmp_path: Path) -> AsyncIterator[Served]:
    async with serve(tmp_path, polling=True, origins=["https://team.example"]) as served:
        yield served


class Poll:
    """A client that polls, request by request."""

    def __init__(self, served: Served, **headers: str) -> None:
        self.http = served.http(None, **headers)
        self._key = served.keys["owner"]
        self.query: dict[str, str] = dict(BEGIN)
        self.session = ""

    async def begin(self) -> "Poll":
        opened = await self.http.get(PATH, params=self.query)
        assert opened.status_code == 200, opened.text
        self.query["sid"] = json.loads(opened.text[1:])["sid"]
        await self.post("40" + json.dumps({"token": self._key}))
        self.session = await self.until('42["session"')
        return self

    async def post(self, *packets: str) -> httpx2.Response:
        return await self.http.post(PATH, params=self.query, content="\x1e".join(packets))

    async def get(self) -> list[str]:
        answer = await self.http.get(PATH, params=self.query)
        assert answer.status_code == 200, answer.text
        return answer.text.split("\x1e")

    async def until(self, beginning: str) -> str:
        async with asyncio.timeout(10):
            while True:
                for packet in await self.get():
                    if packet.startswith(beginning):
                        return packet


async def following(polled: Served) -> tuple[Poll, str]:
    """A client that follows a new conversation; that conversation's id."""
    poll = await Poll(polled).begin()
    await poll.post('420["conversation.create",{}]')
    made = json.loads((await poll.until("430"))[3:])[0]
    conversation: str = made["conversation"]["id"]
    await poll.post(f'421["conversation.open",{json.dumps({"conversation_id": conversation})}]')
    await poll.until("431")
    return poll, conversation


async def test_a_client_that_polls_has_all_that_a_websocket_has(polled: Served) -> None:
    watcher = Watcher(polled)
    await watcher.client.connect(
        polled.url, auth={"token": polled.keys["owner"]}, transports=["polling"], wait_timeout=30
    )
    assert watcher.client.transport() == "polling"
    [session] = await watcher.until("session", 1)
    made = await watcher.call("conversation.create", {})
    order = {"conversation_id": made["conversation"]["id"]}
    assert (await watcher.call("conversation.open", order))["present"]["names"] == ["owner"]
    await polled.say(order["conversation_id"], *(f"{n}" for n in range(40)))
    await watcher.until("event", len(polled.published))
    assert watcher.seqs() == list(range(1, len(polled.published) + 1))
    await watcher.client.disconnect()
    await until(lambda: polled.hub.watched == 0)
    back = Watcher(polled)
    await back.connect(session=session["session"])
    assert (await back.until("session", 1))[0]["resumed"] is True
    await back.client.disconnect()


async def test_a_log_to_catch_up_with_reaches_the_client_from_pip_as_it_comes(polled: Served) -> None:
    """It takes MOST_PACKETS in an answer, and ends the connection at one more."""
    assert Payload.max_decode_packets == api_polling.MOST_PACKETS
    async with polled.http() as http:
        conversation = await polled.conversation(http)
    await polled.say(conversation, *(f"{n}" for n in range(150)))
    watcher = Watcher(polled)
    await watcher.client.connect(
        polled.url, auth={"token": polled.keys["owner"]}, transports=["polling"], wait_timeout=30
    )
    await watcher.call("conversation.open", {"conversation_id": conversation})
    await watcher.until("event", len(polled.published))
    assert len(polled.published) > 150
    assert watcher.seqs() == list(range(1, len(polled.published) + 1))
    assert not watcher.gone.is_set()
    await watcher.client.disconnect()


async def test_no_answer_has_more_packets_than_clients_take(polled: Served) -> None:
    poll, conversation = await following(polled)
    await polled.say(conversation, *(f"{n}" for n in range(60)))
    answers: list[list[str]] = []
    async with asyncio.timeout(30):
        while sum(packet.startswith('42["event"') for answer in answers for packet in answer) < 60:
            answers.append(await poll.get())
    assert max(map(len, answers)) == api_polling.MOST_PACKETS


async def test_many_calls_at_once_are_all_acknowledged(polled: Served) -> None:
    """The client from pip puts all that it has to send into one request."""
    watcher = Watcher(polled)
    await watcher.client.connect(
        polled.url, auth={"token": polled.keys["owner"]}, transports=["polling"], wait_timeout=30
    )
    made = await asyncio.gather(*(watcher.call("conversation.create", {}) for _ in range(40)))
    assert len({one["conversation"]["id"] for one in made}) == 40
    await watcher.client.disconnect()


async def test_the_clients_from_pip_and_npm_stay_with_polling_and_go_on(polled: Served) -> None:
    """They offer both transports by default: polling first, and no upgrade is offered."""
    client = socketio.AsyncClient(reconnection=False, handle_sigint=False)
    told: list[Any] = []
    client.on("session", told.append)
    await client.connect(polled.url, auth={"token": polled.keys["owner"]}, wait_timeout=30)
    await until(lambda: len(told) == 1)
    assert client.transport() == "polling"
    await client.disconnect()


async def test_what_was_fetched_is_confirmed_by_the_next_request(polled: Served) -> None:
    poll, conversation = await following(polled)
    await polled.say(conversation, "one")
    await poll.until('42["event"')
    session = json.loads(poll.session[2:])[1]["session"]

    async def kept() -> int:
        state = await polled.bus.load_session(session)
        return int(state["watching"].get(conversation, 0)) if state else 0

    assert await kept() == 0
    await asyncio.sleep(1.1)  # cursors are saved once a second
    asking = asyncio.create_task(poll.get())
    await eventually(async_true(kept), what="a cursor that was kept")
    await polled.say(conversation, "two")
    assert '"two"' in "".join(await asking)


async def test_who_says_goodbye_gets_an_answer_to_the_request_that_waits(polled: Served) -> None:
    poll = await Poll(polled).begin()
    asking = asyncio.create_task(poll.get())
    await asyncio.sleep(0.2)
    assert (await poll.post("41", "1")).status_code == 200
    assert await asyncio.wait_for(asking, 10) == [""]


def async_true(found: Callable[[], Awaitable[int]]) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        return await found() > 0

    return holds


async def test_the_gate_stands_before_polling_too(polled: Served) -> None:
    async with polled.http(None) as http:
        foreign = await http.get(PATH, params=BEGIN, headers={"Origin": "https://evil.example"})
        assert foreign.status_code == 403
        rebound = await http.get(PATH, params=BEGIN, headers={"Host": "evil.example"})
        assert rebound.status_code == 403
        allowed = await http.get(PATH, params=BEGIN, headers={"Origin": "https://team.example"})
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == "https://team.example"
        assert allowed.headers["access-control-allow-credentials"] == "true"
    poll = await Poll(polled).begin()
    refused = await poll.post("4" + "x" * (7 * MESSAGE_MAX + 100_000))
    assert refused.status_code == 413
    assert refused.json()["code"] == "payload-too-large"
    refused = await poll.post(*("3" for _ in range(api_polling.MOST_POSTED + 1)))
    assert refused.status_code == 413
    assert "256 packets" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("method", "query", "status", "says"),
    [
        ("GET", {**BEGIN, "sid": "nobody"}, 400, "another process's"),
        ("POST", {**BEGIN, "sid": "nobody"}, 400, "a cookie"),
        ("POST", BEGIN, 400, "Engine.IO protocol 4"),
        ("GET", {**BEGIN, "EIO": "3"}, 400, "Engine.IO protocol 4"),
        ("GET", {**BEGIN, "j": "0"}, 400, "JSONP"),
        ("GET", {**BEGIN, "transport": "carrier-pigeon"}, 400, "polling"),
        ("PUT", BEGIN, 405, "GET and POST"),
    ],
)
async def test_what_is_no_poll_of_this_process_is_refused_in_words(
    polled: Served, method: str, query: dict[str, str], status: int, says: str
) -> None:
    async with polled.http(None) as http:
        answer = await http.request(method, PATH, params=query)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert says in answer.json()["detail"]


async def test_without_the_setting_polling_is_refused(served: Served) -> None:
    async with served.http(None) as http:
        answer = await http.get(PATH, params=BEGIN)
        assert answer.status_code == 400
        assert "FLYNN_SOCKET_POLLING" in answer.json()["detail"]


async def test_a_wrong_key_is_told_and_the_connection_ends(
    polled: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flynn.api.client.LEAVE", 0.2)
    watcher = Watcher(polled)
    await watcher.client.connect(
        polled.url, auth={"token": "fly_wrong"}, transports=["polling"], wait_timeout=30
    )
    [told] = await watcher.until("problem", 1)
    assert told["status"] == 401
    await asyncio.wait_for(watcher.gone.wait(), 10)


async def test_who_never_fetches_acknowledgements_may_not_call_for_ever(polled: Served) -> None:
    poll = await Poll(polled).begin()
    calls = [f'42{n}["conversation.close",{{}}]' for n in range(16)]
    statuses = [(await poll.post(*calls)).status_code for _ in range(20)]
    assert statuses[:16] == [200] * 16
    assert statuses[-1] == 429
    await poll.until("430")
    assert (await poll.post(calls[0])).status_code == 200


async def test_connections_that_poll_are_counted(polled: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_polling, "MOST_CONNECTIONS", 2)
    async with polled.http(None) as http:
        statuses = [(await http.get(PATH, params=BEGIN)).status_code for _ in range(3)]
    assert statuses == [200, 200, 503]


async def test_when_the_service_ends_a_client_that_polls_is_told(polled: Served) -> None:
    watcher = Watcher(polled)
    await watcher.client.connect(
        polled.url, auth={"token": polled.keys["owner"]}, transports=["polling"], wait_timeout=30
    )
    await watcher.until("session", 1)
    await polled.hub.dismiss()
    assert (await watcher.until("problem", 1))[0]["code"] == "service-ends"
    await asyncio.wait_for(watcher.gone.wait(), 10)
