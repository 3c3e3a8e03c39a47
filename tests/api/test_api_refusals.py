"""What is refused, and in which words: the same form everywhere, and never a stack trace."""

import asyncio
import json
import re
from typing import Any

import httpx2
import pytest

from flynn.api.server import OVERHEAD
from tests.api.served import MESSAGE_MAX, Served

pytestmark = pytest.mark.asyncio(loop_scope="module")


def problem(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert body["code"] == code
    assert body["type"] == f"urn:flynn:problem:{code}"
    assert body["request_id"] == answer.headers["x-request-id"]
    assert body["detail"]
    assert "Traceback" not in answer.text
    return body


@pytest.mark.parametrize(
    "authorization",
    [None, "", "fly_x", "Basic Zmx5Og==", "Bearer", "Bearer nokey", "Bearer fly_unknown", "Bearer fly_\xe9"],
)
@pytest.mark.parametrize("path", ["/api/v1/agents", "/api/v1/schema", "/api/v1/nonsense", "/api/"])
async def test_no_key_no_entry(shared: Served, authorization: str | None, path: str) -> None:
    headers = {} if authorization is None else {"Authorization": authorization.encode("latin-1")}
    async with shared.http(None) as http:
        answer = await http.get(path, headers=headers)  # type: ignore[arg-type]
    problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_unknown_paths_and_methods(shared: Served) -> None:
    async with shared.http() as http:
        problem(await http.get("/api/v1/nonsense"), 404, "not-found")
        problem(await http.get("/nonsense"), 404, "not-found")
        problem(await http.get("/api/v1/agents/"), 404, "not-found")
        for method in ("PUT", "PATCH", "DELETE"):
            answer = await http.request(method, "/api/v1/agents", json={})
            body = problem(answer, 405, "method-not-allowed")
            assert answer.headers["allow"] == "GET"
            assert "GET" in body["detail"]


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"instructions": "is missing"}),
        ({"instructions": ""}, {"instructions": "should have at least 1 character"}),
        ({"instructions": "x", "brnch": "main"}, {"brnch": "is not known here; known are: instructions"}),
        (
            {"instructions": "x", "budget": {"dolars": 1}, "context": {"file": []}},
            {
                "budget.dolars": "is not known here; known are: turns, tokens, dollars, minutes",
                "context.file": "is not known here; known are: files, links, tasks",
            },
        ),
        ({"instructions": "x", "prompt": "y"}, {"prompt": "is given under another name too"}),
        ({"instructions": "x", "branch": ""}, {"branch": "should have at least 1 character"}),
        ({"instructions": "x", "after": "y"}, {"after": "should be a JSON array"}),
        ({"instructions": 7, "title": []}, {"instructions": "valid string", "title": "valid string"}),
        ({"instructions": "\ud800"}, {"instructions": "lone surrogates"}),
        ([], {"body": "JSON object"}),
        ("text", {"body": "JSON object"}),
        (None, {"body": ""}),
    ],
)
async def test_a_body_that_does_not_fit_is_named_field_by_field(
    shared: Served, body: Any, fields: dict[str, str]
) -> None:
    async with shared.http() as http:
        answer = await http.post(
            "/api/v1/tasks", content=json.dumps(body), headers={"Content-Type": "application/json"}
        )
    found = {e["field"]: e["message"] for e in problem(answer, 422, "invalid-input")["errors"]}
    assert set(found) == set(fields)
    for name, words in fields.items():
        assert words in found[name]
        assert not re.match("[A-Z]", found[name]), "the field's name stands before it"


async def test_unknown_and_wrong_query_parameters(shared: Served) -> None:
    async with shared.http() as http:
        body = problem(await http.get("/api/v1/tasks?limt=3&state=running"), 422, "invalid-input")
        assert body["errors"] == [
            {
                "field": "limt",
                "message": "is not known here; known are: cursor, limit, state, agent, workspace, "
                "created_after, created_before",
            }
        ]
        body = problem(await http.get("/api/v1/tasks?limit=0&state=asleep"), 422, "invalid-input")
        assert {e["field"] for e in body["errors"]} == {"limit", "state.0"}
        body = problem(await http.get("/api/v1/tasks/not-a-uuid"), 422, "invalid-input")
        assert body["errors"][0]["field"] == "task_id"
        body = problem(await http.get("/health?verbose=1"), 422, "invalid-input")
        assert body["errors"][0]["field"] == "verbose"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"instructions": "x",}', "at character"),
        (b'{"instructions": ', "at character"),
        (b"{'a': 1}", "at character 1"),
        (b'{"instructions": "\xff"}', "UTF-8"),
        (b"[" * 50_000, "not JSON"),
    ],
)
async def test_malformed_json_is_400_and_says_where(shared: Served, content: bytes, words: str) -> None:
    async with shared.http() as http:
        answer = await http.post(
            "/api/v1/tasks", content=content, headers={"Content-Type": "application/json"}
        )
    assert words in problem(answer, 400, "malformed-request")["detail"]


