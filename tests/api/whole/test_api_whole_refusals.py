"""What the doors refuse: with the right status, as a problem, and without a word of the inside."""

from typing import Any
from uuid import UUID

import httpx2
import pytest

from tests.api.whole.doors import ORIGIN, PROBLEM, Doors

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]
NOBODY = UUID(int=7)


def problem(answer: httpx2.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert body["type"] == f"urn:flynn:problem:{body['code']}"
    assert body["request_id"] == answer.headers["x-request-id"]
    assert "Traceback" not in answer.text
    assert 'File "' not in answer.text
    return body


def fields(body: dict[str, Any]) -> list[str]:
    return [error["field"] for error in body["errors"]]


@pytest.mark.parametrize("path", ["tasks", "conversations"])
async def test_an_unknown_agent_is_answered_with_the_known_ones(doors: Doors, path: str) -> None:
    order = {"agent": "nobody", **({"instructions": "go"} if path == "tasks" else {})}
    body = problem(await doors.owner.post(f"/api/v1/{path}", json=order), 422)
    assert "flynn-dev" in body["detail"]
    assert fields(body) == ["agent"]


async def test_an_unknown_workspace_is_answered_with_the_known_ones(doors: Doors) -> None:
    body = problem(await doors.owner.post("/api/v1/conversations", json={"workspace": "nowhere"}), 422)
    assert "default" in body["detail"]
    assert fields(body) == ["workspace"]


@pytest.mark.parametrize("path", ["/", "/etc", "/proc/1", "/root", "relative", "/no/such/place", "a\0b"])
async def test_a_path_that_cannot_be_served_is_refused(doors: Doors, path: str) -> None:
    problem(await doors.owner.post("/api/v1/workspaces", json={"name": "w", "path": path}), 422)


async def test_the_services_own_data_is_no_workspace(doors: Doors) -> None:
    path = str(doors.workspaces.parent / "data" / "private")
    problem(await doors.owner.post("/api/v1/workspaces", json={"name": "w", "path": path}), 422)


@pytest.mark.parametrize("body", [b'{"instructions": ', b"\xff\xfe", b""])
async def test_malformed_json_is_told_from_wrong_json(doors: Doors, body: bytes) -> None:
    answer = await doors.owner.post(
        "/api/v1/tasks", content=body, headers={"content-type": "application/json"}
    )
    problem(answer, 400 if body else 422)


async def test_unknown_fields_are_named(doors: Doors) -> None:
    body = problem(await doors.owner.post("/api/v1/tasks", json={"instructions": "x", "callback": "y"}), 422)
    assert fields(body) == ["callback"]


async def test_missing_fields_are_named(doors: Doors) -> None:
    body = problem(await doors.owner.post("/api/v1/tasks", json={"title": "x"}), 422)
    assert "is missing" in body["detail"]


async def test_a_message_over_the_limit_is_refused(doors: Doors) -> None:
    body = problem(await doors.owner.post("/api/v1/tasks", json={"instructions": "x" * 2_000_000}), 413)
    assert "1,048,576" in body["detail"]


async def test_a_body_over_the_limit_is_refused_before_it_is_read(doors: Doors) -> None:
    problem(await doors.owner.post("/api/v1/tasks", content=b"x" * 7_000_000), 413)


async def test_a_body_without_a_length_is_counted(doors: Doors) -> None:
    async def pieces() -> Any:
        for _ in range(7):
            yield b"x" * 1_000_000

    answer = await doors.owner.post(
        "/api/v1/tasks", content=pieces(), headers={"content-type": "application/json"}
    )
    problem(answer, 413)


@pytest.mark.parametrize("key", [None, "fly_wrong"])
async def test_without_a_known_key_there_is_no_entry(doors: Doors, key: str | None) -> None:
    async with doors.client(key) as client:
        answer = await client.get("/api/v1/tasks")
        problem(answer, 401)
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_key_opens_only_what_its_scopes_name(doors: Doors) -> None:
    async with doors.client(await doors.key("reader", "read")) as reader:
        assert (await reader.get("/api/v1/tasks")).status_code == 200
        assert (
            "delegate"
            in problem(await reader.post("/api/v1/tasks", json={"instructions": "x"}), 403)["detail"]
        )
        problem(await reader.post("/api/v1/conversations", json={}), 403)
        problem(await reader.get("/api/v1/keys"), 403)
        problem(await reader.post("/api/v1/workspaces", json={"name": "x", "path": "/x"}), 403)


async def test_foreign_pages_are_refused_and_named_ones_are_not(doors: Doors) -> None:
    for origin, status in (("https://evil.example", 403), ("null", 403), (ORIGIN, 200), (doors.url, 200)):
        answer = await doors.owner.get("/api/v1/agents", headers={"origin": origin})
        assert answer.status_code == status, origin
    problem(await doors.owner.get("/health", headers={"origin": "https://evil.example"}), 403)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "[bad", "127.0.0.1.evil.example"])
async def test_on_loopback_foreign_hosts_are_refused(doors: Doors, host: str) -> None:
    problem(await doors.owner.get("/health", headers={"host": host}), 403)


async def test_unknown_routes_and_methods(doors: Doors) -> None:
    problem(await doors.owner.get("/api/v1/nothing"), 404)
    answer = await doors.owner.delete("/api/v1/agents")
    problem(answer, 405)
    assert "GET" in answer.headers["allow"]


@pytest.mark.parametrize(
    "path",
    [
        f"tasks/{NOBODY}",
        f"tasks/{NOBODY}/report",
        f"conversations/{NOBODY}",
        f"conversations/{NOBODY}/events",
        f"conversations/{NOBODY}/messages",
        "agents/nobody",
    ],
)
async def test_what_is_not_there_is_not_found(doors: Doors, path: str) -> None:
    problem(await doors.owner.get(f"/api/v1/{path}"), 404)


@pytest.mark.parametrize(
    "path",
    [
        "tasks?limit=0",
        "tasks?limit=501",
        "tasks?cursor=junk",
        "tasks?state=asleep",
        "tasks/no-uuid",
        f"tasks/{NOBODY}?wait=61",
        f"tasks/{NOBODY}?wait=nan",
        f"conversations/{NOBODY}/events?after_seq=-1",
        f"conversations/{NOBODY}/events?after_seq=99999999999999999999",
    ],
)
async def test_parameters_out_of_range_are_refused(doors: Doors, path: str) -> None:
    problem(await doors.owner.get(f"/api/v1/{path}"), 422)


@pytest.mark.parametrize("field", ["title", "agent", "workspace"])
async def test_nul_in_a_name_is_the_callers_mistake(doors: Doors, field: str) -> None:
    problem(await doors.owner.post("/api/v1/conversations", json={field: "a\0b"}), 422)


async def test_unknown_scopes_are_answered_with_the_known_ones(doors: Doors) -> None:
    body = problem(await doors.owner.post("/api/v1/keys", json={"name": "x", "scopes": ["all"]}), 422)
    assert "delegate" in body["detail"]
