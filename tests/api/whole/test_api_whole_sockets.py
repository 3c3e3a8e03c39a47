"""Socket.IO: calls with acknowledgements, events in order, deltas, sessions."""

import contextlib

import pytest
from socketio.exceptions import ConnectionError as Refused

from tests.api.whole.doors import Doors, Wire, wired

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


async def test_a_conversation_from_creation_to_answer(doors: Doors) -> None:
    async with wired(doors) as wire:
        made = await wire.call("conversation.create", {})
        conversation = made["conversation"]["id"]
        opened = await wire.call("conversation.open", {"conversation_id": conversation, "after_seq": 0})
        assert opened["ok"] is True
        said = await wire.call("message.send", {"conversation_id": conversation, "text": "Hello"})
        assert said["ok"] is True
        await wire.until(lambda: "run.completed" in wire.types())
        assert [event["seq"] for event in wire.events] == list(range(1, len(wire.events) + 1))
        assert wire.events == await doors.seen(conversation)


async def test_opening_after_a_seq_gives_only_what_follows(doors: Doors) -> None:
    task = await doors.task()
    await doors.ended(task["id"])
    known = await doors.seen(task["conversation_id"])
    async with wired(doors) as wire:
        await wire.call("conversation.open", {"conversation_id": task["conversation_id"], "after_seq": 3})
        await wire.until(lambda: len(wire.events) == len(known) - 3)
        assert wire.events == known[3:]


async def test_words_are_heard_on_their_way_and_an_interrupt_ends_them(doors: Doors) -> None:
    conversation = await doors.conversation()
    async with wired(doors) as wire:
        await wire.call("conversation.open", {"conversation_id": conversation})
        await wire.call("message.send", {"conversation_id": conversation, "text": "Go slowly"})
        await wire.until(lambda: any(d["kind"] == "text" for d in wire.deltas))
        assert (await wire.call("run.interrupt", {"conversation_id": conversation}))["ok"] is True
        await wire.until(lambda: "run.cancelled" in wire.types())
        assert "run.completed" not in wire.types()


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("no.such.call", {}, 422),
        ("message.send", {"text": "x"}, 422),
        ("conversation.create", {"colour": "red"}, 422),
        ("conversation.create", ["no object"], 422),
        ("conversation.open", {"conversation_id": "00000000-0000-4000-8000-000000000000"}, 404),
    ],
)
async def test_a_wrong_call_is_acknowledged_with_a_problem(
    doors: Doors, name: str, body: object, status: int
) -> None:
    async with wired(doors) as wire:
        answer = await wire.call(name, body)
        assert "ok" not in answer
        assert answer["error"]["status"] == status
        assert "Traceback" not in str(answer)


async def test_a_message_over_the_limit_is_refused_and_the_wire_lives_on(doors: Doors) -> None:
    conversation = await doors.conversation()
    async with wired(doors) as wire:
        body = {"conversation_id": conversation, "text": "x" * 2_000_000}
        assert (await wire.call("message.send", body))["error"]["status"] == 413
        assert (await wire.call("conversation.create", {}))["ok"] is True


async def test_a_session_goes_on_where_it_was_without_gaps(doors: Doors) -> None:
    conversation = await doors.conversation()
    async with wired(doors) as wire:
        session = wire.session["session"]
        await wire.call("conversation.open", {"conversation_id": conversation})
        await wire.call("message.send", {"conversation_id": conversation, "text": "Hello"})
        await wire.until(lambda: "run.completed" in wire.types())
        heard = len(wire.events)
    said = await doors.owner.post(f"/api/v1/conversations/{conversation}/messages", json={"text": "Again"})
    assert said.status_code == 202
    async with wired(doors, {"token": doors.owner_key, "session": session}) as wire:
        assert wire.session["session"] == session
        await wire.until(lambda: "run.completed" in [e["type"] for e in wire.events if e["seq"] > heard])
        seqs = [event["seq"] for event in wire.events]
        assert seqs == list(range(seqs[0], seqs[-1] + 1))
        assert seqs[0] <= heard + 1


async def test_a_wrong_key_is_refused_with_a_problem(doors: Doors) -> None:
    wire = Wire(doors)
    with contextlib.suppress(Refused):
        await wire.connect({"token": "fly_wrong"})
    await wire.until(lambda: wire.problems, 5)
    assert wire.problems[0]["status"] == 401
    assert not wire.session
    await wire.close()


async def test_a_foreign_page_cannot_connect(doors: Doors) -> None:
    wire = Wire(doors)
    with pytest.raises(Refused):
        await wire.connect(Origin="https://evil.example")
    await wire.close()
