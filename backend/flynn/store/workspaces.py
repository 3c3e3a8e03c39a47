"""Workspaces and their members as rows. Who may do what is intake's matter."""

from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.store.rows import WorkspaceRow
from flynn.store.visibility import WORKSPACE

WORKSPACES_LOCK = 0x464C594E4E03

_SELECT = """
SELECT w.id, w.name, w.volume_id, w.path, w.made, w.owner_uid, w.quota_bytes, w.created_by AS creator_id,
  p.name AS creator, w.created_at
FROM workspaces w LEFT JOIN principals p ON p.id = w.created_by """
_LOCK = text("SELECT pg_advisory_xact_lock(:key)")
_ALL = text(_SELECT)
_VISIBLE = text(f"{_SELECT} WHERE {WORKSPACE} ORDER BY w.name")
_ONE = text(f"{_SELECT} WHERE w.id = :id AND {WORKSPACE}")
_MADE_BY = text("SELECT count(*) FROM workspaces WHERE made AND created_by = :p")
_UID = text("SELECT nextval('workspace_uids')")
_INSERT = text("""
INSERT INTO workspaces (id, name, volume_id, path, made, owner_uid, quota_bytes, created_by)
VALUES (:id, :name, :volume_id, :path, :made, :owner_uid, :quota_bytes, :created_by)""")
_MOVE = text("""
UPDATE workspaces SET volume_id = :volume_id, path = :path, made = :made, owner_uid = :owner_uid
WHERE id = :id""")
_CHANGE = text("UPDATE workspaces SET name = :name, quota_bytes = :quota_bytes WHERE id = :id")
_MEMBERS = text("""
SELECT p.id, p.name FROM workspace_members m JOIN principals p ON p.id = m.principal_id
WHERE m.workspace_id = :w ORDER BY p.name""")
_JOIN = text("""
INSERT INTO workspace_members (workspace_id, principal_id) VALUES (:w, :p) ON CONFLICT DO NOTHING""")
_LEAVE = text("DELETE FROM workspace_members WHERE workspace_id = :w AND principal_id = :p")
_PRINCIPAL = text("SELECT id FROM principals WHERE name = :name")


def _row(row: Row[tuple[object, ...]]) -> WorkspaceRow:
    return WorkspaceRow(**row._mapping)


async def lock_workspaces(connection: AsyncConnection) -> None:
    """Hold off everybody else who adds, moves or counts workspaces or members, in this transaction."""
    await connection.execute(_LOCK, {"key": WORKSPACES_LOCK})


async def all_workspaces(connection: AsyncConnection) -> list[WorkspaceRow]:
    """Every workspace there is."""
    return [_row(row) for row in await connection.execute(_ALL)]


async def visible_workspaces(
    connection: AsyncConnection, principal_id: UUID, *, admin: bool
) -> list[WorkspaceRow]:
    """Those that the principal is a member of, all for an admin; by name."""
    rows = await connection.execute(_VISIBLE, {"p": principal_id, "admin": admin})
    return [_row(row) for row in rows]


async def visible_workspace(
    connection: AsyncConnection, workspace_id: UUID, principal_id: UUID, *, admin: bool
) -> WorkspaceRow | None:
    """One of them."""
    parameters = {"id": workspace_id, "p": principal_id, "admin": admin}
    row = (await connection.execute(_ONE, parameters)).one_or_none()
    return _row(row) if row else None


async def made_by(connection: AsyncConnection, principal_id: UUID) -> int:
    """How many workspaces the service has made for the principal."""
    return int((await connection.execute(_MADE_BY, {"p": principal_id})).scalar_one())


async def new_uid(connection: AsyncConnection) -> int:
    """A uid that no workspace of this database has or had."""
    return int((await connection.execute(_UID)).scalar_one())


async def insert_workspace(
    connection: AsyncConnection,
    workspace_id: UUID,
    *,
    name: str,
    volume_id: UUID | None,
    path: str,
    made: bool,
    owner_uid: int | None = None,
    quota_bytes: int | None = None,
    created_by: UUID | None = None,
) -> None:
    """Insert one, with its creator as its member."""
    await connection.execute(
        _INSERT,
        {
            "id": workspace_id,
            "name": name,
            "volume_id": volume_id,
            "path": path,
            "made": made,
            "owner_uid": owner_uid,
            "quota_bytes": quota_bytes,
            "created_by": created_by,
        },
    )
    if created_by is not None:
        await join(connection, workspace_id, created_by)


async def move_workspace(
    connection: AsyncConnection,
    workspace_id: UUID,
    *,
    volume_id: UUID | None,
    path: str,
    made: bool,
    owner_uid: int | None,
) -> None:
    """The workspace is elsewhere from now on."""
    await connection.execute(
        _MOVE,
        {"id": workspace_id, "volume_id": volume_id, "path": path, "made": made, "owner_uid": owner_uid},
    )


async def change_workspace(
    connection: AsyncConnection, workspace_id: UUID, *, name: str, quota_bytes: int | None
) -> None:
    """Give it this name and this quota."""
    await connection.execute(_CHANGE, {"id": workspace_id, "name": name, "quota_bytes": quota_bytes})


async def members_of(connection: AsyncConnection, workspace_id: UUID) -> dict[str, UUID]:
    """Its members: principals' ids by name, in order of name."""
    rows = await connection.execute(_MEMBERS, {"w": workspace_id})
    return {row.name: row.id for row in rows}


async def join(connection: AsyncConnection, workspace_id: UUID, principal_id: UUID) -> None:
    """The principal is a member from now on."""
    await connection.execute(_JOIN, {"w": workspace_id, "p": principal_id})


async def leave(connection: AsyncConnection, workspace_id: UUID, principal_id: UUID) -> None:
    """The principal is no member any more."""
    await connection.execute(_LEAVE, {"w": workspace_id, "p": principal_id})


async def principal_named(connection: AsyncConnection, name: str) -> UUID | None:
    """The principal of that name."""
    found: UUID | None = await connection.scalar(_PRINCIPAL, {"name": name})
    return found
