"""What every start makes sure of: workspaces of before have a volume, and there is a default workspace."""

import os
from collections.abc import Iterable
from pathlib import Path
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.domain.errors import ConfigurationError, Conflict, WorkspaceError
from flynn.intake.workspaces import choose_owner, refuse_overlap
from flynn.store import workspaces
from flynn.store.mounts import know_volumes
from flynn.store.rows import WorkspaceRow
from flynn.telemetry.logging import get_logger
from flynn.workspace.mounts import Mounts, Place, adopt_directory, make_directory, owner_of

DEFAULT = "default"
_log = get_logger("flynn.workspaces")


async def take_in(connection: AsyncConnection, mounts: Mounts) -> int:
    """Give workspaces without a volume one, where this machine has their directory; returns how many."""
    if mounts.host is None:
        return 0
    await workspaces.lock_workspaces(connection)
    await know_volumes(connection, [(v.id, v.root) for v in mounts.volumes], move=False)
    taken = 0
    for row in await workspaces.all_workspaces(connection):
        place = mounts.find(Path(row.path)) if row.volume_id is None else None
        if place is None:
            continue
        await workspaces.move_workspace(
            connection,
            row.id,
            volume_id=place.volume_id,
            path=place.path,
            made=mounts.own is not None and place == Place(mounts.own.id, DEFAULT),
            owner_uid=row.owner_uid,
        )
        taken += 1
    return taken


async def settle_default(
    connection: AsyncConnection, mounts: Mounts, named: Path | None, *, forbidden: Iterable[Path]
) -> None:
    """Make the default workspace, or move it: to the directory that the operator `named`, else to our own.

    One on a volume that is not mounted here is left alone unless the operator names another. Raises
    ConfigurationError for a named directory that cannot be served.
    """
    await workspaces.lock_workspaces(connection)
    rows = await workspaces.all_workspaces(connection)
    row = next((row for row in rows if row.name == DEFAULT), None)
    if named is not None:
        others = [other for other in rows if other.name != DEFAULT]
        path = _named(named, mounts, others, forbidden)
        await _put(connection, mounts, row, path, made=False, owner=None)
        return
    if row is not None and mounts.resolve(Place(row.volume_id, row.path)) is None:
        _log.warning(
            "the default workspace is on a volume that is not mounted here", volume=str(row.volume_id)
        )
        return
    if mounts.own is None:
        raise ConfigurationError("Without a data directory FLYNN_WORKSPACE must name the default workspace.")
    path = mounts.own.root / DEFAULT
    known = row.owner_uid if row is not None and row.made else None
    owner = await _own(connection, mounts, path, known)
    await _put(connection, mounts, row, path, made=True, owner=owner)


def _named(named: Path, mounts: Mounts, others: Iterable[WorkspaceRow], forbidden: Iterable[Path]) -> Path:
    try:
        with mounts.open_path(named, forbidden=forbidden) as workspace:
            path = workspace.path
        for other in others:
            there = mounts.resolve(Place(other.volume_id, other.path))
            if there is not None:
                refuse_overlap(path, there, other.name)
    except (WorkspaceError, Conflict) as error:
        raise ConfigurationError(f"FLYNN_WORKSPACE: {error.detail}") from error
    return path


async def _own(connection: AsyncConnection, mounts: Mounts, path: Path, known: int | None) -> int | None:
    """The uid that owns the directory that the service made, or makes now, for the default workspace."""
    owner = known or await choose_owner(connection, mounts, path.parent)
    try:
        standing = owner_of(path)
        if standing is None:
            make_directory(path, owner)
            return owner
        if os.geteuid() != 0 or standing != 0:
            return known
        if owner is not None and adopt_directory(path, owner):
            return owner
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be made a workspace: {error.strerror}.") from error
    _log.warning(
        "the default workspace belongs to root, so its commands keep root's uid, without capabilities; "
        "give it to an ordinary uid with chown -R to have them run as that"
    )
    return None


async def _put(
    connection: AsyncConnection,
    mounts: Mounts,
    row: WorkspaceRow | None,
    path: Path,
    *,
    made: bool,
    owner: int | None,
) -> None:
    place = mounts.place(path)
    await know_volumes(connection, [(v.id, v.root) for v in mounts.volumes], move=False)
    if row is None:
        await workspaces.insert_workspace(
            connection,
            uuid4(),
            name=DEFAULT,
            volume_id=place.volume_id,
            path=place.path,
            made=made,
            owner_uid=owner,
        )
        return
    await workspaces.move_workspace(
        connection, row.id, volume_id=place.volume_id, path=place.path, made=made, owner_uid=owner
    )
