"""Who may see what: the one place where the rule is written.

The conditions are for statements, and want the parameters `p`, the principal's id, and `admin`.
"""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.domain.errors import NotFound
from flynn.domain.principal import Principal

CONVERSATION = """(:admin OR c.principal_id = :p OR EXISTS (
  SELECT 1 FROM workspace_members m WHERE m.workspace_id = c.workspace_id AND m.principal_id = :p))"""
"""A conversation `c`: its own, and those of workspaces that the principal is a member of."""

WORKSPACE = """(:admin OR EXISTS (
  SELECT 1 FROM workspace_members m WHERE m.workspace_id = w.id AND m.principal_id = :p))"""
"""A workspace `w`: those that the principal is a member of."""

_VISIBLE = text(f"SELECT 1 FROM conversations c WHERE c.id = :c AND {CONVERSATION}")  # noqa: S608  # constants


async def see_conversation(connection: AsyncConnection, principal: Principal, conversation_id: UUID) -> None:
    """Raise NotFound unless `principal` may see the conversation."""
    parameters = {"c": conversation_id, "p": principal.id, "admin": principal.admin}
    if (await connection.execute(_VISIBLE, parameters)).one_or_none() is None:
        raise NotFound(f"There is no conversation {conversation_id}.")
