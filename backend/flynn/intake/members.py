"""Members of a workspace: who sees it, its conversations and tasks, and may work in it."""

from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.domain.errors import Conflict, NotFound
from flynn.domain.views import MemberView
from flynn.store import workspaces
from flynn.store.rows import WorkspaceRow


async def list_members(connection: AsyncConnection, workspace: WorkspaceRow) -> list[MemberView]:
    """The members, by name."""
    found = await workspaces.members_of(connection, workspace.id)
    return [_view(workspace, name) for name in found]


async def add(connection: AsyncConnection, workspace: WorkspaceRow, name: str) -> MemberView:
    """Make the principal `name` a member, or find that it is one. Raises NotFound for an unknown name."""
    principal_id = await workspaces.principal_named(connection, name)
    if principal_id is None:
        raise NotFound(f"There is no principal {name!r}; a principal comes with its first key.")
    await workspaces.join(connection, workspace.id, principal_id)
    return _view(workspace, name)


async def remove(connection: AsyncConnection, workspace: WorkspaceRow, name: str) -> MemberView:
    """Take the membership away. Raises NotFound when there is none, Conflict for the last member's.

    What the principal itself has begun there stays visible to it, but it cannot go on with it.
    """
    found = await workspaces.members_of(connection, workspace.id)
    if name not in found:
        known = ", ".join(list(found)[:20]) or "nobody"
        raise NotFound(f"{name!r} is no member of {workspace.name!r}; its members are: {known}.")
    if len(found) == 1:
        raise Conflict(
            f"{name!r} is the last member of {workspace.name!r}: add another one first, so that somebody "
            "sees what is in it."
        )
    await workspaces.leave(connection, workspace.id, found[name])
    return _view(workspace, name)


def _view(workspace: WorkspaceRow, name: str) -> MemberView:
    return MemberView(name=name, creator=name == workspace.creator)
