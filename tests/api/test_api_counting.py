"""Requests are counted by the template of their route: whatever clients send, they make no series."""

import asyncio
import contextlib
from pathlib import Path
from uuid import uuid4

import httpx2
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from flynn.api.counting import GONE, Counting
from flynn.telemetry.metrics import Metrics
from flynn.telemetry.request_metrics import METHODS, RequestMetrics
from tests.api.served import Served, serve, watching
from tests.api.test_api_metrics import scraped
from tests.eventually import eventually


def requests(found: dict[str, float]) -> dict[tuple[str, str, str], float]:
    """`flynn_http_requests_total` by method, route and status."""
    result = {}
    for name, value in found.items():
        if name.startswith("flynn_http_requests_total{"):
            labels = dict(part.split("=", 1) for part in name.split("{", 1)[1].removesuffix("}").split(","))
            result[labels["method"], labels["route"], labels["status"]] = value
    return result


def timed(found: dict[str, float]) -> dict[str, float]:
    """How many answers were timed, by method and route."""
    start = "flynn_http_request_seconds_count{"
    return {
        name.removeprefix(start).removesuffix("}"): v for name, v in found.items() if name.startswith(start)
    }


async def test_each_kind_of_answer_is_counted_by_its_template(served: Served) -> None:
    async with served.http() as http, served.http(None) as stranger:
        conversation = await served.conversation(http)
        for _ in range(3):
            await http.get(f"/api/v1/conversations/{conversation}")
        await http.get(f"/api/v1/conversations/{uuid4()}")
        await http.post("/api/v1/tasks", content=b"{")
        await http.patch("/api/v1/tasks")
        await stranger.get("/api/v1/tasks")
        await http.get("/no/such/path")
        await http.get("/favicon.svg")
        await http.get("/health", headers={"Host": "evil.example"})
    found = await scraped(served)
    counted = requests(found)
    one = "/api/v1/conversations/{conversation_id}"
    assert counted["POST", "/api/v1/conversations", "201"] == 1
    assert counted["GET", one, "200"] == 3
    assert counted["GET", one, "404"] == 1
    assert counted["POST", "/api/v1/tasks", "415"] == 1
    assert counted["PATCH", "/api/v1/tasks", "405"] == 1
    assert counted["GET", "other", "401"] == 1
    assert counted["GET", "other", "404"] == 1
    assert counted["GET", "other", "403"] == 1
    assert counted["GET", "/favicon.svg", "404"] == 1
    assert timed(found)[f"method=GET,route={one}"] == 4


async def test_every_route_of_the_document_has_its_template_as_its_label(served: Served) -> None:
    async with served.http() as http:
        document = (await http.get("/openapi.json")).json()
        for path, operations in document["paths"].items():
            asked = path.format_map({name: uuid4() for name in _names(path)})
            for method in operations:
                # A query that nobody knows is refused by each door behind its route.
                await http.request(method, asked, params={"nobody-knows": "1"}, json={})
    counted = requests(await scraped(served))
    labels = {(method, route) for method, route, _ in counted}
    missing = {
        (method.upper(), path) for path, operations in document["paths"].items() for method in operations
    } - labels
    assert not missing


def _names(path: str) -> list[str]:
    return [part.split("}")[0].split(":")[0] for part in path.split("{")[1:]]


async def test_hostile_requests_make_no_series(served: Served) -> None:
    async with served.http() as http:
        await http.get("/nothing/at/all")
        await http.request("BREW", "/nothing/at/all")
        await http.get(f"/api/v1/tasks/{uuid4()}")
        await http.get("/assets/x")
        before = set(requests(await scraped(served)))
        for i in range(40):
            await http.get(f"/{i}/x{i}.php")
            await http.request(f"BREW{i}", "/nothing/at/all")
            await http.get(f"/api/v1/tasks/{uuid4()}")
            await http.get(f"/assets/{i}")
            await http.get(f"/nothing?{i}=1", headers={"X-Request-ID": str(i)})
    assert set(requests(await scraped(served))) <= before | {("GET", "/metrics", "200")}


@given(
    st.lists(st.tuples(st.text(max_size=20), st.text(max_size=40).map(lambda text: "/" + text)), max_size=30)
)
@settings(deadline=None, max_examples=50)
def test_no_method_and_no_path_is_ever_a_label(asked: list[tuple[str, str]]) -> None:
    metrics = Metrics()
    counting = Counting(RequestMetrics(metrics))
    for method, path in asked:
        counting.begin({"type": "http", "method": method, "path": path}).answered(404)
    labels = [
        (sample.labels["method"], sample.labels["route"])
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
        if sample.name == "flynn_http_requests_total"
    ]
    assert {method for method, _ in labels} <= {*METHODS, "other"}
    assert {route for _, route in labels} <= {"other", "/socket.io/"}


