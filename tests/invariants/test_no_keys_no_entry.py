"""Promise 8: every door needs a key; a principal sees its own work and that of workspaces it is a member of.

The doors are found by asking the application for its routes, so one that is added without a key, or
without a word here about what it may show, fails.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
import socketio
from fastapi import FastAPI
from fastapi.routing import APIRoute

from flynn.settings import Settings
from flynn.workspace.mounts import find_mounts
from tests.api.served import Served, serve, watching

OPEN_TO_ALL = {
    ("GET", path)
    for path in (
        *("/", "/health", "/metrics", "/ready", "/openapi.json", "/docs", "/docs/start.js"),
        *("/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css", "/docs/favicon.png"),
        *("/favicon.svg", "/assets/{name}"),
    )
}
"""Doors that hold nothing of anybody."""

OTHERS = "{conversation_id}", "{task_id}", "{workspace_id}"
"""Parameters of paths that name what somebody may not see."""

BODIES: dict[str, dict[str, object] | None] = {
    "POST /api/v1/conversations/{conversation_id}/messages": {"text": "let me in"},
    "POST /api/v1/conversations/{conversation_id}/interrupt": {"reason": "mine now"},
    "POST /api/v1/conversations/{conversation_id}/undo": {"call_id": "toolu_1"},
    "POST /api/v1/conversations/{conversation_id}/budget": {"turns": 500},
    "PATCH /api/v1/conversations/{conversation_id}": {"permission_mode": "auto"},
    "POST /api/v1/conversations/{conversation_id}/approvals/{approval_id}": {
        "decision": "allow",
        "call_digest": "0" * 64,
    },
    "POST /api/v1/tasks/{task_id}/callback/replay": {"after_seq": 0},
    "POST /api/v1/tasks/{task_id}/cancel": None,
    "POST /api/v1/tasks/{task_id}/messages": {"text": "let me in"},
    "PATCH /api/v1/workspaces/{workspace_id}": {"name": "taken-over"},
    "PUT /api/v1/workspaces/{workspace_id}/members/{name}": None,
    "DELETE /api/v1/workspaces/{workspace_id}/members/{name}": None,
}
"""What a stranger sends to doors that take something."""

QUERIES = {"/api/v1/workspaces/{workspace_id}/files/content": "?path=secret.txt"}


@asynccontextmanager
async def house(tmp_path: Path) -> AsyncIterator[Served]:
    mounts = await asyncio.to_thread(find_mounts, tmp_path / "data", ())
    async with serve(tmp_path, mounts=mounts, origins=["https://team.example"]) as served:
        await served.key("alice", "chat", "delegate", "read")
        await served.key("mallory", "chat", "delegate", "read")
        yield served


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with house(tmp_path) as found:
        yield found


def application(served: Served) -> FastAPI:
    """The application behind the gate and the socket."""
    found: Any = served.contract
    while not isinstance(found, FastAPI):
        found = getattr(found, "other_asgi_app", None) or found._app
    return found


def routes(served: Served) -> Iterator[tuple[str, str]]:
    """Method and path of every route there is, those outside the OpenAPI document too."""
    yield from doors(application(served).routes, "")


def doors(found: Iterable[Any], prefix: str) -> Iterator[tuple[str, str]]:
    for route in found:
        if isinstance(route, APIRoute):
            assert route.methods, route.path
            for method in route.methods:
                yield method, prefix + route.path
            continue
        kind = type(route).__name__
        assert hasattr(route, "original_router"), f"a {kind}: how does one knock at that?"
        yield from doors(route.original_router.routes, prefix + route.include_context.prefix)


class Alice:
    """Somebody with a workspace of her own and work in it."""

    def __init__(self, workspace: dict[str, Any], conversation: str, task: dict[str, Any]) -> None:
        self.workspace = workspace
        self.conversation = conversation
        self.task = task

    def fill(self, path: str) -> str:
        return (
            path.replace("{conversation_id}", self.conversation)
            .replace("{task_id}", str(self.task["id"]))
            .replace("{workspace_id}", str(self.workspace["id"]))
            .replace("{approval_id}", str(UUID(int=7)))
            .replace("{sha256}", "0" * 64)
            .replace("{name}", "mallory")
        )

    def words(self) -> list[str]:
        """What nobody else may ever read."""
        ids = [self.conversation, self.task["id"], self.task["conversation_id"], self.workspace["id"]]
        return [*map(str, ids), "alices-own", "for her eyes only", "secret.txt"]


async def alice(served: Served) -> Alice:
    async with served.http("alice") as http:
        made = await http.post("/api/v1/workspaces", json={"name": "alices-own"})
        assert made.status_code == 201, made.text
        await asyncio.to_thread((Path(made.json()["path"]) / "secret.txt").write_text, "for her eyes only")
        order = {"workspace": "alices-own", "title": "for her eyes only"}
        opened = await http.post("/api/v1/conversations", json=order)
        conversation = opened.json()["id"]
        said = {"text": "for her eyes only"}
        sent = await http.post(f"/api/v1/conversations/{conversation}/messages", json=said)
        assert sent.status_code == 202, sent.text
        work = {
            "instructions": "for her eyes only",
            "workspace": "alices-own",
            "callback_url": "https://quorra.example/alices-own",
        }
        task = await http.post("/api/v1/tasks", json=work)
        assert task.status_code == 202, task.text
    return Alice(made.json(), conversation, task.json())


def plain(answer: httpx2.Response, own: str, absent: str) -> dict[str, Any]:
    """A problem without what differs from one request to the next."""
    body: dict[str, Any] = json.loads(answer.text.replace(own, absent))
    body.pop("request_id", None)
    return body


async def test_no_door_opens_without_a_key(served: Served) -> None:
    knocked = 0
    async with served.http(None) as http:
        for method, path in routes(served):
            if (method, path) in OPEN_TO_ALL:
                continue
            filled = path.replace("{name}", "x")
            for name in (*OTHERS, "{key_id}", "{approval_id}"):
                filled = filled.replace(name, str(uuid4()))
            for authorization in (None, "", "Bearer", "Bearer fly_no", "Basic fly_no", "Bearer flyx"):
                headers = {"accept": "text/event-stream"} if path.endswith("/events") else {}
                if authorization is not None:
                    headers["authorization"] = authorization
                answer = await http.request(method, filled, headers=headers)
                assert answer.status_code == 401, f"{method} {path} with {authorization!r}: {answer.text}"
                assert answer.headers["www-authenticate"].startswith("Bearer")
            knocked += 1
        assert knocked >= 25
        absent = await http.get("/api/v1/no-such-thing")
        assert absent.status_code == 401, "what is there is nobody's business without a key"
        for method, path in OPEN_TO_ALL:
            # 404: no page is built here.
            assert (await http.request(method, path)).status_code in (200, 404), path


async def test_the_socket_does_not_open_without_a_key(served: Served) -> None:
    for auth in (None, {}, {"token": ""}, {"token": "fly_no"}, {"token": 7}, {"session": "x"}, "fly_no"):
        heard: list[Any] = []
        gone = asyncio.Event()
        client = socketio.AsyncClient(reconnection=False, handle_sigint=False)
        client.on("problem", heard.append)
        client.on("session", lambda _: pytest.fail("a session without a key"))
        client.on("disconnect", lambda _=None, gone=gone: gone.set())
        try:
            await client.connect(served.url, auth=auth, transports=["websocket"], wait_timeout=30)
            await asyncio.wait_for(gone.wait(), 10)
        except socketio.exceptions.ConnectionError:
            pass
        finally:
            await client.disconnect()
        assert all(problem["status"] == 401 for problem in heard), auth
    assert served.hub.watched == 0


async def test_what_another_has_is_answered_like_what_is_not_there(served: Served) -> None:
    hers = await alice(served)
    knocked = 0
    async with served.http("mallory") as http:
        for method, path in routes(served):
            parameter = next((name for name in OTHERS if name in path), None)
            if parameter is None:
                continue
            where = f"{method} {path}"
            assert method == "GET" or where in BODIES, f"{where} is new: say in BODIES what it takes"
            body = BODIES.get(where)
            own = hers.fill(parameter)
            absent = str(uuid4())
            query = QUERIES.get(path, "")
            at = hers.fill(path) + query
            elsewhere = hers.fill(path.replace(parameter, absent)) + query
            accept = {"accept": "text/event-stream"} if path.endswith("/events") else {}
            hidden = await http.request(method, at, json=body, headers=accept)
            missing = await http.request(method, elsewhere, json=body, headers=accept)
            assert hidden.status_code == 404, f"{where}: {hidden.status_code} {hidden.text}"
            assert missing.status_code == 404, f"{where}: {missing.status_code} {missing.text}"
            assert plain(hidden, own, absent) == plain(missing, own, absent), where
            knocked += 1
    assert knocked >= 17


async def test_no_list_and_no_words_tell_of_what_another_has(served: Served) -> None:
    hers = await alice(served)
    async with served.http("mallory") as http:
        for method, path in routes(served):
            if method != "GET" or "{" in path or not path.startswith("/api/"):
                continue
            answer = await http.get(path)
            for word in hers.words():
                assert word not in answer.text, f"{path} tells of {word}"
        for name in ("alices-own", str(hers.workspace["id"])):
            for path, order in (
                ("/api/v1/conversations", {"workspace": name}),
                ("/api/v1/tasks", {"workspace": name, "instructions": "look"}),
            ):
                refused = await http.post(path, json=order)
                guessed = await http.post(path, json={**order, "workspace": "no-such"})
                assert refused.status_code == guessed.status_code == 422
                assert plain(refused, name, "no-such") == plain(guessed, name, "no-such")
        taken = await http.post("/api/v1/workspaces", json={"name": "alices-own"})
        assert taken.status_code == 409
        assert str(hers.workspace["path"]) not in taken.text


async def test_the_socket_shows_nobody_what_is_not_theirs(served: Served) -> None:
    hers = await alice(served)
    async with watching(served, "mallory") as watcher:
        for name, order in (
            ("conversation.open", {}),
            ("message.send", {"text": "let me in"}),
            ("workspace.undo", {"call_id": "toolu_1"}),
            ("run.interrupt", {}),
            (
                "approval.decide",
                {"approval_id": str(UUID(int=7)), "decision": "allow", "call_digest": "0" * 64},
            ),
        ):
            absent = str(uuid4())
            hidden = await watcher.call(name, {"conversation_id": hers.conversation, **order})
            missing = await watcher.call(name, {"conversation_id": absent, **order})
            for answer in (hidden, missing):
                assert answer["error"].pop("request_id")
            assert hidden["error"]["status"] == 404
            assert json.dumps(hidden).replace(hers.conversation, absent) == json.dumps(missing)
        in_hers = await watcher.call("conversation.create", {"workspace": "alices-own"})
        assert in_hers["error"]["status"] == 422
        await served.say(hers.conversation, "still for her eyes only")
        await asyncio.sleep(0.3)
        assert watcher.got("event") == []


async def test_only_who_sees_a_conversation_learns_who_watches_it(served: Served) -> None:
    hers = await alice(served)
    order = {"conversation_id": hers.conversation}
    membership = f"/api/v1/workspaces/{hers.workspace['id']}/members/mallory"
    async with (
        served.http("alice") as owner,
        watching(served, "alice") as first,
        watching(served, "alice") as second,
        watching(served, "mallory") as watcher,
    ):
        await first.call("conversation.open", order)
        hidden = await watcher.call("conversation.open", order)
        assert "alice" not in json.dumps(hidden)
        await asyncio.sleep(0.3)
        assert watcher.got("notice") == first.got("notice") == []
        assert (await owner.put(membership)).status_code == 200
        opened = await watcher.call("conversation.open", order)
        assert opened["present"] == {"names": ["alice", "mallory"], "count": 2}
        assert (await first.until("notice", 1))[0]["present"] == opened["present"]
        assert (await owner.delete(membership)).status_code == 200
        await watcher.until("problem", 1, within=10)
        assert (await first.until("notice", 2))[1]["present"] == {"names": ["alice"], "count": 1}
        await second.call("conversation.open", order)
        await first.call("conversation.close", order)
        await asyncio.sleep(0.4)
        assert watcher.got("notice") == []


async def test_a_session_of_another_is_not_taken_up(served: Served) -> None:
    hers = await alice(served)
    async with watching(served, "alice") as watcher:
        await watcher.call("conversation.open", {"conversation_id": hers.conversation})
        session = (await watcher.until("session", 1))[0]["session"]
    async with watching(served, "mallory", session=session) as thief:
        begun = (await thief.until("session", 1))[0]
        assert begun["resumed"] is False
        assert begun["watching"] == {}
        await served.say(hers.conversation, "still for her eyes only")
        await asyncio.sleep(0.3)
        assert thief.got("event") == []


async def test_a_member_sees_all_of_it_until_it_is_shut_out(served: Served) -> None:
    hers = await alice(served)
    membership = f"/api/v1/workspaces/{hers.workspace['id']}/members/mallory"
    events = f"/api/v1/conversations/{hers.conversation}/events"
    async with (
        served.http("alice") as owner,
        served.http("mallory") as http,
        watching(served, "mallory") as watcher,
    ):
        assert (await owner.put(membership)).status_code == 200
        for method, path in routes(served):
            there = not path.endswith(("/report", "/{sha256}"))
            if method == "GET" and any(name in path for name in OTHERS) and there:
                answer = await http.get(hers.fill(path) + QUERIES.get(path, ""))
                assert answer.status_code == 200, f"{path}: {answer.text}"
        opened = await watcher.call("conversation.open", {"conversation_id": hers.conversation})
        assert opened["ok"] is True
        await watcher.until("event", opened["last_seq"])
        async with http.stream("GET", events, headers={"accept": "text/event-stream"}) as stream:
            lines = stream.aiter_lines()
            assert "id: 1" in [await anext(lines) for _ in range(4)]
            assert (await owner.delete(membership)).status_code == 200
            async with asyncio.timeout(10):
                rest = [line async for line in lines]
        assert rest[-3] == "event: problem"
        assert '"not-found"' in rest[-2]
        (told,) = await watcher.until("problem", 1, within=10)
        assert told["conversation_id"] == hers.conversation
        assert told["status"] == 404
        seen = len(watcher.got("event"))
        await served.say(hers.conversation, "after she was shut out")
        await asyncio.sleep(0.5)
        assert len(watcher.got("event")) == seen
        assert not watcher.gone.is_set(), "the connection itself stays"
        again = await watcher.call("conversation.open", {"conversation_id": hers.conversation})
        assert again["error"]["status"] == 404
        assert (await http.get(events)).status_code == 404


async def test_who_was_shut_out_keeps_its_own_work_but_cannot_go_on_with_it(served: Served) -> None:
    hers = await alice(served)
    membership = f"/api/v1/workspaces/{hers.workspace['id']}/members/mallory"
    async with served.http("alice") as owner, served.http("mallory") as http:
        await owner.put(membership)
        opened = await http.post("/api/v1/conversations", json={"workspace": "alices-own"})
        own = f"/api/v1/conversations/{opened.json()['id']}"
        assert (await http.post(f"{own}/messages", json={"text": "mine"})).status_code == 202
        await owner.delete(membership)
        assert (await http.get(f"{own}/events")).status_code == 200
        for path, body in (
            ("messages", {"text": "read secret.txt to me"}),
            ("budget", {"turns": 500}),
            ("undo", {"call_id": "toolu_1"}),
        ):
            refused = await http.post(f"{own}/{path}", json=body)
            assert refused.status_code == 403
            assert "no member of the workspace" in refused.json()["detail"]
        assert (await http.post(f"{own}/interrupt")).status_code == 200


async def test_a_second_key_does_not_let_back_in(served: Served) -> None:
    async with served.http() as owner:
        found = (await owner.get("/api/v1/workspaces")).json()["items"]
        default = next(w["id"] for w in found if w["name"] == "default")
        removed = await owner.delete(f"/api/v1/workspaces/{default}/members/mallory")
        assert removed.status_code == 200
    await served.key("mallory", "chat", "delegate")
    async with served.http("mallory") as http:
        assert (await http.get("/api/v1/workspaces")).json()["items"] == []
        assert (await http.post("/api/v1/conversations", json={})).status_code == 422


@pytest.mark.slow
async def test_foreign_pages_and_foreign_names_are_refused_at_every_door(served: Served) -> None:
    key = served.keys["owner"]
    async with served.http() as http:
        for method, path in routes(served):
            filled = path.replace("{name}", "x")
            for name in (*OTHERS, "{key_id}", "{approval_id}"):
                filled = filled.replace(name, str(uuid4()))
            for headers in ({"origin": "https://evil.example"}, {"origin": "null"}, {"host": "evil.example"}):
                answer = await http.request(method, filled, headers=headers)
                assert answer.status_code == 403, f"{method} {path} with {headers}"
                assert "access-control-allow-origin" not in answer.headers
    client = socketio.AsyncClient(reconnection=False, handle_sigint=False)
    with pytest.raises(socketio.exceptions.ConnectionError):
        await client.connect(
            served.url,
            auth={"token": key},
            headers={"Origin": "https://evil.example"},
            transports=["websocket"],
        )
    await client.disconnect()


def test_the_service_listens_on_loopback_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLYNN_HOST", raising=False)
    assert Settings.load(None).host == "127.0.0.1"
    monkeypatch.setenv("FLYNN_HOST", "0.0.0.0")
    assert Settings.load(None).host == "0.0.0.0"
