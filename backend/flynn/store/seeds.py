"""What a start asks of the database: whether the owner's key is known."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_KNOWN = text("SELECT 1 FROM api_keys WHERE digest = :digest AND revoked_at IS NULL")


async def knows_key(connection: AsyncConnection, digest: str) -> bool:
    """Whether a key with this digest opens doors here."""
    return (await connection.execute(_KNOWN, {"digest": digest})).one_or_none() is not None
