"""Undo at the doors: over REST and Socket.IO alike, committed once, with a clear no where there is none."""

import asyncio
from typing import Any
from uuid import UUID

import httpx2

from flynn.domain import events as ev
from flynn.domain.evidence import FileChanged
from flynn.domain.tool_result import Outcome
from flynn.domain.usage import Usage
from flynn.intake.ending import conclude
from flynn.store import log, runs
from tests.api.served import Served, watching
from tests.house import ADMISSION


async def work(served: Served, http: httpx2.AsyncClient, *, over: bool = True) -> str:
    """A conversation in which the agent made a file and ran a command, as a worker leaves it."""
    conversation = await served.conversation(http)
    await served.say(conversation, "Make a file.")
    made = FileChanged(
        path="a.txt", before=None, after="0" * 64, lines_added=1, lines_removed=0, kept=True, mode=0o644
    )
    calls: list[ev.EventData] = []
    for call_id, tool, evidence in (("toolu_1", "Write", [made]), ("toolu_2", "Bash", [])):
        calls.append(ev.ToolStarted(step=1, call_id=call_id, tool=tool, input={}))
        calls.append(
            ev.ToolFinished(
                step=1, call_id=call_id, tool=tool, outcome=Outcome.OK, content=[], evidence=list(evidence)
            )
        )
    async with served.database.begin() as connection:
        held = await runs.lock_conversation(connection, UUID(conversation))
        run = await runs.open_run(connection, UUID(conversation))
        assert run is not None
        run = await runs.start_run(connection, run, lost=False)
        await log.append(connection, held.id, run.id, calls)
        if over:
            end = ev.RunCompleted(stop_reason="end_turn", steps=1, usage=Usage(), nanodollars=0)
            await conclude(connection, held, run, end, epoch=None, successor=None, admission=ADMISSION)
    return conversation


async def test_an_undo_is_committed_once_and_queued_as_a_run(served: Served) -> None:
    async with served.http() as http:
        conversation = await work(served, http)
        path = f"/api/v1/conversations/{conversation}"
        order = {"call_id": "toolu_1", "client_undo_id": "mine"}
        answers = await asyncio.gather(*(http.post(f"{path}/undo", json=order) for _ in range(4)))
        assert [answer.status_code for answer in answers] == [202] * 4
        said = [answer.json() for answer in answers]
        assert len({(a["seq"], a["run"]["id"], a["call_id"]) for a in said}) == 1
        assert sorted(a["duplicate"] for a in said) == [False, True, True, True]
        events = (await http.get(f"{path}/events")).json()["items"]
        asked, queued = events[-2:]
        assert (asked["seq"], asked["type"]) == (said[0]["seq"], "undo.requested")
        assert asked["data"] == {
            "principal": "owner",
            "client_undo_id": "mine",
            "target": {"kind": "call", "call_id": "toolu_1", "seq": 4},
        }
        assert (queued["type"], queued["data"]) == ("run.queued", {"reason": "undo"})
        assert asked["run_id"] == queued["run_id"] == said[0]["run"]["id"]
        run = (await http.get(path)).json()["run"]
        assert (run["id"], run["kind"], run["state"]) == (asked["run_id"], "undo", "queued")
        stopped = (await http.post(f"{path}/interrupt")).json()["run"]
        assert (stopped["kind"], stopped["state"]) == ("undo", "cancelled")
        assert (await http.get(f"{path}/events")).json()["items"][-1]["data"]["content"] == []


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"call_id": "toolu_2"}, 409, "no snapshot tells of a change that it made"),
    ({"call_id": "toolu_9"}, 404, "No call 'toolu_9' was ever begun"),
    ({}, 422, "should name either `call_id` or `to_seq`"),
    ({"call_id": ""}, 422, "at least 1 character"),
    ({"call_id": "toolu_1", "seq": 3}, 422, "known are: call_id, to_seq, client_undo_id"),
]


async def test_what_cannot_be_undone_is_refused_at_every_door(served: Served) -> None:
    async with served.http() as http, watching(served) as watcher:
        conversation = await work(served, http)
        for order, status, words in REFUSED:
            refused = await http.post(f"/api/v1/conversations/{conversation}/undo", json=order)
            assert refused.status_code == status, order
            assert words in refused.json()["detail"]
            called = await watcher.call("workspace.undo", {"conversation_id": conversation, **order})
            assert called["error"]["status"] == status, order
            assert words in called["error"]["detail"]


async def test_while_a_run_is_open_there_is_no_undo(served: Served) -> None:
    async with served.http() as http:
        conversation = await work(served, http, over=False)
        refused = await http.post(f"/api/v1/conversations/{conversation}/undo", json={"call_id": "toolu_1"})
        assert refused.status_code == 409
        assert refused.json()["detail"] == (
            "A run of this conversation is running: stop it or wait for its end, then undo what it did."
        )


async def test_over_the_socket_it_is_acknowledged_and_heard(served: Served) -> None:
    async with served.http() as http, watching(served) as watcher:
        conversation = await work(served, http)
        opened = await watcher.call("conversation.open", {"conversation_id": conversation})
        order = {"conversation_id": conversation, "call_id": "toolu_1"}
        done = await watcher.call("workspace.undo", order)
        assert (done["ok"], done["duplicate"], done["run"]["kind"]) == (True, False, "undo")
        events = await watcher.until("event", opened["last_seq"] + 2)
        assert [event["type"] for event in events[-2:]] == ["undo.requested", "run.queued"]
        again = await watcher.call("workspace.undo", order)
        assert again["error"]["status"] == 409


async def test_a_reader_cannot_undo(served: Served) -> None:
    await served.key("reader", "read")
    async with served.http() as http, served.http("reader") as reader, watching(served, "reader") as watcher:
        conversation = await work(served, http)
        body = {"call_id": "toolu_1"}
        assert (await reader.post(f"/api/v1/conversations/{conversation}/undo", json=body)).status_code == 403
        called = await watcher.call("workspace.undo", {"conversation_id": conversation, **body})
        assert called["error"]["status"] == 403
