"""The journal and media: bytes are committed with the event that refers to them, or not at all."""

from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from flynn.agent.fold import Transcript
from flynn.domain import events as ev
from flynn.domain.blob import Blob
from flynn.domain.content import text_block
from flynn.domain.errors import LeaseLost
from flynn.domain.tool_result import Outcome, ToolResult
from flynn.store import runs
from flynn.store.spending import Day
from flynn.worker.journal import Journal, Payer
from tests.house import LIMITS, House, open_house

PICTURE = Blob(b"\x89PNG and so on", "image/png")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as opened:
        yield opened


async def open_journal(house: House, conversation_id: UUID) -> Journal:
    """The pen of a worker that has just claimed the conversation and asked for a file."""
    async with house.database.begin() as connection:
        epoch = await runs.raise_epoch(connection, conversation_id)
    journal = Journal(
        house.database,
        Transcript(prefix={}, limits=LIMITS),
        conversation_id=conversation_id,
        run_id=uuid4(),
        epoch=epoch,
        payer=Payer(house.owner.id, "owner", None, Day(date(2026, 11, 26))),
        publish=house.published.extend,
    )
    call = {"type": "tool_use", "id": "c", "name": "Read", "input": {}}
    await journal.append(
        [
            ev.StepStarted(
                step=1, input_seqs=[], model="m", params={}, request_digest="", reserved_nanodollars=0
            ),
            ev.MessageCompleted(step=1, message_id="m", model="m", stop_reason="tool_use", content=[call]),
        ]
    )
    return journal


def shown(journal: Journal) -> ev.ToolFinished:
    """The end of the call, the bytes on the shelf."""
    content: list[Any] = [ToolResult(content=[PICTURE.block(5), text_block("a.png")]).block("c")]
    journal.transcript.shelf.put(1, content, [PICTURE])
    return ev.ToolFinished(step=1, call_id="c", tool="Read", outcome=Outcome.OK, content=content)


async def kept(house: House) -> list[bytes]:
    async with house.database.statement() as connection:
        return [bytes(row.data) for row in await connection.execute(text("SELECT data FROM blobs"))]


async def test_bytes_are_committed_with_their_event(house: House) -> None:
    conversation = await house.converse()
    journal = await open_journal(house, conversation.id)
    event = shown(journal)
    assert await kept(house) == []
    assert await journal.append([event])
    assert await kept(house) == [PICTURE.data]
    assert journal.transcript.shelf.unsaved([event]) == []
    (blob,) = [
        await house.views.blob(house.owner, conversation.id, PICTURE.sha256),
    ]
    assert (blob.data, blob.media_type) == (PICTURE.data, "image/png")


async def test_a_worker_without_its_lease_leaves_no_bytes_behind(house: House) -> None:
    conversation = await house.converse()
    journal = await open_journal(house, conversation.id)
    event = shown(journal)
    async with house.database.begin() as connection:
        await runs.raise_epoch(connection, conversation.id)
    with pytest.raises(LeaseLost):
        await journal.append([event])
    assert await kept(house) == []
    assert journal.transcript.shelf.unsaved([event]) == [PICTURE]


async def test_an_append_that_comes_too_late_keeps_the_bytes_for_the_next(house: House) -> None:
    conversation = await house.converse()
    journal = await open_journal(house, conversation.id)
    event = shown(journal)
    before = journal.transcript.seq
    await house.say(conversation.id, "Something else.")
    assert not await journal.append([event], after=before)
    assert await kept(house) == []
    assert await journal.append([event], after=journal.transcript.seq)
    assert await kept(house) == [PICTURE.data]


async def test_events_without_media_take_one_statement_and_look_at_no_table(house: House) -> None:
    conversation = await house.converse()
    journal = await open_journal(house, conversation.id)
    async with house.database.begin() as connection:
        await connection.execute(text("DROP TABLE blobs"))
    content: list[Any] = [ToolResult(content="words").block("c")]
    event = ev.ToolFinished(step=1, call_id="c", tool="Read", outcome=Outcome.OK, content=content)
    assert await journal.append([event])
    assert (await house.types(conversation.id))[-1] == "tool.finished"
