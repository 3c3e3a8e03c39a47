"""The window of one client, and the wire that asks for confirmations and stops reading from debtors."""

import asyncio
import json
from collections import deque
from typing import Any
from uuid import uuid4

import pytest
from starlette.types import Message

from flynn.api import window as api_window
from flynn.api import wire as api_wire
from flynn.api.frame import delta_frame
from flynn.api.window import Window
from flynn.api.wire import Wire
from flynn.domain.delta import Delta


class Peer:
    """The other end of a wire: what it sends is scripted, what it gets is kept."""

    def __init__(self, *frames: str) -> None:
        self.frames = deque(frames)
        self.got: list[Any] = []

    async def receive(self) -> Message:
        if not self.frames:
            await asyncio.Event().wait()
        return {"type": "websocket.receive", "text": self.frames.popleft()}

    async def send(self, message: Message) -> None:
        self.got.append(message.get("text") or message["type"])


def wire_to(peer: Peer) -> Wire:
    return Wire(peer.receive, peer.send, max_bytes=1000)


async def sent(wire: Wire, text: str) -> None:
    wire.window.queued(len(text))
    await wire.send({"type": "websocket.send", "text": text})


async def test_events_that_are_not_confirmed_fill_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_window, "MOST_EVENTS", 4)
    window = Window()
    received: list[int] = []
    window.on_received = received.append
    for _ in range(3):
        window.queued(10)
        window.passed()
    window.question()
    assert await window.room(0)
    window.queued(10)
    window.passed()
    assert not await window.room(0.01)
    assert (window.unconfirmed, window.unconfirmed_bytes) == (4, 40)
    window.answer()
    assert await window.room(0)
    assert (window.unconfirmed, window.unconfirmed_bytes, received) == (1, 10, [3])
    window.answer()
    assert received == [3], "nobody asked"


async def test_bytes_fill_the_window_too() -> None:
    window = Window()
    window.queued(api_window.MOST_BYTES - 1)
    window.passed()
    assert await window.room(0)
    window.queued(5_000_000)
    window.passed()
    assert not await window.room(0.01)
    window.question()
    waiting = asyncio.create_task(window.room(5))
    await asyncio.sleep(0)
    window.answer()
    assert await waiting
    assert window.unconfirmed_bytes == 0


async def test_what_the_transport_does_not_take_fills_it_sooner() -> None:
    window = Window()
    for _ in range(api_window.MOST_QUEUED):
        window.queued(1)
    assert not await window.room(0.01)
    assert not await window.drained(0.01)
    window.passed(api_window.MOST_QUEUED)
    assert await window.room(0)
    assert await window.drained(0)


async def test_the_wire_asks_by_itself_and_keeps_those_answers() -> None:
    """After so many events, and never twice for the same ones; Engine.IO sees its own PONG only."""
    peer = Peer("3", "3", "3", "41")
    wire = wire_to(peer)
    for _ in range(api_wire.ASK_AFTER_EVENTS):
        await sent(wire, '42["event"]')
    assert peer.got[-1] == "2"
    await wire.send({"type": "websocket.send", "text": "2"})
    await sent(wire, '42["event"]' + "x" * api_wire.ASK_AFTER_BYTES)
    assert peer.got[-1] == "2"
    assert (await wire.receive())["text"] == "3", "the one that Engine.IO asked for"
    assert wire.window.unconfirmed == 1
    assert (await wire.receive())["text"] == "41"
    assert wire.window.unconfirmed == 0


async def test_a_pong_that_nobody_asked_for_confirms_nothing() -> None:
    wire = wire_to(Peer("3"))
    await sent(wire, '42["event"]')
    assert (await wire.receive())["text"] == "3"
    assert wire.window.unconfirmed == 1


async def test_nothing_more_is_read_from_a_client_that_takes_no_acknowledgements() -> None:
    peer = Peer(*(f'42{n}["conversation.close",{{}}]' for n in range(api_wire.MOST_OWED + 1)))
    wire = wire_to(peer)
    for _ in range(api_wire.MOST_OWED):
        await wire.receive()
    reading = asyncio.create_task(wire.receive())
    await asyncio.sleep(0.05)
    assert not reading.done()
    assert len(peer.frames) == 1
    await wire.send({"type": "websocket.send", "text": "430[]"})
    assert (await asyncio.wait_for(reading, 30))["text"].startswith(f"42{api_wire.MOST_OWED}[")


async def test_a_wire_that_is_finished_sends_what_was_queued_first() -> None:
    peer = Peer()
    wire = wire_to(peer)
    wire.window.queued(3)
    finishing = asyncio.create_task(wire.finish(5))
    await asyncio.sleep(0.01)
    assert peer.got == []
    await wire.send({"type": "websocket.send", "text": '42["problem"]'})
    await finishing
    assert peer.got == ['42["problem"]', "websocket.close"]
    with pytest.raises(OSError, match="given up"):
        await wire.send({"type": "websocket.send", "text": "42[]"})


def test_a_deltas_frame_says_what_the_model_says() -> None:
    words = Delta(
        conversation_id=uuid4(), epoch=1, step=2, block=0, offset=7, kind="text", text='Grüße "\u2028\n'
    )
    output = words.model_copy(update={"kind": "output", "call_id": "c", "tool": "Bash"})
    torn = words.model_copy(update={"text": "\ud800"})
    for delta in (words, output, torn):
        frame = delta_frame(delta)
        assert frame.startswith("2[")
        assert json.loads(frame[1:]) == ["delta", delta.model_dump(mode="json", exclude_none=True)]
