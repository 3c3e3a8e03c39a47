"""The doors of REST, one by one, over real parts."""

import asyncio
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
from sqlalchemy import text

from tests.api.served import Served

GONE = str(uuid4())


async def test_a_conversation_from_its_first_word_to_its_end(served: Served) -> None:
    async with served.http() as http:
        made = await http.post("/api/v1/conversations", json={"title": "Deploy"})
        assert made.status_code == 201
        conversation = made.json()
        path = made.headers["location"]
        assert path == f"/api/v1/conversations/{conversation['id']}"
        assert (await http.get(path)).json() == conversation

        said = await http.post(f"{path}/messages", json={"text": "Hello", "client_message_id": "1"})
        assert said.status_code == 202
        assert said.json()["seq"] == 1
        again = await http.post(f"{path}/messages", json={"text": "Hello", "client_message_id": "1"})
        assert (again.json()["seq"], again.json()["duplicate"]) == (1, True)

        page = (await http.get(f"{path}/messages")).json()
        assert [(m["role"], m["text"]) for m in page["items"]] == [("user", "Hello")]

        raised = await http.post(f"{path}/budget", json={"turns": 500})
        assert raised.status_code == 200
        length = (await http.get(path)).json()["last_seq"]
        assert (await http.post(f"{path}/budget", json={"turns": 500})).json() == raised.json()
        assert (await http.get(path)).json()["last_seq"] == length
        lower = await http.post(f"{path}/budget", json={"turns": 400})
        assert lower.status_code == 422
        stopped = await http.post(f"{path}/interrupt")
        assert stopped.json()["run"]["state"] == "cancelled"
        assert (await http.post(f"{path}/interrupt", json={"reason": "again"})).status_code == 200
        assert (await http.post(f"{path}/budget", json={"turns": 500})).json()["state"] == "cancelled"
        assert (await http.post(f"{path}/budget", json={"turns": 600})).status_code == 409


async def test_a_conversation_without_a_title_is_named_by_its_first_words(served: Served) -> None:
    token = f"ghp_{'a1B2' * 9}"
    async with served.http() as http:
        titles = []
        for words in ("\n  Deploy \u202e the\tstack\nand tell me", "long " * 40, f"Use {token}"):
            made = (await http.post("/api/v1/conversations", json={})).json()
            assert made["title"] is None
            path = f"/api/v1/conversations/{made['id']}"
            await http.post(f"{path}/messages", json={"text": words})
            await http.post(f"{path}/messages", json={"text": "More of it"})
            titles.append((await http.get(path)).json()["title"])
        assert titles[0] == "Deploy the stack"
        assert titles[1] == f"{('long ' * 16)[:79]}…"
        assert titles[2].startswith("Use ")
        assert token not in titles[2]
        named = (await http.post("/api/v1/conversations", json={"title": "Mine"})).json()
        await http.post(f"/api/v1/conversations/{named['id']}/messages", json={"text": "Hello"})
        assert (await http.get(f"/api/v1/conversations/{named['id']}")).json()["title"] == "Mine"
        task = (await http.post("/api/v1/tasks", json={"instructions": "Look around"})).json()
        assert task["title"] is None
        owned = (await http.get(f"/api/v1/conversations/{task['conversation_id']}")).json()
        assert owned["title"] == "Look around"
        assert owned["run"]["limits"].keys() == {"turns", "dollars", "prompt_tokens"}


async def test_events_come_in_pages(served: Served) -> None:
    async with served.http() as http:
        conversation = await served.conversation(http)
        await served.say(conversation, *(f"message {n}" for n in range(10)))
        found: list[dict[str, Any]] = []
        after: int | None = 0
        while after is not None:
            page = await http.get(
                f"/api/v1/conversations/{conversation}/events", params={"after_seq": after, "limit": 4}
            )
            assert len(page.json()["items"]) <= 4
            found += page.json()["items"]
            after = page.json()["next"]
        assert [e["seq"] for e in found] == list(range(1, len(found) + 1))
        assert found == [r.envelope() for r in served.published]


async def test_lists_are_paged_by_a_cursor(served: Served) -> None:
    async with served.http() as http:
        made = [await served.conversation(http) for _ in range(5)]
        found: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = (await http.get("/api/v1/conversations", params={"limit": 2, **cursor})).json()
            found += [c["id"] for c in page["items"]]
            if page["next"] is None:
                break
            cursor = {"cursor": page["next"]}
        assert found == made[::-1]
        for cursor_text in ("nonsense", "AAAA", "%00", "é"):
            answer = await http.get("/api/v1/conversations", params={"cursor": cursor_text})
            assert answer.status_code == 422
            assert answer.json()["errors"][0]["field"] == "cursor"


