"""Approvals and permission modes at the doors: who may decide what, when, and how often."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from sqlalchemy import text

from flynn.domain import events as ev
from flynn.domain.permission import call_digest
from flynn.store import log, runs
from tests.api.served import Served, watching

COMMAND = {"command": "make deploy"}
DIGEST = call_digest("Bash", COMMAND)
_LEAVE = text("""
DELETE FROM workspace_members WHERE principal_id = (SELECT id FROM principals WHERE name = 'stranger')""")


async def wait_for_a_yes(served: Served, http: httpx2.AsyncClient) -> tuple[str, str]:
    """A conversation whose run waits, as a worker leaves it; gives the paths of it and of its approval."""
    conversation = await served.conversation(http)
    await served.say(conversation, "Deploy.")
    approval = uuid4()
    request = ev.ApprovalRequested(
        approval_id=approval,
        step=1,
        call_id="toolu_1",
        tool="Bash",
        input=COMMAND,
        call_digest=DIGEST,
        reason="the permission mode is ask",
        expires_at=datetime.now(UTC) + timedelta(hours=1),
    )
    waiting = ev.RunWaiting(reason="approval", detail="A yes is needed.", retry_at=request.expires_at)
    async with served.database.begin() as connection:
        await runs.lock_conversation(connection, UUID(conversation))
        run = await runs.open_run(connection, UUID(conversation))
        assert run is not None
        epoch = await runs.raise_epoch(connection, UUID(conversation))
        await runs.start_run(connection, run, lost=False)
        served.published += await log.append(
            connection, UUID(conversation), run.id, [request, waiting], epoch=epoch
        )
        await runs.wait_run(connection, run.id, reason="approval", detail=waiting.detail, at=waiting.retry_at)
    path = f"/api/v1/conversations/{conversation}"
    return path, f"{path}/approvals/{approval}"


def yes(**more: Any) -> dict[str, Any]:
    return {"decision": "allow", "call_digest": DIGEST, **more}


async def test_an_approval_is_listed_decided_and_then_stands(served: Served) -> None:
    async with served.http() as http:
        path, approval = await wait_for_a_yes(served, http)
        run = (await http.get(path)).json()["run"]
        assert (run["state"], run["reason"]) == ("waiting", "approval")
        (found,) = (await http.get(f"{path}/approvals", params={"state": "pending"})).json()["items"]
        assert (found["tool"], found["input"], found["call_digest"]) == ("Bash", COMMAND, DIGEST)
        decided = await http.post(approval, json=yes(message="Go."))
        assert decided.status_code == 200
        assert (decided.json()["state"], decided.json()["decided_by"]) == ("allowed", "owner")
        assert (await http.get(path)).json()["run"]["state"] == "queued"
        length = (await http.get(path)).json()["last_seq"]
        assert (await http.post(approval, json=yes())).status_code == 200
        assert (await http.get(path)).json()["last_seq"] == length
        refused = await http.post(approval, json=yes(decision="deny"))
        assert refused.status_code == 409
        assert (await http.get(f"{path}/approvals", params={"state": "pending"})).json()["items"] == []


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({"decision": "allow"}, "call_digest", "missing"),
        ({"decision": "maybe", "call_digest": DIGEST}, "decision", "allow"),
        ({"decision": "allow", "call_digest": "0" * 64}, "call_digest", "another call"),
        ({"decision": "allow", "call_digest": "x"}, "call_digest", ""),
        (yes(rule="Bash("), "rule", "no permission rule"),
        (yes(decision="deny", remember=True), "remember", "only goes with"),
        (yes(forever=True), "forever", "decision"),
    ],
)
async def test_what_decides_nothing_says_why(
    shared: Served, body: dict[str, Any], field: str, words: str
) -> None:
    async with shared.http() as http:
        path, approval = await wait_for_a_yes(shared, http)
        answer = await http.post(approval, json=body)
        assert answer.status_code == 422
        assert field in str(answer.json()["errors"])
        assert words in answer.text
        assert (await http.get(path)).json()["run"]["state"] == "waiting"


async def test_only_who_may_act_in_the_conversation_decides(served: Served) -> None:
    await served.key("reader", "read")
    await served.key("stranger", "chat")
    async with served.database.begin() as connection:
        await connection.execute(_LEAVE)
    async with served.http() as http:
        path, approval = await wait_for_a_yes(served, http)
        missing = await http.post(f"{path}/approvals/{uuid4()}", json=yes())
        assert missing.status_code == 404
    async with served.http("stranger") as http:
        assert (await http.post(approval, json=yes())).status_code == 404
        assert (await http.get(f"{path}/approvals")).status_code == 404
        assert (await http.patch(path, json={"permission_mode": "auto"})).status_code == 404
    async with served.http("reader") as http:
        assert (await http.post(approval, json=yes())).status_code == 403
        assert (await http.patch(path, json={"permission_mode": "auto"})).status_code == 403


async def test_an_approval_is_decided_over_the_socket(served: Served) -> None:
    async with served.http() as http:
        path, approval = await wait_for_a_yes(served, http)
    ids = {"conversation_id": path.rpartition("/")[2], "approval_id": approval.rpartition("/")[2]}
    async with watching(served) as watcher:
        await watcher.call("conversation.open", {"conversation_id": ids["conversation_id"]})
        wrong = await watcher.call("approval.decide", {**ids, **yes(call_digest="1" * 64)})
        assert wrong["error"]["status"] == 422
        done = await watcher.call("approval.decide", {**ids, **yes(decision="deny", message="Not today.")})
        assert done["ok"] is True
        assert done["approval"]["state"] == "denied"
        await watcher.until("event", 6)
        told = {event["type"]: event["data"] for event in watcher.got("event")}
        assert told["approval.decided"]["message"] == "Not today."
        assert told["approval.requested"]["call_digest"] == DIGEST


async def test_words_send_a_waiting_run_on(served: Served) -> None:
    async with served.http() as http:
        path, _approval = await wait_for_a_yes(served, http)
        said = await http.post(f"{path}/messages", json={"text": "Rather not."})
        assert said.json()["run"]["state"] == "queued"


async def test_the_mode_of_a_conversation_is_chosen_and_changed(served: Served) -> None:
    async with served.http() as http:
        made = await http.post("/api/v1/conversations", json={"permission_mode": "plan"})
        assert made.json()["permission_mode"] == "plan"
        path = made.headers["location"]
        silent = await http.patch(path, json={"permission_mode": "ask"})
        assert (silent.json()["permission_mode"], silent.json()["last_seq"]) == ("ask", 0)
        await http.post(f"{path}/messages", json={"text": "Hello"})
        changed = await http.patch(path, json={"permission_mode": "auto"})
        assert changed.json()["permission_mode"] == "auto"
        length = changed.json()["last_seq"]
        assert (await http.patch(path, json={"permission_mode": "auto"})).json()["last_seq"] == length
        events = (await http.get(f"{path}/events")).json()["items"]
        assert [e["data"]["mode"] for e in events if e["type"] == "mode.changed"] == ["auto"]
        first = next(e for e in events if e["type"] == "message.sent")
        assert any("the mode is ask" in block["text"] for block in first["data"]["content"])
        for body in ({}, {"permission_mode": "lax"}, {"mode": "auto"}):
            assert (await http.patch(path, json=body)).status_code == 422
        task = await http.post("/api/v1/tasks", json={"instructions": "x", "permission_mode": "plan"})
        assert task.status_code == 202
        conversation = f"/api/v1/conversations/{task.json()['conversation_id']}"
        assert (await http.get(conversation)).json()["permission_mode"] == "plan"


async def test_a_change_of_mode_lets_a_waiting_run_look_again(served: Served) -> None:
    async with served.http() as http:
        path, _approval = await wait_for_a_yes(served, http)
        await http.patch(path, json={"permission_mode": "auto"})
        assert (await http.get(path)).json()["run"]["state"] == "queued"
