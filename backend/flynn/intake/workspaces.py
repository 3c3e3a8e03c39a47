"""Workspaces by path: an operator serves a directory of this machine."""

from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.domain.errors import Conflict
from flynn.domain.orders import WorkspaceOrder
from flynn.domain.principal import Principal
from flynn.domain.views import WorkspaceView
from flynn.workspace.root import Workspace

_FIND = text("SELECT id, name, path, created_at FROM workspaces WHERE name = :name OR path = :path")
_INSERT = text("INSERT INTO workspaces (id, name, path) VALUES (:id, :name, :path) RETURNING created_at")
_MEMBER = text("INSERT INTO workspace_members (workspace_id, principal_id) VALUES (:w, :p)")


async def create(
    connection: AsyncConnection,
    principal: Principal,
    order: WorkspaceOrder,
    *,
    forbidden: Sequence[Path],
) -> WorkspaceView:
    """Insert a workspace, or return it when this very name and path are there already.

    Raises WorkspaceError when the path cannot be served, Conflict when the name or the path is taken.
    """
    path = str(Path(order.path))
    with Workspace.open(Path(path), forbidden=forbidden):
        pass
    for row in await connection.execute(_FIND, {"name": order.name, "path": path}):
        if row.name == order.name and row.path == path:
            return WorkspaceView(**row._mapping)
        if row.path == path:
            raise Conflict(f"The directory {path} is served already, as workspace {row.name!r}.")
        raise Conflict(f"The name {order.name!r} is taken by the workspace at {row.path}.")
    workspace_id = uuid4()
    parameters = {"id": workspace_id, "name": order.name, "path": path}
    created_at = (await connection.execute(_INSERT, parameters)).scalar_one()
    await connection.execute(_MEMBER, {"w": workspace_id, "p": principal.id})
    return WorkspaceView(id=workspace_id, name=order.name, path=path, created_at=created_at)