async def test_a_task_is_accepted_waited_for_and_cancelled(served: Served) -> None:
    await served.key("quorra", "delegate")
    async with served.http("quorra") as http:
        order = {"prompt": "Update CI", "subagent_type": "flynn-dev", "description": "CI"}
        posted = await http.post("/api/v1/tasks", json=order, headers={"Idempotency-Key": "a"})
        assert posted.status_code == 202
        assert posted.headers["location"] == f"/api/v1/tasks/{posted.json()['id']}"
        assert "idempotency-replayed" not in posted.headers
        replayed = await http.post("/api/v1/tasks", json=order, headers={"Idempotency-Key": "a"})
        assert replayed.json()["id"] == posted.json()["id"]
        assert replayed.headers["idempotency-replayed"] == "true"
        path = posted.headers["location"]

        early = await http.get(f"{path}/report")
        assert early.status_code == 404
        assert "queued" in early.json()["detail"]
        said = await http.post(f"{path}/messages", json={"text": "And lint it"})
        assert said.status_code == 202

        waiting = asyncio.create_task(http.get(path, params={"wait": 20}))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        began = time.monotonic()
        cancelled = await http.post(f"{path}/cancel")
        assert cancelled.json()["state"] == "cancelled"
        assert (await waiting).json()["state"] == "cancelled"
        assert time.monotonic() - began < 10, "it waited for its time to be up"
        report = await http.get(f"{path}/report")
        assert report.json()["state"] == "cancelled"
        listed = (await http.get("/api/v1/tasks", params={"state": "cancelled"})).json()["items"]
        assert [t["id"] for t in listed] == [posted.json()["id"]]
        assert (await http.get("/api/v1/tasks", params={"state": "running"})).json()["items"] == []


async def test_of_two_posts_with_one_key_the_second_is_told_to_come_back(served: Served) -> None:
    async with served.http() as http, served.database.engine.connect() as connection:
        order = {"instructions": "Update CI"}
        key = {"Idempotency-Key": "in-flight"}
        owner = (await served.views.authenticate(served.keys["owner"])).id
        # A post that is not through: its transaction has the key, and nothing is committed.
        held = text("SELECT pg_try_advisory_xact_lock(hashtextextended(CAST(:p AS text) || ' ' || :key, 0))")
        assert await connection.scalar(held, {"p": str(owner), "key": "in-flight"})
        early = await http.post("/api/v1/tasks", json=order, headers=key)
        assert (early.status_code, early.json()["code"]) == (409, "conflict")
        assert early.headers["retry-after"] == "1"
        other = await http.post("/api/v1/tasks", json=order, headers={"Idempotency-Key": "another"})
        assert other.status_code == 202, "another key waits for nothing"
        await connection.rollback()
        assert (await http.post("/api/v1/tasks", json=order, headers=key)).status_code == 202


async def test_fifty_posts_at_once_with_one_key_are_one_task(served: Served) -> None:
    async with served.http() as http:

        async def post() -> httpx2.Response:
            return await http.post(
                "/api/v1/tasks", json={"instructions": "Once"}, headers={"Idempotency-Key": "fifty"}
            )

        answers = await asyncio.gather(*(post() for _ in range(50)))
        assert {answer.status_code for answer in answers} <= {202, 409}
        again = (await post()).json()["id"]
        assert {answer.json()["id"] for answer in answers if answer.status_code == 202} == {again}
        listed = (await http.get("/api/v1/tasks")).json()["items"]
        assert [task["id"] for task in listed] == [again]


