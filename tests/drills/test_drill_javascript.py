"""socket.io-client 4.8 through a server's death: nothing is lost, nothing comes twice, words included."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from flynn.simulator import SimulatorServer, parse_scenarios
from tests.api.javascript import javascript
from tests.drills.fleet import Fleet
from tests.house import prepare
from tests.loopback import free_port
from tests.postgres import TestDatabases

pytestmark = [pytest.mark.slow, pytest.mark.needs("javascript")]

SCRIPT = """
name: speech
match: speak
loop: true
pacing: {tokens_per_second: 30}
turns:
  - blocks:
      - text: '{{ words(60) }}'
      - {tool: Write, input: {file_path: note.txt, content: from the middle}}
  - blocks: [{text: '{{ words(20) }}'}]
"""


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        postgres = stack.enter_context(TestDatabases.shared().new(prepare))
        simulator = await stack.enter_async_context(SimulatorServer(parse_scenarios(SCRIPT)))
        yield await stack.enter_async_context(Fleet(tmp_path, postgres.url, simulator.url))


async def test_a_conversation_goes_on_after_its_server_was_killed_and_started_again(fleet: Fleet) -> None:
    port = str(free_port())
    url = f"http://127.0.0.1:{port}"
    server = await fleet.serve("server", worker=True, FLYNN_PORT=port)
    async with javascript(url, server.key) as client:
        await client.until("session")
        made = await client.call("conversation.create", {})
        order = {"conversation_id": made["conversation"]["id"]}
        await client.call("conversation.open", order)
        sent = await client.call("message.send", {**order, "text": "speak", "client_message_id": "1"})
        await client.until("delta", 5)
        server.kill()
        await client.until("disconnect")
        # Sent while nobody is there: the library keeps it until it is connected again.
        client.order("message.send", {**order, "text": "speak", "client_message_id": "1"})
        server = await fleet.serve("server", worker=True, FLYNN_PORT=port)
        await client.until("session", 2, seconds=90)
        await client.until_all(
            "event", lambda events: any(e["type"] == "run.completed" for e in events), seconds=90
        )
        again = (await client.until("answer", 4))[3]
        assert (again["duplicate"], again["seq"]) == (True, sent["seq"])

        async with server.http() as http:
            http.base_url = url
            path = f"/api/v1/conversations/{order['conversation_id']}/events"
            log = (await http.get(path, params={"limit": 500})).json()["items"]
        assert client.got("event") == log
        assert [event["seq"] for event in log] == list(range(1, len(log) + 1))
        kinds = [event["type"] for event in log]
        assert kinds.count("message.sent") == 1
        assert "step.failed" in kinds, "the call that the death cut off is on record"
        assert client.got("disconnect") == ["transport close"]
        said = [event["data"] for event in log if event["type"] == "message.completed"]
        assert [texts(message["content"]) for message in said] == [
            words_on_the_way(client.got("delta"), message["step"]) for message in said
        ]


def texts(content: list[dict[str, Any]]) -> str:
    """The words of a message."""
    return "".join(block["text"] for block in content if block["type"] == "text")


def words_on_the_way(deltas: list[dict[str, Any]], step: int) -> str:
    """The words that came while a step was being answered, put together as docs/protocol.md says."""
    text = ""
    for delta in deltas:
        if delta["kind"] == "text" and delta["step"] == step:
            text = text[: delta["offset"]] + delta["text"]
    return text
