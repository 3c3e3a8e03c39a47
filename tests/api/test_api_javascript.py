"""socket.io-client 4.8, as browsers and Node have it: it holds what the log holds, whatever happens."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.api.javascript import JavaScriptClient, javascript
from tests.api.served import Served, serve

pytestmark = [pytest.mark.slow, pytest.mark.needs("javascript")]


async def log(served: Served, conversation: str) -> list[dict[str, Any]]:
    """All events of a conversation, through REST."""
    found: list[dict[str, Any]] = []
    after: int | None = 0
    async with served.http() as http:
        while after is not None:
            query = {"after_seq": after, "limit": 500}
            page = (await http.get(f"/api/v1/conversations/{conversation}/events", params=query)).json()
            found += page["items"]
            after = page["next"]
    return found


async def opened(client: JavaScriptClient) -> dict[str, Any]:
    """A conversation that the client has made and follows: what its calls begin with."""
    made = await client.call("conversation.create", {"title": "From JavaScript"})
    order = {"conversation_id": made["conversation"]["id"]}
    answer = await client.call("conversation.open", order)
    assert answer["ok"] is True
    return order


async def test_a_message_and_its_resend(served: Served) -> None:
    async with javascript(served.url, served.keys["owner"]) as client:
        [session] = await client.until("session")
        assert session["principal"] == "owner"
        order = await opened(client)
        message = {**order, "text": "Grüße 🐳", "client_message_id": "one"}
        sent = await client.call("message.send", message)
        again = await client.call("message.send", message)
        assert (sent["duplicate"], again["duplicate"]) == (False, True)
        assert again["seq"] == sent["seq"]
        refused = await client.call("message.send", {**order, "text": ""})
        assert refused["error"]["status"] == 422
        stopped = await client.call("run.interrupt", order)
        assert stopped["run"]["state"] == "cancelled"
        await client.until_all("event", lambda events: events and events[-1]["type"] == "run.cancelled")
        assert client.got("event") == await log(served, order["conversation_id"])
        assert client.got("connect") == ["websocket"]


async def test_a_refused_key_is_told_why_and_does_not_come_again(served: Served) -> None:
    async with javascript(served.url, "fly_wrong") as client:
        assert await client.until("disconnect") == ["io server disconnect"]
        [problem] = client.got("problem")
        assert (problem["status"], problem["code"]) == (401, "unauthenticated")
        await asyncio.sleep(1.5)  # it would be back by then
        assert client.got("connect") == ["websocket"]
        assert client.got("session") == []


async def test_a_client_that_stops_reading_is_told_why_and_goes_on_by_its_cursor(tmp_path: Path) -> None:
    async with (
        serve(tmp_path, limit=100) as served,
        javascript(served.url, served.keys["owner"]) as client,
    ):
        order = await opened(client)
        conversation = order["conversation_id"]
        client.freeze()
        for _ in range(40):
            await served.say(conversation, *("x" * 30_000 for _ in range(10)))
            if "flynn_slow_clients_total 1" in await metrics(served):
                break
        else:
            pytest.fail("nobody found it slow")
        client.thaw()
        await client.until("session", 2)
        events = await log(served, conversation)
        await client.until("event", len(events))
        assert client.got("event") == events
        assert [problem["code"] for problem in client.got("problem")] == ["slow-client"]
        first, second = client.got("session")
        assert second["resumed"] is True
        assert second["session"] == first["session"]


async def metrics(served: Served) -> str:
    """What a scrape gives now."""
    async with served.http(None) as http:
        return (await http.get("/metrics")).text


async def test_polling_where_it_is_let_in_holds_the_same(tmp_path: Path) -> None:
    async with serve(tmp_path, polling=True) as served:
        transports = ["polling", "websocket"]
        async with javascript(served.url, served.keys["owner"], transports) as client:
            order = await opened(client)
            await served.say(order["conversation_id"], *(f"{n}" for n in range(40)))
            events = await log(served, order["conversation_id"])
            await client.until("event", len(events))
            assert client.got("event") == events
            assert client.got("connect") == ["polling"]


async def test_where_polling_is_not_let_in_a_client_that_offers_both_takes_websocket(served: Served) -> None:
    async with javascript(served.url, served.keys["owner"], ["polling"]) as client:
        await asyncio.sleep(1.5)
        assert client.got("connect") == []
    async with javascript(served.url, served.keys["owner"], ["websocket", "polling"]) as client:
        await client.until("session")
        assert client.got("connect") == ["websocket"]
