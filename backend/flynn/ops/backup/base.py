"""Taking a base: pg_basebackup, every file compared with its checksum, packed, and named only then."""

import asyncio
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Literal
from uuid import UUID

from flynn import __version__
from flynn.domain.errors import FlynnError
from flynn.ops.backup.bundle import pack
from flynn.ops.backup.catalogue import DRAFT, Base, Bundled, Catalogue
from flynn.store.embedded import Client, run_program

DATABASE = "database.tar.gz"
WORKSPACES = "workspaces.tar.gz"
CLUSTER = "cluster"
PASSWORD = "password"  # noqa: S105 # the name of a file

ROOM_BYTES = 64_000_000
"""What is left free on the disk, for the log that is written meanwhile."""

Phase = Literal["beginning", "database", "verification", "packing", "workspaces"]


class BackupFailed(FlynnError):
    """A backup was not taken; `detail` says why."""

    code = "backup-failed"
    title = "The backup was not taken"
    status = 503


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is backed up. `trees` are the files and directories beside the database, by their names in the
    data directory; `password` is the file with that of the database's roles; `volume` is the one whose
    workspaces are among the trees.
    """

    client: Client
    password: Path
    trees: Mapping[str, Path]
    volume: UUID | None = None


def free_bytes(directory: Path) -> int:
    """What may still be written to the disk of `directory`."""
    room = os.statvfs(directory)
    return room.f_bavail * room.f_frsize


async def take_base(
    subject: Subject,
    catalogue: Catalogue,
    *,
    backup: str,
    line: str,
    database_bytes: int,
    elsewhere: Sequence[str],
    phase: Callable[[Phase], None],
    free: Callable[[Path], int] = free_bytes,
) -> Base:
    """Take one and enter it into the catalogue. The caller owns the catalogue.

    Raises FlynnError in one line when it cannot be taken; nothing of it is left then. Cancelling it waits
    for the file that is being packed.
    """
    began = datetime.now(UTC)
    draft = catalogue.directory / f"{DRAFT}{backup}"
    try:
        if (room := free(catalogue.directory)) < (needed := 2 * database_bytes + ROOM_BYTES):
            raise BackupFailed(
                f"A backup needs up to {needed // 1_000_000:,} MB in {catalogue.directory}, where "
                f"{room // 1_000_000:,} MB are free: free some, or name another directory in "
                "FLYNN_BACKUP_DIR."
            )
        draft.mkdir(mode=0o700)
        cluster = draft / CLUSTER
        phase("database")
        with subject.client.password_file(catalogue.directory) as environment:
            await run_program(
                "pg_basebackup",
                *("--pgdata", str(cluster), "--wal-method=stream", "--checkpoint=fast", "--no-sync"),
                *("--manifest-checksums=SHA256", *subject.client.options),
                directory=catalogue.directory,
                environment=environment,
            )
        finished = datetime.now(UTC)
        phase("verification")
        version = await run_program("pg_verifybackup", "--version", directory=draft)
        await run_program("pg_verifybackup", "--exit-on-error", "--quiet", str(cluster), directory=draft)
        manifest = await asyncio.to_thread(_manifest, cluster)
        phase("packing")
        halt = _Halt()
        database = await _thread(halt, partial(pack, {CLUSTER: cluster}, draft / DATABASE, told=halt.check))
        await asyncio.to_thread(shutil.rmtree, cluster)
        phase("workspaces")
        workspaces = await _thread(halt, partial(pack, subject.trees, draft / WORKSPACES, told=halt.check))
        await asyncio.to_thread(_keep_password, subject.password, draft / PASSWORD)
        base = Base(
            id=backup,
            line=line,
            started_at=began,
            finished_at=finished,
            system_identifier=manifest.system_identifier,
            timeline=manifest.timeline,
            start_lsn=manifest.start_lsn,
            end_lsn=manifest.end_lsn,
            postgres=version.split()[-1],
            version=__version__,
            verified=True,
            database=database,
            workspaces=workspaces,
            elsewhere=tuple(elsewhere),
        )
        await asyncio.to_thread(catalogue.add_base, draft, base)
    except OSError as error:
        raise BackupFailed(
            f"The backup cannot be written to {catalogue.directory}: {error.strerror or error}."
        ) from error
    finally:
        await asyncio.to_thread(shutil.rmtree, draft, ignore_errors=True)
    return base


@dataclass(frozen=True, slots=True)
class _Manifest:
    system_identifier: str
    timeline: int
    start_lsn: str
    end_lsn: str


def _manifest(cluster: Path) -> _Manifest:
    """What backup_manifest and pg_control say. The manifest names the log that the base needs by itself."""
    with (cluster / "global" / "pg_control").open("rb") as file:
        identifier = int.from_bytes(file.read(8), "little")
    (wal,) = json.loads((cluster / "backup_manifest").read_bytes())["WAL-Ranges"]
    return _Manifest(str(identifier), int(wal["Timeline"]), wal["Start-LSN"], wal["End-LSN"])


def _keep_password(source: Path, target: Path) -> None:
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(source.read_text())


class _Halt:
    """Stops a thread that packs, at its next chunk."""

    def __init__(self) -> None:
        self.asked = False

    def check(self, _bytes: int) -> None:
        if self.asked:
            raise BackupFailed("The service ends; the backup is not finished.")


async def _thread(halt: _Halt, work: Callable[[], Bundled]) -> Bundled:
    """Run `work` in a thread; a cancellation asks it to stop, and waits until it has."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        halt.asked = True
        await asyncio.wait([running])
        running.exception()  # what it says is what it was asked for
        raise
