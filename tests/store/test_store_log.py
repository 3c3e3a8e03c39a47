"""The log: seq has no gaps and no two writers, and an append under an old epoch is refused."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from flynn.domain import events as ev
from flynn.domain.errors import LeaseLost, NotFound
from flynn.store import log, runs
from tests.house import House, open_house


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as opened:
        yield opened


def note(reason: str) -> ev.InterruptRequested:
    return ev.InterruptRequested(principal="somebody", reason=reason)


async def test_eight_writers_leave_no_gap(house: House) -> None:
    conversation = await house.converse()

    async def write(name: int) -> list[int]:
        seqs: list[int] = []
        for count in range(12):
            async with house.database.begin() as connection:
                batch = [note(f"{name}.{count}.{part}") for part in range(1 + count % 3)]
                recorded = await log.append(connection, conversation.id, None, batch)
            places = [r.seq for r in recorded]
            assert places == list(range(places[0], places[0] + len(batch)))
            assert [r.event for r in recorded] == batch
            seqs += places
        return seqs

    written = await asyncio.gather(*(write(name) for name in range(8)))
    assert all(seqs == sorted(seqs) for seqs in written)
    kept = await house.log(conversation.id)
    assert [r.seq for r in kept] == list(range(1, 8 * 24 + 1))
    assert sorted(s for seqs in written for s in seqs) == [r.seq for r in kept]


async def test_a_rolled_back_append_leaves_no_gap(house: House) -> None:
    conversation = await house.converse()
    async with house.database.engine.connect() as connection:
        await log.append(connection, conversation.id, None, [note("never")])
        await connection.rollback()
    async with house.database.begin() as connection:
        (recorded,) = await log.append(connection, conversation.id, None, [note("first")])
    assert recorded.seq == 1


async def test_an_old_epoch_is_refused_and_writes_nothing(house: House) -> None:
    conversation = await house.converse()
    async with house.database.begin() as connection:
        old = await runs.raise_epoch(connection, conversation.id)
        await log.append(connection, conversation.id, None, [note("held")], epoch=old)
    async with house.database.begin() as connection:
        new = await runs.raise_epoch(connection, conversation.id)
    assert new == old + 1
    async with house.database.statement() as connection:
        with pytest.raises(LeaseLost):
            await log.append(connection, conversation.id, None, [note("late")], epoch=old)
        with pytest.raises(LeaseLost):
            await log.append(connection, conversation.id, None, [note("late")], epoch=old, expected_head=1)
        await log.append(connection, conversation.id, None, [note("mine")], epoch=new)
    assert [getattr(r.event, "reason", None) for r in await house.log(conversation.id)] == ["held", "mine"]


async def test_an_exact_append_notices_what_came_in_between(house: House) -> None:
    conversation = await house.converse()
    async with house.database.begin() as connection:
        epoch = await runs.raise_epoch(connection, conversation.id)
    async with house.database.statement() as connection:
        await log.append(connection, conversation.id, None, [note("an input")])
        with pytest.raises(log.HeadMoved):
            await log.append(connection, conversation.id, None, [note("x")], epoch=epoch, expected_head=0)
        (recorded,) = await log.append(
            connection, conversation.id, None, [note("exact")], epoch=epoch, expected_head=1
        )
    assert recorded.seq == 2


async def test_an_append_needs_a_conversation_and_events(house: House) -> None:
    conversation = await house.converse()
    async with house.database.statement() as connection:
        with pytest.raises(NotFound):
            await log.append(connection, UUID(int=0), None, [note("nowhere")])
        with pytest.raises(ValueError, match="at least one event"):
            await log.append(connection, conversation.id, None, [])


async def test_content_comes_back_as_it_was_stored(house: House) -> None:
    conversation = await house.converse()
    content = [{"type": "text", "text": 'ü 😀 "quoted" \\u0041', "z": 1, "a": [1.5, None, True]}]
    event = ev.ToolFinished.model_validate(
        {"step": 1, "call_id": "c", "tool": "Read", "outcome": "ok", "content": content}
    )
    async with house.database.statement() as connection:
        await log.append(connection, conversation.id, None, [event])
        (read,) = await log.read(connection, conversation.id)
    assert isinstance(read.event, ev.ToolFinished)
    assert read.event == event
    assert list(read.event.content[0]) == ["type", "text", "z", "a"]
