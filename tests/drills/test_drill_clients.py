"""Clients that drop, join late, or stop reading: each holds exactly the log, and none harms another."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import psutil
import pytest
import pytest_asyncio

from tests.drills.fleet import Member
from tests.drills.follower import Follower
from tests.drills.long_run import long_run
from tests.drills.place import Place, open_fleet
from tests.eventually import eventually

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.needs("bubblewrap"),
    pytest.mark.asyncio(loop_scope="module"),
]

MEGABYTE = 1_000_000
MOST_GROWTH = 32 * MEGABYTE
STREAM = r"for i in $(seq 80); do head -c 1000000 /dev/zero | tr '\0' x; echo; sleep 0.05; done"

SCRIPT = f"""
name: long
match: LONG-RUN
loop: true
pacing: {{tokens_per_second: 60}}
turns:
{long_run(steps=12, words=30, seconds=0.3)}---
name: words
match: SPEAK-UP
loop: true
pacing: {{tokens_per_second: 40}}
turns:
  - blocks: [{{text: '{{{{ words(400) }}}}'}}]
---
name: flood
match: FLOOD-NOW
loop: true
turns:
  - blocks:
      - tool: Bash
        input:
          command: |-
            {STREAM}
  - blocks: [{{text: Done.}}]
"""


class Stand(Place):
    """One server with a worker."""

    @property
    def server(self) -> Member:
        return self.servers[0]

    async def key(self, name: str) -> str:
        """A key with all rights."""
        made = await self.http.post("/api/v1/keys", json={"name": name, "scopes": ["admin"]})
        return str(made.json()["key"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stand]:
    async with open_fleet(tmp_path_factory.mktemp("clients"), SCRIPT) as fleet:
        server = await fleet.serve("server", worker=True)
        async with server.http() as http:
            yield Stand(fleet, [server], http)


async def test_a_client_that_drops_twenty_times_holds_exactly_the_log(place: Stand) -> None:
    conversation = await place.conversation()
    follower = Follower(place.server.url, place.server.key, conversation)
    await follower.connect()
    await follower.say("LONG-RUN")
    drops = 0
    while drops < 20:
        assert not follower.has("run.completed"), f"the run was over after {drops} drops"
        before = (len(follower.events), follower.deltas)
        async with asyncio.timeout(30):
            while (len(follower.events), follower.deltas) == before:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await follower.cut()
        drops += 1
        await follower.connect()
        assert follower.sessions[-1]["resumed"] is True
    await follower.until("run.completed", seconds=90)
    log = await place.log(conversation)
    assert follower.holes == []
    assert follower.events == log
    assert len({session["session"] for session in follower.sessions}) == 1
    await follower.close()


async def test_who_joins_in_the_middle_of_a_stream_has_its_words_from_the_first(place: Stand) -> None:
    conversation = await place.conversation()
    first = Follower(place.server.url, place.server.key, conversation)
    await first.connect()
    await first.say("SPEAK-UP")
    await eventually(lambda: first.deltas >= 20, what="some words", seconds=30)
    joiners = [Follower(place.server.url, place.server.key, conversation) for _ in range(5)]
    for joiner in joiners:
        await joiner.connect()
        assert not first.has("message.completed"), "the stream was over before all had joined"
    await first.until("run.completed")
    [completed] = [e["data"] for e in first.events if e["type"] == "message.completed"]
    whole = completed["content"][0]["text"]
    for joiner in joiners:
        await joiner.until("run.completed")
        assert joiner.gaps == []
        assert whole.startswith(joiner.words(1))
        assert joiner.deltas >= 2, "words so far, and some that came after"
        assert joiner.events == first.events
        await joiner.close()
    assert first.words(1) == whole
    await first.close()


class Stopped:
    """A client that opens a conversation and then reads nothing more."""

    def __init__(self, session: aiohttp.ClientSession, url: str, key: str) -> None:
        self._session, self._key = session, key
        self._url = f"{url}/socket.io/?EIO=4&transport=websocket"
        self.transport: Any = None

    async def open(self, conversation: str) -> None:
        self._socket = await self._session.ws_connect(self._url, max_msg_size=0)
        await self._socket.receive()
        await self._socket.send_str("40" + json.dumps({"token": self._key}))
        await self._socket.send_str(
            '420["conversation.open",' + json.dumps({"conversation_id": conversation}) + "]"
        )
        while not (await self._socket.receive()).data.startswith("430"):
            pass
        connection = self._socket._response.connection
        assert connection is not None
        self.transport = connection.transport
        self.transport.pause_reading()


@pytest.mark.timeout(800)
async def test_a_consumer_that_stops_costs_little_and_harms_nobody(place: Stand) -> None:
    """A command streams about 80 MB; memory is compared with the same stream before, to a reader only."""
    process = psutil.Process(place.server.pid)
    most = 0

    async def streamed(reader: Follower, count: int) -> int:
        nonlocal most
        most = 0
        await reader.say("FLOOD-NOW")
        async with asyncio.timeout(300):
            while sum(e["type"] == "run.completed" for e in reader.events) < count:
                most = max(most, process.memory_info().rss)
                await asyncio.sleep(0.1)
        return most

    conversation = await place.conversation()
    reader = Follower(place.server.url, place.server.key, conversation)
    await reader.connect()
    before = await streamed(reader, 1)
    sams = await place.key("sam")
    async with aiohttp.ClientSession() as session:
        stopped = Stopped(session, place.server.url, sams)
        await stopped.open(conversation)
        await eventually(lambda: bool(reader.notices), what="sam's coming")
        assert reader.notices[-1]["present"]["names"] == ["owner", "sam"]
        deltas = reader.deltas
        during = await streamed(reader, 2)
        assert reader.deltas - deltas > 100, "the reader saw the output all the while"
        assert during - before < MOST_GROWTH, f"grew by {(during - before) / MEGABYTE:.0f} MB"
        await eventually(
            lambda: reader.notices[-1]["present"]["names"] == ["owner"],
            what="the end of the connection that nobody reads",
            seconds=60,
        )
        stopped.transport.resume_reading()
    assert reader.holes == []
    assert reader.events == await place.log(conversation)
    await reader.close()


async def test_a_service_that_is_told_to_end_lets_its_viewers_go_first(place: Stand) -> None:
    """The last drill of this file: the server ends with it."""
    conversation = await place.conversation()
    follower = Follower(place.server.url, place.server.key, conversation)
    await follower.connect()
    events = f"/api/v1/conversations/{conversation}/events"
    async with place.http.stream("GET", events, headers={"Accept": "text/event-stream"}) as stream:
        lines = stream.aiter_lines()
        assert await anext(lines) == "retry: 1000"
        place.server.send(signal.SIGTERM)
        rest = [line async for line in lines]
    assert any("service-ends" in line for line in rest)
    await asyncio.wait_for(follower.gone.wait(), 20)
    assert [problem["code"] for problem in follower.problems] == ["service-ends"]
    assert await place.server.ended() == 0
    await follower.close()