async def test_streams_and_requests_that_wait_are_counted_and_not_timed(served: Served) -> None:
    async with served.http() as http:
        conversation = await served.conversation(http)
        await served.say(conversation, "one")
        events = f"/api/v1/conversations/{conversation}/events"
        async with http.stream("GET", events, headers={"Accept": "text/event-stream"}) as answer:
            assert answer.status_code == 200
            streaming = await scraped(served)
        task = (await http.post("/api/v1/tasks", json={"instructions": "go"})).json()
        await http.get(f"/api/v1/tasks/{task['id']}", params={"wait": 0.01})
        waited = await scraped(served)
        await http.get(f"/api/v1/tasks/{task['id']}")
    route = "/api/v1/conversations/{conversation_id}/events"
    assert requests(streaming)["GET", route, "200"] == 1, "a stream is counted as it begins"
    assert timed(streaming).get(f"method=GET,route={route}", 0) == 0
    one = "/api/v1/tasks/{task_id}"
    assert requests(waited)["GET", one, "200"] == 1
    assert timed(waited).get(f"method=GET,route={one}", 0) == 0
    assert timed(await scraped(served))[f"method=GET,route={one}"] == 1


async def test_a_tool_call_that_waits_is_not_timed(served: Served) -> None:
    async with served.http() as http:
        task = (await http.post("/api/v1/tasks", json={"instructions": "go"})).json()

        async def call(**arguments: object) -> None:
            answer = await http.post(
                "/mcp",
                json={
                    "jsonrpc": "2.0",
                    "id": 1,
                    "method": "tools/call",
                    "params": {"name": "task_status", "arguments": {"task_id": task["id"], **arguments}},
                },
                headers={
                    "Accept": "application/json, text/event-stream",
                    "Mcp-Protocol-Version": "2025-11-25",
                },
            )
            assert answer.status_code == 200, answer.text
            assert "queued" in answer.text

        await call()
        once = timed(await scraped(served))["method=POST,route=/mcp"]
        await call(wait=0.01)
        found = await scraped(served)
    assert once == 1
    assert timed(found)["method=POST,route=/mcp"] == 1
    assert requests(found)["POST", "/mcp", "200"] == 2


async def test_a_client_that_leaves_before_its_answer_is_counted(served: Served) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", httpx2.URL(served.url).port)
    writer.write(
        b"POST /api/v1/tasks HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n"
        b"Authorization: Bearer " + served.keys["owner"].encode() + b"\r\n\r\n{"
    )
    await writer.drain()
    writer.close()

    async def counted() -> bool:
        return ("POST", "other", str(GONE)) in requests(await scraped(served))

    await eventually(counted, what="the client that left")


async def test_sockets_are_no_requests_unless_refused_and_their_calls_are_counted(served: Served) -> None:
    async with watching(served) as watcher:
        made = await watcher.call("conversation.create", {})
        assert made["ok"]
        assert "error" in await watcher.call("message.send", {"conversation_id": str(uuid4()), "text": "x"})
        for i in range(10):
            assert "error" in await watcher.call(f"made-up-{i}", {})
        found = await scraped(served)
    assert found["flynn_socket_calls_total{call=conversation.create,outcome=ok}"] == 1
    assert found["flynn_socket_calls_total{call=message.send,outcome=refused}"] == 1
    assert found["flynn_socket_calls_total{call=other,outcome=refused}"] == 10
    assert found["flynn_socket_call_seconds_count{call=other}"] == 10
    assert not any("made-up" in name for name in found)
    assert not any(route == "/socket.io/" for _, route, _ in requests(found))
    async with served.http(None) as http:
        upgrade = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version": "13",
            "Origin": "https://evil.example",
        }
        with contextlib.suppress(httpx2.RemoteProtocolError):
            refused = await http.get("/socket.io/?EIO=4&transport=websocket", headers=upgrade)
            assert refused.status_code == 403
    assert requests(await scraped(served))["GET", "/socket.io/", "403"] == 1


async def test_socket_io_that_polls_is_counted_and_not_timed(tmp_path: Path) -> None:
    async with serve(tmp_path, polling=True) as served:
        async with served.http(None) as http:
            assert (await http.get("/socket.io/?EIO=4&transport=polling")).status_code == 200
        found = await scraped(served)
    assert requests(found)["GET", "/socket.io/", "200"] == 1
    assert not any("/socket.io/" in name for name in timed(found))
