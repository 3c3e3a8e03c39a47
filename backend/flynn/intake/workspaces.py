"""Workspaces: made empty by the service, or a directory of this machine that an operator serves by path.

No two workspaces overlap: a run holds its workspace alone, which a second name for the same files would
undo. What the directory holds is shown by flynn.intake.files.
"""

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.domain.errors import Conflict, Forbidden, InvalidInput, NotFound, Unavailable, WorkspaceError
from flynn.domain.orders import WorkspaceChange, WorkspaceOrder
from flynn.domain.principal import Principal, Scope
from flynn.domain.views import MemberView, WorkspaceDetail, WorkspaceView
from flynn.intake import members
from flynn.intake.rules import Rules
from flynn.store import workspaces
from flynn.store.database import Database
from flynn.store.mounts import know_volumes
from flynn.store.rows import WorkspaceRow
from flynn.workspace.mounts import Mounts, Place, make_directory
from flynn.workspace.root import Workspace


class Workspaces:
    """What clients can do with workspaces. What a principal may not see is NotFound, as if not there."""

    def __init__(self, database: Database, rules: Rules) -> None:
        self._database = database
        self._rules = rules
        self._mounts = rules.mounts

    async def list(self, principal: Principal) -> list[WorkspaceView]:
        """Those that the principal is a member of; all of them for an admin."""
        async with self._database.statement() as connection:
            rows = await workspaces.visible_workspaces(connection, principal.id, admin=principal.admin)
        return [self._view(row) for row in rows]

    async def get(self, principal: Principal, workspace_id: UUID) -> WorkspaceDetail:
        """One, with what it takes on the disk. Raises NotFound."""
        return await self._detail(await self._find(principal, workspace_id))

    async def create(self, principal: Principal, order: WorkspaceOrder) -> WorkspaceView:
        """Make an empty workspace, or serve a directory of this machine (admins only).

        An order by path for what is there already, by this very name and path, is answered with that.
        Raises InvalidInput and WorkspaceError for a path that cannot be served, Conflict for a name or
        a directory that is taken and for one workspace too many, Forbidden.
        """
        if order.path is not None or order.quota_bytes is not None:
            principal.need(Scope.ADMIN)
        principal.need(Scope.CHAT, Scope.DELEGATE)
        if order.path is None:
            return self._view(await self._make(principal, order))
        path = await asyncio.to_thread(check_path, order.path, self._rules)
        return self._view(await self._serve(principal, order, path))

    async def change(
        self, principal: Principal, workspace_id: UUID, order: WorkspaceChange
    ) -> WorkspaceDetail:
        """Rename it (its creator, admins), set its quota (admins). Raises NotFound, Forbidden, Conflict."""
        if "quota_bytes" in order.model_fields_set:
            principal.need(Scope.ADMIN)
        async with self._database.begin() as connection:
            await workspaces.lock_workspaces(connection)
            row = await self._find_in(connection, principal, workspace_id)
            manage(principal, row)
            name = order.name or row.name
            if name == self._rules.default_workspace != row.name or (
                row.name == self._rules.default_workspace != name
            ):
                raise Conflict(f"The name {self._rules.default_workspace!r} stays with its workspace.")
            for other in await workspaces.all_workspaces(connection):
                if other.name == name and other.id != row.id:
                    raise _taken(principal, self._mounts, other)
            quota = order.quota_bytes if "quota_bytes" in order.model_fields_set else row.quota_bytes
            await workspaces.change_workspace(connection, row.id, name=name, quota_bytes=quota)
            changed = await self._find_in(connection, principal, workspace_id)
        return await self._detail(changed)

    async def members(self, principal: Principal, workspace_id: UUID) -> Sequence[MemberView]:
        """Its members, by name. Raises NotFound."""
        async with self._database.statement() as connection:
            row = await self._find_in(connection, principal, workspace_id)
            return await members.list_members(connection, row)

    async def add_member(self, principal: Principal, workspace_id: UUID, name: str) -> MemberView:
        """Let the principal `name` see it and work in it. Raises NotFound, Forbidden."""
        async with self._database.begin() as connection:
            await workspaces.lock_workspaces(connection)
            row = await self._find_in(connection, principal, workspace_id)
            manage(principal, row)
            return await members.add(connection, row, name)

    async def remove_member(self, principal: Principal, workspace_id: UUID, name: str) -> MemberView:
        """Shut the principal `name` out. Raises NotFound, Forbidden, and Conflict for the last member."""
        async with self._database.begin() as connection:
            await workspaces.lock_workspaces(connection)
            row = await self._find_in(connection, principal, workspace_id)
            if name != principal.name:
                manage(principal, row)
            return await members.remove(connection, row, name)

    async def open(self, principal: Principal, workspace_id: UUID) -> Workspace:
        """Open it for reading; the caller closes it. Raises NotFound, Unavailable, WorkspaceError."""
        row = await self._find(principal, workspace_id)
        return await asyncio.to_thread(self._open, row)

    def _open(self, row: WorkspaceRow) -> Workspace:
        place = Place(row.volume_id, row.path)
        return self._mounts.open(place, row.name, forbidden=self._rules.forbidden_roots)

    async def _find(self, principal: Principal, workspace_id: UUID) -> WorkspaceRow:
        async with self._database.statement() as connection:
            return await self._find_in(connection, principal, workspace_id)

    async def _find_in(
        self, connection: AsyncConnection, principal: Principal, workspace_id: UUID
    ) -> WorkspaceRow:
        row = await workspaces.visible_workspace(
            connection, workspace_id, principal.id, admin=principal.admin
        )
        if row is None:
            raise NotFound(f"There is no workspace {workspace_id}.")
        return row

    async def _make(self, principal: Principal, order: WorkspaceOrder) -> WorkspaceRow:
        volume = self._mounts.own
        if volume is None:
            raise Unavailable("This process has no directory to make workspaces in; ask one that has.")
        workspace_id = uuid4()
        path = volume.root / str(workspace_id)
        async with self._database.begin() as connection:
            await workspaces.lock_workspaces(connection)
            most = self._rules.workspaces_each
            if not principal.admin and await workspaces.made_by(connection, principal.id) >= most:
                raise Conflict(
                    f"{principal.name} has {most} workspaces already, which is the limit "
                    "(FLYNN_WORKSPACES_EACH). Use one of them, or ask an admin for another."
                )
            for other in await workspaces.all_workspaces(connection):
                if other.name == order.name:
                    raise _taken(principal, self._mounts, other)
            owner = await choose_owner(connection, self._mounts, volume.root)
            await know_volumes(connection, [(volume.id, volume.root)], move=False)
            await workspaces.insert_workspace(
                connection,
                workspace_id,
                name=order.name,
                volume_id=volume.id,
                path=path.name,
                made=True,
                owner_uid=owner,
                quota_bytes=order.quota_bytes,
                created_by=principal.id,
            )
            row = await self._find_in(connection, principal, workspace_id)
            try:
                # Last: when the commit fails after it, an empty directory is left that nothing names.
                make_directory(path, owner)
            except OSError as error:
                raise Unavailable(
                    f"The directory of the workspace cannot be made: {error.strerror}.", retry_after=10
                ) from error
        return row

    async def _serve(self, principal: Principal, order: WorkspaceOrder, path: Path) -> WorkspaceRow:
        async with self._database.begin() as connection:
            await workspaces.lock_workspaces(connection)
            for other in await workspaces.all_workspaces(connection):
                there = self._mounts.resolve(Place(other.volume_id, other.path))
                if other.name == order.name and there == path:
                    return other
                if other.name == order.name:
                    raise _taken(principal, self._mounts, other)
                if there is not None:
                    refuse_overlap(path, there, other.name)
            place = self._mounts.place(path)
            workspace_id = uuid4()
            await know_volumes(connection, self._roots(place), move=False)
            await workspaces.insert_workspace(
                connection,
                workspace_id,
                name=order.name,
                volume_id=place.volume_id,
                path=place.path,
                made=False,
                quota_bytes=order.quota_bytes,
                created_by=principal.id,
            )
            return await self._find_in(connection, principal, workspace_id)

    def _roots(self, place: Place) -> Sequence[tuple[UUID, Path]]:
        return [(v.id, v.root) for v in self._mounts.volumes if v.id == place.volume_id]

    def _view(self, row: WorkspaceRow) -> WorkspaceView:
        return WorkspaceView.model_validate(self._fields(row))

    async def _detail(self, row: WorkspaceRow) -> WorkspaceDetail:
        used: int | None = None
        complete: bool | None = None
        if self._mounts.resolve(Place(row.volume_id, row.path)) is not None:
            with suppress(WorkspaceError):  # the directory may be gone; the workspace is still shown
                usage = await asyncio.to_thread(self._usage, row)
                used, complete = usage
        return WorkspaceDetail.model_validate(
            {**self._fields(row), "used_bytes": used, "used_complete": complete}
        )

    def _usage(self, row: WorkspaceRow) -> tuple[int, bool]:
        with self._open(row) as workspace:
            usage = self._mounts.usage(workspace)
        return usage.bytes, usage.complete

    def _fields(self, row: WorkspaceRow) -> dict[str, object]:
        path = self._mounts.resolve(Place(row.volume_id, row.path))
        return {
            "id": row.id,
            "name": row.name,
            "path": str(path) if path is not None else None,
            "volume_id": row.volume_id,
            "made": row.made,
            "quota_bytes": self._rules.quota(made=row.made, given=row.quota_bytes),
            "created_by": row.creator,
            "created_at": row.created_at,
        }


