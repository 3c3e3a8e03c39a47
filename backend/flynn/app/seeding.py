"""What every data directory starts with: volumes, the default workspace, the owner's key."""

import os
import secrets
from pathlib import Path

from flynn.app.places import own_places
from flynn.domain.errors import ConfigurationError, WorkspaceError
from flynn.domain.orders import KeyOrder
from flynn.domain.principal import key_digest
from flynn.intake import keys, seeds
from flynn.settings import Settings
from flynn.store.database import Database
from flynn.store.seeds import knows_key
from flynn.telemetry.logging import get_logger
from flynn.telemetry.redaction import register_secret
from flynn.workspace.mounts import Mounts, find_mounts

OWNER_KEY = "owner.key"
"""File in the data directory (0600) with the key of this machine's operator."""


def read_mounts(settings: Settings) -> Mounts:
    """The volumes that this process has; declared ones that are not there are logged.

    Raises ConfigurationError.
    """
    try:
        mounts = find_mounts(settings.data_dir, settings.volumes)
    except WorkspaceError as error:
        raise ConfigurationError(error.detail) from error
    except OSError as error:
        raise ConfigurationError(f"{error.filename} cannot be made: {error.strerror}.") from error
    for reason in mounts.missing:
        get_logger("flynn.volumes").warning("a volume of FLYNN_VOLUMES is not mounted", reason=reason)
    return mounts


async def seed(
    settings: Settings, database: Database, mounts: Mounts | None = None, *, workspaces: bool = True
) -> str:
    """Make the default workspace and the owner's key where they are missing; returns that key.

    Workspaces of before there were volumes are taken in. `mounts` are read unless they are given. Without
    `workspaces` they are left to the processes that have this machine's own volumes.
    """
    mounts = mounts or read_mounts(settings)
    try:
        if workspaces and settings.workspace is not None:
            settings.workspace.mkdir(parents=True, exist_ok=True)
        key = _owner_key(settings.data_dir / OWNER_KEY)
    except OSError as error:
        raise ConfigurationError(f"{error.filename} cannot be made: {error.strerror}.") from error
    register_secret(key)  # keys made over the API have a shape that is known; this one is read from a file
    async with database.begin() as connection:
        if workspaces:
            await seeds.take_in(connection, mounts)
            await seeds.settle_default(connection, mounts, settings.workspace, forbidden=own_places(settings))
        if not await knows_key(connection, key_digest(key)):
            await keys.create(connection, KeyOrder(name="owner", scopes=["admin"]), key=key)
    return key


def _owner_key(path: Path) -> str:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        key = f"fly_{secrets.token_urlsafe(32)}"
        # Written whole before it has its name: a process that shares the directory may read it just now.
        draft = path.with_suffix(f".{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(key + "\n")
        try:
            os.link(draft, path)
        except FileExistsError:
            return path.read_text().strip()
        finally:
            draft.unlink()
        return key
