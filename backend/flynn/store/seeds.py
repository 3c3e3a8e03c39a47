"""What every database starts with: the default workspace and the owner's key."""

from uuid import uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_WORKSPACE = text("""
INSERT INTO workspaces (id, name, path) VALUES (:id, 'default', :path)
ON CONFLICT (name) DO UPDATE SET path = excluded.path""")
_KNOWN = text("SELECT 1 FROM api_keys WHERE digest = :digest AND revoked_at IS NULL")


async def seed_default_workspace(connection: AsyncConnection, path: str) -> None:
    """Make the default workspace, or move it to `path`."""
    await connection.execute(_WORKSPACE, {"id": uuid4(), "path": path})


async def knows_key(connection: AsyncConnection, digest: str) -> bool:
    """Whether a key with this digest opens doors here."""
    return (await connection.execute(_KNOWN, {"digest": digest})).one_or_none() is not None
