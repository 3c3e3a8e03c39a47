"""Blobs in the database: once a conversation, under their digest, never changed."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.domain.blob import Blob

_SAVE = text("""
INSERT INTO blobs (conversation_id, sha256, media_type, data)
SELECT :c, b.* FROM unnest(CAST(:digests AS text[]), CAST(:types AS text[]), CAST(:datas AS bytea[])) b
ON CONFLICT DO NOTHING""")
_READ = text("SELECT media_type, data FROM blobs WHERE conversation_id = :c AND sha256 = ANY(:digests)")


async def save(connection: AsyncConnection, conversation_id: UUID, blobs: Sequence[Blob]) -> None:
    """Keep `blobs`, in the transaction that appends what refers to them; those kept before stay."""
    parameters = {
        "c": conversation_id,
        "digests": [blob.sha256 for blob in blobs],
        "types": [blob.media_type for blob in blobs],
        "datas": [blob.data for blob in blobs],
    }
    await connection.execute(_SAVE, parameters)


async def read(connection: AsyncConnection, conversation_id: UUID, digests: Collection[str]) -> list[Blob]:
    """Those of `digests` that the conversation has."""
    rows = await connection.execute(_READ, {"c": conversation_id, "digests": list(digests)})
    return [Blob(bytes(row.data), row.media_type) for row in rows]
