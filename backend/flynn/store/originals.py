"""Originals in the database: once a conversation, under their digest, the oldest gone beyond a limit.

Only the run of an undo reads one. No view of a principal does, and no door leads here.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.domain.original import CONVERSATION_BYTES, Original

_SAVE = text("""
WITH older AS (
  SELECT sha256, sum(octet_length(data)) OVER (ORDER BY kept_at DESC, sha256) AS bytes
  FROM originals WHERE conversation_id = :c AND sha256 <> ALL(CAST(:digests AS text[]))
), gone AS (
  DELETE FROM originals o USING older
  WHERE o.conversation_id = :c AND o.sha256 = older.sha256 AND older.bytes + :bytes > :most
)
INSERT INTO originals (conversation_id, sha256, data)
SELECT :c, o.* FROM unnest(CAST(:digests AS text[]), CAST(:datas AS bytea[])) o
ON CONFLICT (conversation_id, sha256) DO UPDATE SET kept_at = clock_timestamp()""")
_READ = text("SELECT data FROM originals WHERE conversation_id = :c AND sha256 = :digest")
_KEPT = text("SELECT 1 FROM originals WHERE conversation_id = :c AND sha256 = :digest")


async def save(
    connection: AsyncConnection,
    conversation_id: UUID,
    originals: Sequence[Original],
    *,
    most: int = CONVERSATION_BYTES,
) -> None:
    """Keep `originals`, in the transaction that appends what tells of the changes.

    What the conversation keeps beyond `most` bytes goes, the oldest first.
    """
    parameters = {
        "c": conversation_id,
        "digests": [original.sha256 for original in originals],
        "datas": [original.data for original in originals],
        "bytes": sum(len(original.data) for original in originals),
        "most": most,
    }
    await connection.execute(_SAVE, parameters)


async def read(connection: AsyncConnection, conversation_id: UUID, sha256: str) -> bytes | None:
    """The original with this digest; None when it is not kept (any more)."""
    data = await connection.scalar(_READ, {"c": conversation_id, "digest": sha256})
    return None if data is None else bytes(data)


async def is_kept(connection: AsyncConnection, conversation_id: UUID, sha256: str) -> bool:
    """Whether the original with this digest is kept."""
    return bool(await connection.scalar(_KEPT, {"c": conversation_id, "digest": sha256}))