def check_path(given: str, rules: Rules) -> Path:
    """The resolved path of a directory that may be a workspace. Raises InvalidInput and WorkspaceError."""
    wrong = None
    if "\0" in given:
        wrong = "cannot hold a NUL character"
    elif given != given.strip():
        wrong = "begins or ends with white space; write the path without it"
    elif not given.startswith("/"):
        wrong = "must be an absolute path: one that begins with /"
    elif ".." in given.split("/"):
        wrong = "may not hold `..`; write where the directory really is"
    elif any(len(os.fsencode(part)) > 255 for part in given.split("/")):
        wrong = "has a part of more than 255 bytes, which no directory's name can have"
    if wrong is not None:
        raise InvalidInput(f"The path of a workspace {wrong}.", errors=[{"field": "path", "message": wrong}])
    with rules.mounts.open_path(given, forbidden=rules.forbidden_roots) as workspace:
        if not os.access(workspace.path, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
            raise WorkspaceError(
                f"The workspace {workspace.path} cannot be written by this process: give its user the "
                "right to, or serve another directory."
            )
        return workspace.path


def refuse_overlap(path: Path, there: Path, name: str) -> None:
    """Raise Conflict when `path` is, holds or lies in `there`, where the workspace `name` is."""
    if path == there:
        raise Conflict(f"The directory {path} is served already, as the workspace {name!r}: use that one.")
    if path.is_relative_to(there) or there.is_relative_to(path):
        inside = "lies in" if path.is_relative_to(there) else "holds"
        raise Conflict(
            f"{path} {inside} the workspace {name!r} at {there}, and workspaces may not overlap: work in "
            "that one, or serve a directory beside it."
        )


def manage(principal: Principal, row: WorkspaceRow) -> None:
    """Raise Forbidden unless the principal manages the workspace, which it may see."""
    if not principal.admin and row.creator_id != principal.id:
        who = f"{row.creator} and admins" if row.creator else "admins"
        raise Forbidden(f"The workspace {row.name!r} is managed by {who} only.")


async def choose_owner(connection: AsyncConnection, mounts: Mounts, directory: Path) -> int | None:
    """A new uid for a workspace that is made in `directory`; None when its commands keep the service's.

    Only root can give files away, and a uid that cannot walk to its workspace is of no use to it.
    """
    if os.geteuid() != 0:
        return None
    uid = await workspaces.new_uid(connection)
    return uid if mounts.may_own(directory, uid) else None


def _taken(principal: Principal, mounts: Mounts, other: WorkspaceRow) -> Conflict:
    where = mounts.resolve(Place(other.volume_id, other.path)) if principal.admin else None
    at = f" by the workspace at {where}" if where is not None else ""
    return Conflict(f"The name {other.name!r} is taken{at}; choose another.")
