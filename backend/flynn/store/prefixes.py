"""Frozen prefixes: the system prompt and tool definitions that a conversation keeps for ever.

Stored once a digest, so that all conversations of one agent version share a row and a cached prompt.
"""

import hashlib
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.domain.content import Json

_READ = text("SELECT body FROM prefixes WHERE digest = :digest")
_KEEP = text(
    "INSERT INTO prefixes (digest, body) VALUES (:digest, CAST(:body AS json)) ON CONFLICT DO NOTHING"
)
_FREEZE = text(
    "UPDATE conversations SET prefix_digest = :digest, agent_version = :version "
    "WHERE id = :c AND prefix_digest IS NULL"
)


async def read_prefix(connection: AsyncConnection, digest: str) -> Json:
    """The body of a frozen prefix."""
    return (await connection.execute(_READ, {"digest": digest})).scalar_one()


async def freeze(connection: AsyncConnection, conversation_id: UUID, body: Json, *, version: str) -> None:
    """Freeze `body` as the prefix of a locked conversation that has none yet."""
    encoded = orjson.dumps(body).decode()
    digest = hashlib.sha256(encoded.encode()).hexdigest()
    await connection.execute(_KEEP, {"digest": digest, "body": encoded})
    await connection.execute(_FREEZE, {"digest": digest, "c": conversation_id, "version": version})
