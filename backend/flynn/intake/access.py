"""What a principal may see: its own work, and that of the workspaces it is a member of."""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.domain.errors import InvalidInput, NotFound
from flynn.domain.principal import Principal

_VISIBLE = text("""
SELECT 1 FROM conversations c WHERE c.id = :c AND (:admin OR c.principal_id = :p OR EXISTS (
  SELECT 1 FROM workspace_members m WHERE m.workspace_id = c.workspace_id AND m.principal_id = :p))""")
_WORKSPACE = text("""
SELECT w.id, w.name, w.path FROM workspaces w
WHERE (w.name = :name OR CAST(w.id AS text) = :name) AND (:admin OR EXISTS (
  SELECT 1 FROM workspace_members m WHERE m.workspace_id = w.id AND m.principal_id = :p))""")
_NAMES = text("""
SELECT w.name FROM workspaces w WHERE :admin OR EXISTS (
  SELECT 1 FROM workspace_members m WHERE m.workspace_id = w.id AND m.principal_id = :p)
ORDER BY w.name LIMIT 20""")


async def see_conversation(connection: AsyncConnection, principal: Principal, conversation_id: UUID) -> None:
    """Raise NotFound unless `principal` may see the conversation."""
    parameters = {"c": conversation_id, "p": principal.id, "admin": principal.admin}
    if (await connection.execute(_VISIBLE, parameters)).one_or_none() is None:
        raise NotFound(f"There is no conversation {conversation_id}.")


async def find_workspace(connection: AsyncConnection, principal: Principal, name: str) -> UUID:
    """The workspace called `name` (or with that id). Raises InvalidInput, naming those there are."""
    parameters = {"name": name, "p": principal.id, "admin": principal.admin}
    row = (await connection.execute(_WORKSPACE, parameters)).one_or_none()
    if row is None:
        rows = await connection.execute(_NAMES, {"p": principal.id, "admin": principal.admin})
        known = ", ".join(rows.scalars()) or "none"
        raise InvalidInput(
            f"There is no workspace {name!r}; the workspaces you may use are: {known}.",
            errors=[{"field": "workspace", "message": f"is unknown; known are: {known}"}],
        )
    found: UUID = row.id
    return found