async def test_tasks_are_found_by_state_agent_workspace_and_time(served: Served, tmp_path: Path) -> None:
    async with served.http() as http:
        elsewhere = tmp_path / "elsewhere"
        await asyncio.to_thread(elsewhere.mkdir)
        made = await http.post("/api/v1/workspaces", json={"name": "elsewhere", "path": str(elsewhere)})
        first, second, third = [
            (await http.post("/api/v1/tasks", json={"instructions": "x", "workspace": name})).json()
            for name in ("default", "elsewhere", "default")
        ]
        await http.post(f"/api/v1/tasks/{first['id']}/cancel")

        async def found(*query: tuple[str, str]) -> list[str]:
            answer = await http.get("/api/v1/tasks", params=list(query))
            assert answer.status_code == 200, answer.text
            return [task["id"] for task in answer.json()["items"]]

        every = [third["id"], second["id"], first["id"]]
        assert await found() == every
        assert await found(("state", "cancelled")) == [first["id"]]
        assert await found(("state", "cancelled"), ("state", "queued"), ("state", "running")) == every
        assert await found(("workspace", "elsewhere")) == [second["id"]]
        assert await found(("workspace", made.json()["id"])) == [second["id"]]
        assert await found(("workspace", "nowhere")) == []
        assert await found(("agent", "flynn-dev")) == every
        assert await found(("agent", "nobody")) == []
        assert await found(("created_after", second["created_at"])) == [third["id"]]
        assert await found(("created_before", second["created_at"])) == [first["id"]]
        assert await found(("workspace", "default"), ("state", "queued"), ("limit", "1")) == [third["id"]]
        for wrong in (
            ("state", "done"),
            ("created_after", "7"),
            ("created_after", "2026-11-26"),
            ("owner", "x"),
        ):
            assert (await http.get("/api/v1/tasks", params=[wrong])).status_code == 422, wrong


async def test_waiting_for_a_task_ends_when_the_time_is_up(served: Served) -> None:
    async with served.http() as http:
        posted = await http.post("/api/v1/tasks", json={"instructions": "Wait"})
        began = time.monotonic()
        answer = await http.get(posted.headers["location"], params={"wait": 0.3})
        assert answer.json()["state"] == "queued"
        assert 0.3 <= time.monotonic() - began < 20
        for wait in (-1, 61, "long"):
            assert (await http.get(posted.headers["location"], params={"wait": wait})).status_code == 422


async def test_waiting_for_a_task_survives_lost_publications(served: Served) -> None:
    """Nothing wakes the waiter but the comparison with the log."""
    async with served.http() as http:
        posted = await http.post("/api/v1/tasks", json={"instructions": "Wait"})
        waiting = asyncio.create_task(http.get(posted.headers["location"], params={"wait": 20}))
        await asyncio.sleep(0.1)
        served.lose = True
        await http.post(f"{posted.headers['location']}/cancel")
        assert (await asyncio.wait_for(waiting, 15)).json()["state"] == "cancelled"


async def test_agents_workspaces_keys_and_schema(served: Served) -> None:
    async with served.http() as http:
        agents = (await http.get("/api/v1/agents")).json()["items"]
        assert (await http.get(f"/api/v1/agents/{agents[0]['name']}")).json() == agents[0]
        assert (await http.get("/api/v1/agents/nobody")).status_code == 404

        made = await http.post("/api/v1/workspaces", json={"name": "tmp", "path": "/nowhere/at/all"})
        assert made.status_code == 422
        names = [w["name"] for w in (await http.get("/api/v1/workspaces")).json()["items"]]
        assert names == ["default"]

        key = await http.post("/api/v1/keys", json={"name": "tron", "scopes": ["read"]})
        assert key.status_code == 201
        assert key.json()["key"].startswith("fly_")
        assert (await http.post("/api/v1/keys", json={"name": "x", "scopes": ["root"]})).status_code == 422
        listed = (await http.get("/api/v1/keys")).json()["items"]
        assert "tron" in [k["name"] for k in listed]
        assert not any("key" in k for k in listed)

        tron = {"Authorization": f"Bearer {key.json()['key']}"}
        assert (await http.get("/api/v1/agents", headers=tron)).status_code == 200
        revoked = await http.delete(f"/api/v1/keys/{key.json()['id']}")
        assert revoked.json()["revoked_at"] is not None
        assert (await http.get("/api/v1/agents", headers=tron)).status_code == 401
        assert (await http.delete(f"/api/v1/keys/{GONE}")).status_code == 404

        schema = (await http.get("/api/v1/schema")).json()
        assert {"calls", "sent", "$defs", "oneOf"} <= set(schema)


async def test_operations_need_no_key(served: Served) -> None:
    async with served.http(None) as http:
        assert (await http.get("/health")).json()["status"] == "ok"
        assert (await http.get("/ready")).json()["ok"] is True
        served.parts[0] = served.parts[0].model_copy(update={"state": "down", "detail": "gone"})
        down = await http.get("/ready")
        assert down.status_code == 503
        assert down.json()["parts"][0]["detail"] == "gone"
        assert "Flynn is running" in (await http.get("/")).text


