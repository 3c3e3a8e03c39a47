"""The tools at /mcp, with the real client of the protocol's own package over a real server."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import jsonschema
import pytest
import pytest_asyncio
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from pydantic import BaseModel

from flynn.api.gate import PRINCIPAL, REQUEST_ID
from flynn.api.mcp_server import open_server
from flynn.api.mcp_tools import OneTask, TaskStatus, Tool
from flynn.domain.principal import Principal, Scope
from tests.api.served import Served, serve, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

ERAS = ["auto", "legacy"]
"""The protocol of 2026, whose requests stand alone, and the one before, which begins with a handshake."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with serve(tmp_path_factory.mktemp("mcp"), origins=["https://team.example"]) as found:
        await found.key("quorra", "delegate")
        await found.key("mallory", "delegate")
        await found.key("reader", "read")
        await found.key("talker", "chat")
        yield found


@asynccontextmanager
async def connected(
    served: Served, key: str | None = "quorra", mode: str = "auto", **headers: str
) -> AsyncIterator[Client]:
    """A client with the key of that name."""
    async with (
        served.http(key, **headers) as http,
        Client(streamable_http_client(f"{served.url}/mcp", http_client=http), mode=mode) as client,
    ):
        yield client


async def call(client: Client, name: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool that is to work."""
    result = await client.call_tool(name, arguments)
    assert not result.is_error, result.content
    assert isinstance(result.structured_content, dict)
    return result.structured_content


async def refused(client: Client, name: str, **arguments: Any) -> str:
    """Call a tool that is not to work; gives what it says."""
    result = await client.call_tool(name, arguments)
    assert result.is_error, result.structured_content
    (block,) = result.content
    assert block.type == "text"
    return block.text


@pytest.mark.parametrize("mode", ERAS)
async def test_a_task_is_delegated_watched_stopped_and_reported(served: Served, mode: str) -> None:
    async with connected(served, mode=mode) as client:
        made = await call(client, "delegate_task", instructions="Look around", title="A look")
        assert (made["state"], made["over"], made["already"]) == ("queued", False, False)
        assert made["callback_secret"] is None
        early = await refused(client, "task_report", task_id=made["task_id"])
        assert "no report yet: it is queued" in early
        told = await call(client, "task_message", task_id=made["task_id"], text="And look twice")
        assert told["seq"] == 3
        waiting = asyncio.create_task(call(client, "task_status", task_id=made["task_id"], wait=30))
        await asyncio.sleep(0.1)
        stopped = await call(client, "task_cancel", task_id=made["task_id"])
        assert stopped["state"] == "cancelled"
        ended = await waiting
        assert (ended["state"], ended["over"], ended["title"]) == ("cancelled", True, "A look")
        report = await call(client, "task_report", task_id=made["task_id"])
        assert report["task_id"] == made["task_id"]
        assert report["evidence"]["stop_reason"] == "cancelled"
    async with served.http("quorra") as http:
        place = f"/api/v1/tasks/{made['task_id']}"
        assert (await http.get(f"{place}/report")).json() == report


@pytest.mark.parametrize("mode", ERAS)
async def test_the_tools_say_what_they_take_and_give(served: Served, mode: str) -> None:
    async with connected(served, mode=mode) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert set(tools) == {
        *("delegate_task", "task_cancel", "task_message", "task_raise", "task_report", "task_status")
    }
    for tool in tools.values():
        assert tool.description
        assert tool.output_schema is not None
        for schema in (tool.input_schema, tool.output_schema):
            jsonschema.Draft202012Validator.check_schema(schema)
            assert schema["type"] == "object"
        assert tool.input_schema["additionalProperties"] is False
    taken = tools["delegate_task"].input_schema
    assert taken["required"] == ["instructions"]
    assert {"agent", "workspace", "priority", "callback_url", "idempotency_key"} <= set(taken["properties"])
    reads = {name for name, tool in tools.items() if tool.annotations and tool.annotations.read_only_hint}
    assert reads == {"task_status", "task_report"}


async def test_a_key_is_shown_the_tools_that_it_opens_and_no_other_works(served: Served) -> None:
    expected = {
        "reader": {"task_report", "task_status"},
        "talker": {"task_message", "task_raise", "task_report", "task_status"},
    }
    for key, names in expected.items():
        async with connected(served, key) as client:
            assert {tool.name for tool in (await client.list_tools()).tools} == names
            said = await refused(client, "delegate_task", instructions="let me in")
            assert "needs a key with scope delegate" in said


async def test_a_budget_is_given_seen_and_raised(served: Served) -> None:
    async with connected(served, "quorra") as client:
        budget = {"turns": 3, "dollars": 0.5}
        made = await call(client, "delegate_task", instructions="look", budget=budget)
        assert made["budget"] == {**budget, "tokens": None, "minutes": None}
        assert made["spent"] == {"turns": 0, "tokens": 0, "dollars": 0, "minutes": 0}
        assert made["branch"] == f"flynn/{made['task_id'][:8]}"
        raised = await call(client, "task_raise", task_id=made["task_id"], task={"dollars": 1}, dollars=5)
        assert raised["budget"] == {"turns": 3, "dollars": 1, "tokens": None, "minutes": None}
        said = await refused(client, "task_raise", task_id=made["task_id"], task={"dollars": 0.9})
        assert "task.dollars: must be above the present limit of 1" in said


async def test_what_another_has_is_answered_like_what_is_not_there(served: Served) -> None:
    async with connected(served, "quorra") as client:
        hers = await call(client, "delegate_task", instructions="for her eyes only")
    async with served.http("owner") as owner:
        found = (await owner.get("/api/v1/workspaces")).json()["items"]
        place = f"/api/v1/workspaces/{found[0]['id']}/members/mallory"
        assert (await owner.delete(place)).status_code == 200
    async with connected(served, "mallory") as client:
        for name, more in (
            ("task_status", {}),
            ("task_status", {"wait": 1}),
            ("task_report", {}),
            ("task_cancel", {}),
            ("task_message", {"text": "let me in"}),
            ("task_raise", {"turns": 500}),
        ):
            absent = str(uuid4())
            hidden = await refused(client, name, task_id=hers["task_id"], **more)
            missing = await refused(client, name, task_id=absent, **more)
            assert hidden.replace(hers["task_id"], absent) == missing, name
            assert "There is no task" in missing
    async with connected(served, "quorra") as client:
        assert (await call(client, "task_status", task_id=hers["task_id"]))["state"] == "queued"


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("delegate_task", {}, "instructions: is missing"),
        ("delegate_task", {"instructions": "  "}, "say what is wanted"),
        ("delegate_task", {"instructions": "x", "agent": "nobody"}, "There is no agent 'nobody'"),
        (
            "delegate_task",
            {"instructions": "x", "workspace": "no"},
            "the workspaces you may use are: default. Whoever made another may let you in",
        ),
        ("delegate_task", {"instructions": "x", "colour": "y"}, "colour: is not known here; known are: "),
        ("delegate_task", {"instructions": "x", "callback_url": "http://10.0.0.1/"}, "FLYNN_WEBHOOK_HOSTS"),
        ("task_status", {"task_id": "7"}, "task_id: should be a valid UUID"),
        ("task_status", {"task_id": str(uuid4()), "wait": 51}, "wait: should be less than or equal to 50"),
        ("task_message", {"task_id": str(uuid4())}, "text: is missing"),
        ("delegate_task", {"instructions": "x", "budget": {"euros": 1}}, "budget.euros: is not known here"),
        ("task_raise", {"task_id": str(uuid4()), "task": {"turns": 0}}, "task.turns: should be greater"),
    ],
)
async def test_what_is_wrong_is_said_to_the_model(
    served: Served, name: str, arguments: dict[str, Any], said: str
) -> None:
    async with connected(served) as client:
        assert said in await refused(client, name, **arguments)


async def test_a_tool_that_there_is_not_is_an_error_of_the_protocol(served: Served) -> None:
    async with connected(served) as client:
        with pytest.raises(MCPError, match="There is no tool 'no_such'; there are: delegate_task"):
            await client.call_tool("no_such", {})


async def test_an_order_that_is_sent_again_is_the_same_task(served: Served) -> None:
    order = {"instructions": "Look around once", "idempotency_key": "mcp-once"}
    async with connected(served) as client, connected(served, mode="legacy") as other:
        first = await call(client, "delegate_task", **order)
        second = await call(other, "delegate_task", **order)
        assert first["task_id"] == second["task_id"]
        assert (first["already"], second["already"]) == (False, True)
        said = await refused(client, "delegate_task", **{**order, "instructions": "Else"})
        assert "was used for another task" in said


async def test_a_callbacks_secret_is_shown_once(served: Served) -> None:
    async with connected(served) as client:
        made = await call(
            client, "delegate_task", instructions="Look", callback_url="https://quorra.example/hook"
        )
        assert made["callback_secret"].startswith("whsec_")
        later = await client.call_tool("task_status", {"task_id": made["task_id"]})
        assert "whsec_" not in str(later)


MESSAGE = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
ACCEPT = {"accept": "application/json, text/event-stream"}


@pytest.mark.parametrize("authorization", [None, "Bearer", "Bearer fly_no", "Basic fly_no", "Bearer flyx"])
async def test_without_a_key_nothing_is_answered(served: Served, authorization: str | None) -> None:
    headers = {**ACCEPT, **({"authorization": authorization} if authorization else {})}
    async with served.http(None) as http:
        answer = await http.post("/mcp", json=MESSAGE, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_client_without_a_key_does_not_connect(served: Served) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with connected(served, None):
            pytest.fail("it is connected")
    assert caught.value.subgroup(MCPError) is not None


async def test_foreign_pages_and_names_are_refused_and_a_named_page_may(served: Served) -> None:
    async with served.http() as http:
        for headers in ({"origin": "https://evil.example"}, {"origin": "null"}, {"host": "evil.example"}):
            answer = await http.post("/mcp", json=MESSAGE, headers={**ACCEPT, **headers})
            assert answer.status_code == 403
        good = {**ACCEPT, "origin": "https://team.example"}
        answer = await http.post("/mcp", json=MESSAGE, headers=good)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "https://team.example"
        assert answer.headers["cache-control"] == "no-store"
        assert len(answer.json()["result"]["tools"]) == 6


async def test_nothing_is_kept_that_another_process_would_need(served: Served) -> None:
    async with served.http() as http:
        begun = {
            "jsonrpc": "2.0",
            "id": 0,
            "method": "initialize",
            "params": {
                "protocolVersion": "2025-06-18",
                "capabilities": {},
                "clientInfo": {"name": "x", "version": "1"},
            },
        }
        answer = await http.post("/mcp", json=begun, headers=ACCEPT)
        assert answer.json()["result"]["serverInfo"]["name"] == "flynn"
        assert "mcp-session-id" not in answer.headers
        for method in ("GET", "DELETE"):
            closed = await http.request(method, "/mcp", headers=ACCEPT)
            assert (closed.status_code, closed.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b"[]", 400), (b'{"jsonrpc": "2.0"}', 400), (b"\xff", 400), (b"[" * 50_000, 400)],
)
async def test_what_is_no_message_is_refused(served: Served, body: bytes, status: int) -> None:
    async with served.http() as http:
        headers = {**ACCEPT, "content-type": "application/json"}
        for version in ({}, {"mcp-protocol-version": "2026-07-28"}, {"mcp-protocol-version": "1999-01-01"}):
            answer = await http.post("/mcp", content=body, headers={**headers, **version})
            assert answer.status_code == status, (version, answer.text)
            assert "Traceback" not in answer.text
        large = await http.post("/mcp", content=b'"' + b"x" * 1_000_000 + b'"', headers=headers)
        assert large.status_code == 413


@pytest.mark.slow
async def test_another_process_answers_as_well(
    served: Served, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with (
        serve(tmp_path_factory.mktemp("beside"), beside=served) as other,
        connected(served) as here,
        connected(other, "quorra", "legacy") as there,
    ):
        made = await call(here, "delegate_task", instructions="Look around")
        waiting = asyncio.create_task(call(there, "task_status", task_id=made["task_id"], wait=30))
        await asyncio.sleep(0.2)
        await call(here, "task_cancel", task_id=made["task_id"])
        assert (await waiting)["state"] == "cancelled"


async def test_a_defect_is_told_without_its_insides(served: Served) -> None:
    async def broken(_principal: Principal, _asked: OneTask) -> BaseModel:
        raise RuntimeError("secret insides")

    tool = Tool(
        name="broken",
        title="Broken",
        description="It never works",
        scopes=(Scope.READ,),
        argument=OneTask,
        result=TaskStatus,
        act=broken,
    )
    answer = open_server({"broken": tool}, max_bytes=10_000)
    owner = await served.views.authenticate(served.keys["owner"])

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer({**scope, PRINCIPAL: owner, REQUEST_ID: "r-1"}, receive, send)

    async with serving(app) as url, Client(f"{url}/mcp") as client:
        said = await refused(client, "broken", task_id=str(uuid4()))
    assert "This is a defect of the service. Its log tells more under the request id r-1." in said
    assert "insides" not in said


async def test_fifty_at_once_are_answered(served: Served) -> None:
    async with connected(served) as client:
        made = await call(client, "delegate_task", instructions="Look around")
        asked = (call(client, "task_status", task_id=made["task_id"]) for _ in range(50))
        assert {status["task_id"] for status in await asyncio.gather(*asked)} == {made["task_id"]}


@pytest.mark.slow
async def test_the_service_starts_without_the_protocols_package() -> None:
    program = "import sys, flynn.app.service; sys.exit('mcp' in sys.modules)"
    done = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", program], check=False)
    assert done.returncode == 0


@pytest.mark.slow
async def test_a_wait_is_over_when_the_service_ends(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with serve(tmp_path_factory.mktemp("ending")) as served, connected(served, "owner") as client:
        made = await call(client, "delegate_task", instructions="Look around")
        waiting = asyncio.create_task(call(client, "task_status", task_id=made["task_id"], wait=50))
        await asyncio.sleep(0.2)
        served.hub.end()
        assert (await asyncio.wait_for(waiting, 10))["state"] == "queued"


async def test_a_wait_whose_time_is_up_is_an_answer(served: Served) -> None:
    async with connected(served) as client:
        made = await call(client, "delegate_task", instructions="Look around")
        status = await call(client, "task_status", task_id=made["task_id"], wait=0.3)
        assert status["state"] == "queued"
