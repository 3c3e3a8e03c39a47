"""Opening conversations."""

from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.agent.agent_catalog import Catalog
from flynn.domain.errors import InvalidInput
from flynn.domain.permission import PermissionMode
from flynn.domain.principal import Principal
from flynn.intake.access import find_workspace
from flynn.telemetry.redaction import redact

_INSERT = text("""
INSERT INTO conversations (id, principal_id, workspace_id, title, agent, agent_version, permission_mode)
VALUES (:id, :principal, :workspace, :title, :agent, :version, :mode)""")


async def create(
    connection: AsyncConnection,
    principal: Principal,
    *,
    agents: Catalog,
    agent: str,
    workspace: str,
    title: str | None,
    permission_mode: PermissionMode | None,
) -> UUID:
    """Insert a conversation. Raises InvalidInput for an unknown agent or workspace."""
    if agent not in agents.agents:
        known = ", ".join(agents.agents) or "none"
        raise InvalidInput(
            f"There is no agent {agent!r}; the agents here are: {known}.",
            errors=[{"field": "agent", "message": f"is unknown; known are: {known}"}],
        )
    conversation_id = uuid4()
    await connection.execute(
        _INSERT,
        {
            "id": conversation_id,
            "principal": principal.id,
            "workspace": await find_workspace(connection, principal, workspace),
            "title": redact(title) if title else title,
            "mode": permission_mode.value if permission_mode is not None else None,
            "agent": agent,
            "version": agents.get(agent).version,
        },
    )
    return conversation_id
