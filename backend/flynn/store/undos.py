"""Undos, read from the log: the calls that can be undone, and what became of the undos asked for."""

from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.domain.events import EVENT, Recorded, ToolFinished, UndoRequested

_CALL = text("""
SELECT seq, run_id, at, type, data FROM events
WHERE conversation_id = :c AND type = 'tool.finished' AND data->>'call_id' = :call
ORDER BY seq DESC LIMIT 1""")
_STARTED = text("""
SELECT 1 FROM events WHERE conversation_id = :c AND type = 'tool.started' AND data->>'call_id' = :call
LIMIT 1""")
_KINDS: Final = "type IN ('undo.requested', 'workspace.reverted')"
"""As in the condition of the index."""
_REQUEST = text(f"""
SELECT seq, run_id, at, type, data FROM events
WHERE conversation_id = :c AND {_KINDS} AND type = 'undo.requested' AND data->>'client_undo_id' = :id
ORDER BY seq LIMIT 1""")  # noqa: S608  # constants only
_REVERTED = text(f"""
SELECT 1 FROM events
WHERE conversation_id = :c AND {_KINDS} AND type = 'workspace.reverted'
  AND data->'target'->>'kind' = 'call' AND data->'target'->>'seq' = :seq
  AND data->>'refused' IS NULL LIMIT 1""")  # noqa: S608  # constants only


async def find_call(
    connection: AsyncConnection, conversation_id: UUID, call_id: str
) -> tuple[int, ToolFinished] | None:
    """The latest finished call with this id, and the seq of its end; None without one."""
    row = (await connection.execute(_CALL, {"c": conversation_id, "call": call_id})).one_or_none()
    if row is None:
        return None
    event = EVENT.validate_python({**row.data, "type": row.type})
    if not isinstance(event, ToolFinished):
        raise TypeError("the log holds another event than its type says")
    return row.seq, event


async def is_started(connection: AsyncConnection, conversation_id: UUID, call_id: str) -> bool:
    """Whether a call with this id was ever begun."""
    return bool(await connection.scalar(_STARTED, {"c": conversation_id, "call": call_id}))


async def find_request(
    connection: AsyncConnection, conversation_id: UUID, client_undo_id: str
) -> Recorded | None:
    """What the client asked for under this id of its own; its event is an UndoRequested."""
    parameters = {"c": conversation_id, "id": client_undo_id}
    row = (await connection.execute(_REQUEST, parameters)).one_or_none()
    if row is None:
        return None
    event = EVENT.validate_python({**row.data, "type": row.type})
    if not isinstance(event, UndoRequested):
        raise TypeError("the log holds another event than its type says")
    return Recorded(conversation_id=conversation_id, seq=row.seq, at=row.at, run_id=row.run_id, event=event)


async def is_reverted(connection: AsyncConnection, conversation_id: UUID, seq: int) -> bool:
    """Whether the call that ended at `seq` was undone."""
    return bool(await connection.scalar(_REVERTED, {"c": conversation_id, "seq": str(seq)}))
