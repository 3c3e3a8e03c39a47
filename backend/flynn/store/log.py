"""The log: append-only events, numbered by the conversation's row.

`seq` comes only from `head` of the conversation, moved in the appending transaction, so it has no gaps
and no two writers. A worker's append also names its epoch; when no row answers, its lease is lost.
Whoever is called back about such events (flynn.store.callbacks) is woken by the same statement.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.domain.errors import LeaseLost, NotFound
from flynn.domain.events import EVENT, EventData, Recorded

_APPEND = """
WITH moved AS (
  UPDATE conversations SET head = head + :n
  WHERE id = :c {fence} RETURNING head
), woken AS (
  UPDATE callbacks k SET next_at = coalesce(k.next_at, clock_timestamp()) FROM moved
  WHERE k.conversation_id = :c AND k.dead_at IS NULL AND k.events && CAST(:types AS text[])
){progress}
INSERT INTO events (conversation_id, seq, type, run_id, data)
SELECT :c, moved.head - :n + e.i, e.type, CAST(:run AS uuid), CAST(e.data AS json)
FROM moved, unnest(CAST(:types AS text[]), CAST(:datas AS text[])) WITH ORDINALITY AS e(type, data, i)
ORDER BY e.i
RETURNING seq, at
"""
_PROGRESS = """, progress AS (
  UPDATE runs SET turns = :turns, calls = :calls, tokens = :tokens, nanodollars = :nanodollars
  FROM moved WHERE runs.id = CAST(:run AS uuid)
)"""
_INPUT = text(_APPEND.format(fence="", progress=""))
_FENCED = text(_APPEND.format(fence="AND epoch = :e", progress=""))
_FENCED_PROGRESS = text(_APPEND.format(fence="AND epoch = :e", progress=_PROGRESS))
_FENCED_EXACT = text(_APPEND.format(fence="AND epoch = :e AND head = :expected", progress=""))
_EPOCH = text("SELECT epoch FROM conversations WHERE id = :c")
_READ = text(
    "SELECT seq, type, run_id, at, data FROM events WHERE conversation_id = :c AND seq > :after "
    "ORDER BY seq LIMIT :limit"
)
_LATEST = text(
    "SELECT seq, type, run_id, at, data FROM events WHERE conversation_id = :c AND run_id = :r "
    "AND type = ANY(CAST(:types AS text[])) ORDER BY seq DESC LIMIT 1"
)


@dataclass(frozen=True, slots=True)
class Progress:
    """What a run has used: steps, calls that were charged, their tokens and nano-dollars."""

    turns: int
    calls: int
    tokens: int
    nanodollars: int


class HeadMoved(Exception):
    """An input came in since the head that an exact append named. Read it, then append anew."""


async def append(
    connection: AsyncConnection,
    conversation_id: UUID,
    run_id: UUID | None,
    events: Sequence[EventData],
    *,
    epoch: int | None = None,
    progress: Progress | None = None,
    expected_head: int | None = None,
) -> list[Recorded]:
    """Append `events` in one statement and return them with their places.

    `epoch` is the worker's; intake's inputs have none. `progress` goes to the run's row with them. With
    `expected_head` (and an epoch) it appends only if that is the last seq.
    Raises LeaseLost when the epoch has moved on, HeadMoved when only the head has, NotFound without such
    a conversation, ValueError without events.
    """
    if not events:
        raise ValueError("an append needs at least one event")
    parameters: dict[str, object] = {
        "c": conversation_id,
        "n": len(events),
        "run": run_id,
        "types": [e.type for e in events],
        "datas": [e.model_dump_json(exclude={"type"}) for e in events],
    }
    statement = _INPUT
    if epoch is not None:
        parameters["e"] = epoch
        statement = _FENCED
        if progress is not None:
            parameters |= asdict(progress)
            statement = _FENCED_PROGRESS
        elif expected_head is not None:
            parameters["expected"] = expected_head
            statement = _FENCED_EXACT
    rows = (await connection.execute(statement, parameters)).all()
    if not rows:
        if epoch is None:
            raise NotFound(f"There is no conversation {conversation_id}.")
        if expected_head is not None and await connection.scalar(_EPOCH, {"c": conversation_id}) == epoch:
            raise HeadMoved
        raise LeaseLost(f"Conversation {conversation_id} has moved past epoch {epoch}.")
    return [
        Recorded.model_construct(
            conversation_id=conversation_id, seq=row.seq, at=row.at, run_id=run_id, event=event
        )
        for row, event in zip(sorted(rows, key=lambda r: int(r.seq)), events, strict=True)
    ]


async def read(
    connection: AsyncConnection, conversation_id: UUID, *, after_seq: int = 0, limit: int | None = None
) -> list[Recorded]:
    """Events of a conversation after `after_seq`, in order; all of them when `limit` is None."""
    rows = await connection.execute(_READ, {"c": conversation_id, "after": after_seq, "limit": limit})
    return [_recorded(conversation_id, row) for row in rows]


async def latest(
    connection: AsyncConnection, conversation_id: UUID, run_id: UUID, types: Sequence[str]
) -> Recorded | None:
    """The last event of a run that has one of these types."""
    parameters = {"c": conversation_id, "r": run_id, "types": list(types)}
    row = (await connection.execute(_LATEST, parameters)).one_or_none()
    return _recorded(conversation_id, row) if row is not None else None


def _recorded(conversation_id: UUID, row: Row[Any]) -> Recorded:
    # The columns have their types; only what is in the event has to be read.
    return Recorded.model_construct(
        conversation_id=conversation_id,
        seq=row.seq,
        at=row.at,
        run_id=row.run_id,
        event=EVENT.validate_python({**row.data, "type": row.type}),
    )
