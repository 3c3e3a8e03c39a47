"""What a principal may see: its own work, and that of the workspaces it is a member of."""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.domain.errors import Forbidden, InvalidInput
from flynn.domain.principal import Principal
from flynn.store.visibility import CONVERSATION, WORKSPACE, see_conversation

_TASK = text(f"""
SELECT 1 FROM tasks t JOIN conversations c ON c.id = t.conversation_id
WHERE t.id = :t AND {CONVERSATION}""")  # noqa: S608  # constants only
_ACTS = text("""
SELECT w.name, EXISTS (
  SELECT 1 FROM workspace_members m WHERE m.workspace_id = w.id AND m.principal_id = :p) AS member
FROM conversations c JOIN workspaces w ON w.id = c.workspace_id WHERE c.id = :c""")
_WORKSPACE = text(f"""
SELECT w.id FROM workspaces w
WHERE (w.name = :name OR CAST(w.id AS text) = :name) AND {WORKSPACE}""")  # noqa: S608  # constants only
_NAMES = text(f"SELECT w.name FROM workspaces w WHERE {WORKSPACE} ORDER BY w.name LIMIT 20")  # noqa: S608  # constants


async def see_task(connection: AsyncConnection, principal: Principal, task_id: UUID, *, field: str) -> None:
    """Raise InvalidInput, naming the order's `field`, unless `principal` may see the task."""
    parameters = {"t": task_id, "p": principal.id, "admin": principal.admin}
    if (await connection.execute(_TASK, parameters)).one_or_none() is None:
        message = f"there is no task {task_id}"
        raise InvalidInput(f"{field}: {message}.", errors=[{"field": field, "message": message}])


async def act_in_conversation(
    connection: AsyncConnection, principal: Principal, conversation_id: UUID
) -> None:
    """Raise NotFound unless `principal` may see the conversation, Forbidden unless it may go on with it.

    Work of its own stays visible to whoever is no member of the workspace any more, but to go on with it
    would be to act there.
    """
    await see_conversation(connection, principal, conversation_id)
    row = (await connection.execute(_ACTS, {"c": conversation_id, "p": principal.id})).one()
    if not principal.admin and not row.member:
        raise Forbidden(
            f"You are no member of the workspace {row.name!r} any more, so you cannot go on there: ask one "
            "who manages it, or open a conversation in another workspace."
        )


async def find_workspace(connection: AsyncConnection, principal: Principal, name: str) -> UUID:
    """The workspace called `name` (or with that id). Raises InvalidInput, naming those there are.

    One that is others' is refused in the same words as one that is not.
    """
    parameters = {"name": name, "p": principal.id, "admin": principal.admin}
    row = (await connection.execute(_WORKSPACE, parameters)).one_or_none()
    if row is None:
        rows = await connection.execute(_NAMES, {"p": principal.id, "admin": principal.admin})
        known = ", ".join(rows.scalars()) or "none"
        raise InvalidInput(
            f"There is no workspace {name!r} that you may use; the workspaces you may use are: {known}. "
            "Whoever made another may let you in: flynn workspaces members WORKSPACE --add NAME.",
            errors=[{"field": "workspace", "message": f"is unknown; known are: {known}"}],
        )
    found: UUID = row.id
    return found
