"""Backups of a process, as the settings say: of its own server, never of the operator's."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from flynn.api.backups import NotKept
from flynn.domain.backup import BackupBegun, BackupsView
from flynn.domain.errors import WorkspaceError
from flynn.ops.backup.base import PASSWORD, Subject
from flynn.ops.backup.exchange import LINE
from flynn.ops.backup.keeper import Keeper, Outcome, Policy
from flynn.ops.backup.receiver import SLOT
from flynn.ops.backup.recovery import POSTGRES
from flynn.ops.backup.standing import kept
from flynn.settings import Settings
from flynn.store.database import Database
from flynn.store.embedded import EmbeddedPostgres
from flynn.store.slots import drop_slot
from flynn.workspace.volume import MARKER, PRIVATE, read_volume

THEIRS = (
    "The database is your own server (DATABASE_URL), so its backups are yours too: set up the server's own "
    "means, a base backup and a log archive. Flynn backs up the database that it runs itself."
)
OFF = "FLYNN_BACKUPS is false, so no backups are kept: set it to true."

TREES = ("workspaces", PRIVATE, MARKER)
"""What is backed up beside the database, relative to the data directory: the service's own workspaces and
their snapshots, what the service keeps for others, and the marker by which places on this machine are known.
"""


def directory_of(settings: Settings) -> Path:
    """Where backups are kept."""
    return settings.backup_dir or settings.data_dir / "backups"


def policy_of(settings: Settings) -> Policy:
    """How they are kept."""
    return Policy(
        directory=directory_of(settings),
        every=timedelta(hours=settings.backup_hours),
        keep=timedelta(days=settings.backup_days),
        first_after=timedelta(minutes=settings.backup_first_minutes),
        most_bytes=settings.backup_max_bytes,
    )


def _own_volume(data_dir: Path) -> UUID | None:
    try:
        return read_volume(data_dir / "workspaces").id
    except WorkspaceError:
        return None  # nothing was made there yet


def keeper_of(
    settings: Settings,
    database: Database,
    embedded: EmbeddedPostgres | None,
    *,
    scheduled: bool = True,
    counted: Callable[[Outcome], None] = lambda _outcome: None,
) -> Keeper | None:
    """Who keeps the backups of this process; None when nobody does."""
    if embedded is None or not settings.backups:
        return None
    data = settings.data_dir.resolve()
    subject = Subject(
        client=embedded.client,
        password=data / POSTGRES / PASSWORD,
        trees={name: data / name for name in TREES},
        volume=_own_volume(data),
    )
    return Keeper(
        policy_of(settings),
        subject,
        database,
        line_file=settings.data_dir / LINE,
        scheduled=scheduled,
        counted=counted,
    )


async def hold_nothing_back(database: Database) -> None:
    """See that our own server keeps no log for backups that are not taken any more."""
    async with database.statement() as connection:
        await drop_slot(connection, SLOT)


def no_backups(settings: Settings) -> NotKept:
    """Why this process keeps none."""
    return NotKept(OFF if settings.database_url is None else THEIRS)


class KeptBackups:
    """The backups of this process, for its doors."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    async def view(self) -> BackupsView:
        """See flynn.api.backups.Backups."""
        return await asyncio.to_thread(kept, self._keeper)

    async def begin(self) -> BackupBegun:
        """See flynn.api.backups.Backups."""
        return BackupBegun(id=self._keeper.begin())
