"""Example workspaces: made on a volume that only the example's workers have mounted."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.domain.errors import Unavailable
from flynn.domain.principal import Principal
from flynn.intake.workspaces import choose_owner
from flynn.store import workspaces
from flynn.store.mounts import know_volumes
from flynn.workspace.mounts import Mounts
from flynn.workspace.volume import Volume

Fill = Callable[[Path, int | None], None]
"""Makes the directory at the path with what belongs in it, for that uid or for this process. Blocks."""


async def place_example(
    connection: AsyncConnection,
    principal: Principal,
    volume: Volume,
    mounts: Mounts,
    *,
    name: str,
    fill: Fill,
) -> UUID:
    """Make the workspace `name`, a directory of that name on `volume`, with `principal` as its member.

    `mounts` are those of the workers. Raises Unavailable when the directory cannot be made.
    """
    workspace_id = uuid4()
    await workspaces.lock_workspaces(connection)
    owner = await choose_owner(connection, mounts, volume.root)
    await know_volumes(connection, [(volume.id, volume.root)], move=True)
    await workspaces.insert_workspace(
        connection,
        workspace_id,
        name=name,
        volume_id=volume.id,
        path=name,
        made=True,
        owner_uid=owner,
        created_by=principal.id,
    )
    try:
        # Last: when the commit fails after it, a directory is left that nothing names.
        await asyncio.to_thread(fill, volume.root / name, owner)
    except OSError as error:
        raise Unavailable(
            f"The example cannot be copied: {error.strerror or error}.", retry_after=10
        ) from error
    return workspace_id