async def test_the_reference_works_without_the_internet(served: Served) -> None:
    async with served.http(None) as http:
        page = await http.get("/docs", params={"key": "fly_x"})
        assert page.status_code == 200
        assert "https://" not in page.text
        assert "script-src 'self'" in page.headers["content-security-policy"]
        for asset in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png", "start.js"):
            assert f"/docs/{asset}" in page.text or asset == "start.js"
            assert (await http.get(f"/docs/{asset}")).status_code == 200
        bundle = (await http.get("/docs/swagger-ui-bundle.js")).text
        assert 'PACKAGE_VERSION:"5.' in bundle, "Swagger UI 5 renders OpenAPI 3.1"


async def test_what_is_not_there_is_404(served: Served) -> None:
    async with served.http() as http:
        for method, path, body in (
            ("GET", f"conversations/{GONE}", None),
            ("GET", f"conversations/{GONE}/messages", None),
            ("GET", f"conversations/{GONE}/events", None),
            ("POST", f"conversations/{GONE}/messages", {"text": "x"}),
            ("POST", f"conversations/{GONE}/interrupt", {}),
            ("POST", f"conversations/{GONE}/budget", {"turns": 100}),
            ("GET", f"tasks/{GONE}", None),
            ("GET", f"tasks/{GONE}/report", None),
            ("POST", f"tasks/{GONE}/cancel", None),
            ("POST", f"tasks/{GONE}/messages", {"text": "x"}),
        ):
            answer = await http.request(method, f"/api/v1/{path}", json=body)
            assert answer.status_code == 404, path
            assert answer.headers["content-type"] == "application/problem+json", path
            assert GONE in answer.json()["detail"], path


async def test_who_is_no_member_of_the_workspace_sees_nothing(served: Served, tmp_path: Path) -> None:
    await served.key("sam", "chat", "delegate")
    (tmp_path / "hidden").mkdir()
    async with served.http() as owner, served.http("sam") as sam:
        workspace = {"name": "hidden", "path": str(tmp_path / "hidden")}
        assert (await owner.post("/api/v1/workspaces", json=workspace)).status_code == 201
        order = {"instructions": "x", "workspace": "hidden"}
        task = (await owner.post("/api/v1/tasks", json=order)).json()
        mine = f"conversations/{task['conversation_id']}"
        for path in (mine, f"{mine}/events", f"{mine}/messages", f"tasks/{task['id']}"):
            assert (await owner.get(f"/api/v1/{path}")).status_code == 200, path
            assert (await sam.get(f"/api/v1/{path}")).status_code == 404, path
        said = await sam.post(f"/api/v1/{mine}/messages", json={"text": "x"})
        assert said.status_code == 404
        assert (await sam.get("/api/v1/conversations")).json()["items"] == []
        assert (await sam.get("/api/v1/tasks")).json()["items"] == []


async def test_scopes_open_their_doors(served: Served) -> None:
    orders: dict[str, dict[str, str]] = {
        "conversations": {},
        "tasks": {"instructions": "x"},
        "workspaces": {"name": "x", "path": "/"},
    }
    for scope, method, path, allowed in (
        ("read", "GET", "conversations", True),
        ("read", "POST", "conversations", False),
        ("read", "POST", "tasks", False),
        ("chat", "GET", "tasks", True),
        ("chat", "POST", "conversations", True),
        ("chat", "POST", "tasks", False),
        ("chat", "POST", "workspaces", False),
        ("delegate", "GET", "agents", True),
        ("delegate", "POST", "tasks", True),
        ("delegate", "POST", "conversations", False),
        ("delegate", "GET", "keys", False),
        ("admin", "GET", "keys", True),
    ):
        await served.key(scope, scope)
        async with served.http(scope) as http:
            body = orders[path] if method == "POST" else None
            answer = await http.request(method, f"/api/v1/{path}", json=body)
        where = f"{scope}: {method} {path}"
        if allowed:
            assert answer.status_code < 300, where
        else:
            assert answer.status_code == 403, where
            assert f"this key has: {scope}" in answer.json()["detail"], where


async def test_many_requests_at_once(served: Served) -> None:
    async with served.http() as http:
        conversation = await served.conversation(http)

        async def one(number: int) -> httpx2.Response:
            body = {"text": f"{number}", "client_message_id": f"{number}"}
            return await http.post(f"/api/v1/conversations/{conversation}/messages", json=body)

        answers = await asyncio.gather(*[one(n) for n in range(40)])
        assert {a.status_code for a in answers} == {202}
        assert len({a.json()["seq"] for a in answers}) == 40
