"""The coalescer: the first words at once, later ones in packets, nothing lost or out of order."""

import asyncio
from itertools import pairwise
from typing import Literal
from uuid import UUID, uuid4

from flynn.domain.delta import Delta
from flynn.live.coalescer import Coalescer

CONVERSATION = uuid4()


def delta(
    text: str,
    offset: int,
    *,
    block: int = 0,
    step: int = 1,
    conversation_id: UUID = CONVERSATION,
    kind: Literal["text", "output"] = "text",
    call_id: str | None = None,
) -> Delta:
    return Delta(
        conversation_id=conversation_id,
        epoch=1,
        step=step,
        block=block,
        offset=offset,
        kind=kind,
        text=text,
        call_id=call_id,
    )


async def test_the_first_delta_goes_out_at_once() -> None:
    sent: list[Delta] = []
    coalescer = Coalescer(sent.append)
    coalescer.add(delta("Hel", 0))
    assert [d.text for d in sent] == ["Hel"]
    coalescer.close()


async def test_what_follows_within_the_interval_is_one_packet() -> None:
    sent: list[Delta] = []
    coalescer = Coalescer(sent.append, interval=0.02)
    for offset, letter in enumerate("Hello"):
        coalescer.add(delta(letter, offset))
    assert [d.text for d in sent] == ["H"]
    await asyncio.sleep(0.05)
    assert [(d.offset, d.text) for d in sent] == [(0, "H"), (1, "ello")]


async def test_an_interval_that_saw_nothing_ends_the_gathering() -> None:
    sent: list[Delta] = []
    coalescer = Coalescer(sent.append, interval=0.01)
    coalescer.add(delta("a", 0))
    await asyncio.sleep(0.03)
    coalescer.add(delta("b", 1))
    assert [d.text for d in sent] == ["a", "b"]
    coalescer.close()


async def test_512_bytes_do_not_wait() -> None:
    sent: list[Delta] = []
    coalescer = Coalescer(sent.append, interval=60)
    coalescer.add(delta("a", 0))
    coalescer.add(delta("ü" * 255, 1))
    assert len(sent) == 1
    coalescer.add(delta("ü", 256))
    assert [len(d.text) for d in sent] == [1, 256]
    coalescer.close()


async def test_another_block_lets_the_one_before_go_first() -> None:
    sent: list[Delta] = []
    coalescer = Coalescer(sent.append, interval=60)
    coalescer.add(delta("a", 0))
    coalescer.add(delta("b", 1))
    coalescer.add(delta("x", 0, block=1))
    coalescer.add(delta("out", 0, kind="output", call_id="t1"))
    coalescer.flush(CONVERSATION)
    assert [(d.kind, d.block, d.text) for d in sent] == [
        ("text", 0, "a"),
        ("text", 0, "b"),
        ("text", 1, "x"),
        ("output", 0, "out"),
    ]


async def test_conversations_do_not_wait_for_each_other() -> None:
    sent: list[Delta] = []
    coalescer = Coalescer(sent.append, interval=60)
    other = uuid4()
    coalescer.add(delta("a", 0))
    coalescer.add(delta("b", 1))
    coalescer.add(delta("c", 0, conversation_id=other))
    assert [d.text for d in sent] == ["a", "c"]
    coalescer.close()
    assert [d.text for d in sent] == ["a", "c", "b"]


async def test_offsets_count_code_points_and_leave_no_hole() -> None:
    sent: list[Delta] = []
    coalescer = Coalescer(sent.append, interval=0.001)
    text = "Grüße, 世界 🚢 " * 200
    for offset in range(0, len(text), 3):
        coalescer.add(delta(text[offset : offset + 3], offset))
        if offset % 300 == 0:
            await asyncio.sleep(0.002)
    coalescer.close()
    assert all(b.offset == a.offset + len(a.text) for a, b in pairwise(sent))
    assert "".join(d.text for d in sent) == text
    assert len(sent) < len(text) / 9