async def test_a_body_that_is_not_json_is_415(shared: Served) -> None:
    async with shared.http() as http:
        for kind in ("application/x-www-form-urlencoded", "text/plain"):
            answer = await http.post(
                "/api/v1/tasks", content=b'{"instructions": "x"}', headers={"Content-Type": kind}
            )
            assert "application/json" in problem(answer, 415, "unsupported-media-type")["detail"]


async def test_oversized_bodies_are_413_before_they_are_parsed(shared: Served) -> None:
    limit = 6 * MESSAGE_MAX + OVERHEAD

    async def chunks() -> Any:
        for _ in range(limit // 10_000 + 2):
            yield b"[" * 10_000

    async with shared.http() as http:
        headers = {"Content-Type": "application/json"}
        answer = await http.post("/api/v1/tasks", content=b"[" * (limit + 1), headers=headers)
        assert str(limit) in problem(answer, 413, "payload-too-large")["detail"]
        problem(await http.post("/api/v1/tasks", content=chunks(), headers=headers), 413, "payload-too-large")
        message = {"instructions": "x" * (MESSAGE_MAX + 1)}
        problem(await http.post("/api/v1/tasks", json=message), 413, "payload-too-large")
        assert (await http.post("/api/v1/tasks", json={"instructions": "ü" * 50_000})).status_code == 202
        assert (await http.post("/api/v1/tasks", json={"instructions": "\x01" * 99_999})).status_code == 202


async def test_a_body_without_end_is_cut_off(shared: Served) -> None:
    """A client that announces little and never stops sending gets its answer and a closed connection."""
    host, port = shared.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"POST /api/v1/tasks HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {shared.keys['owner']}"
        "\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    )
    sent = 0
    chunk = b"10000\r\n" + b"[" * 0x10000 + b"\r\n"

    async def flood() -> None:
        nonlocal sent
        while sent < 200_000_000:
            writer.write(chunk)
            await writer.drain()
            sent += 0x10000

    flooding = asyncio.create_task(flood())
    try:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        assert head.startswith(b"HTTP/1.1 413")
        assert b"connection: close" in head.lower()
        assert sent < 60_000_000
    finally:
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)
        writer.close()


async def test_request_ids(shared: Served) -> None:
    async with shared.http() as http:
        assert (await http.get("/health", headers={"X-Request-Id": "abc-1"})).headers[
            "x-request-id"
        ] == "abc-1"
        odd = (await http.get("/health", headers={"X-Request-Id": "a b<script>"})).headers["x-request-id"]
        assert len(odd) == 16
        one, two = [(await http.get("/health")).headers["x-request-id"] for _ in range(2)]
        assert one != two


async def test_foreign_pages_are_refused_and_allowed_ones_get_their_headers(shared: Served) -> None:
    asks = {"Access-Control-Request-Method": "POST"}
    async with shared.http() as http:
        for origin in ("https://evil.example", "null"):
            problem(await http.get("/api/v1/agents", headers={"Origin": origin}), 403, "forbidden")
            refused = await http.options("/api/v1/tasks", headers={"Origin": origin, **asks})
            problem(refused, 403, "forbidden")
            assert "access-control-allow-origin" not in refused.headers
        for origin in ("http://localhost:5173", "https://team.example"):
            answer = await http.get("/api/v1/agents", headers={"Origin": origin})
            assert answer.status_code == 200
            assert answer.headers["access-control-allow-origin"] == origin
            unknown = await http.get("/api/v1/agents", headers={"Origin": origin, "Authorization": "x"})
            problem(unknown, 401, "unauthenticated")
            assert unknown.headers["access-control-allow-origin"] == origin
            preflight = await http.options("/api/v1/tasks", headers={"Origin": origin, **asks})
            assert preflight.status_code == 204
            assert "Authorization" in preflight.headers["access-control-allow-headers"]
        own = await http.get("/api/v1/agents", headers={"Origin": shared.url})
        assert own.status_code == 200
        assert "access-control-allow-origin" not in own.headers


async def test_on_loopback_foreign_hosts_are_refused(shared: Served) -> None:
    async with shared.http() as http:
        for path in ("/api/v1/agents", "/health", "/docs"):
            answer = await http.get(path, headers={"Host": "evil.example:8000"})
            assert "'evil.example'" in problem(answer, 403, "forbidden")["detail"]
        assert (await http.get("/api/v1/agents", headers={"Host": "team.example"})).status_code == 200


async def test_values_that_cannot_be_stored_are_422(shared: Served) -> None:
    async with shared.http() as http:
        answer = await http.post("/api/v1/tasks", json={"instructions": "x", "workspace": "a\0b"})
        problem(answer, 422, "invalid-input")
        answer = await http.get("/api/v1/agents/a%00b")
        problem(answer, 404, "not-found")


async def test_socket_io_by_polling_is_told_what_would_be_right(shared: Served) -> None:
    async with shared.http(None) as http:
        answer = await http.get("/socket.io/?EIO=4&transport=polling")
        assert "websocket" in problem(answer, 400, "malformed-request")["detail"]
