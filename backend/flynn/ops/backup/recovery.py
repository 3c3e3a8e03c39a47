"""Recovery: a plan becomes a whole, examined data directory in a place of its own.

Nothing outside that place is written. The server that replays the log is a child like any embedded server;
it is shut down in order before the place is worth anything.
"""

import asyncio
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import asyncpg

from flynn.domain.errors import ConfigurationError, FlynnError
from flynn.ops.backup.base import CLUSTER, PASSWORD, free_bytes
from flynn.ops.backup.bundle import unpack
from flynn.ops.backup.examination import Examination, examine
from flynn.ops.backup.plan import Plan
from flynn.ops.backup.segments import lsn_of, put
from flynn.store.embedded import EmbeddedPostgres, ProgramFailed, run_program

POSTGRES = "postgres"
"""The directory of the database in a data directory."""

FILES = "files"
"""The directory of the other trees in the place of a recovery."""

ROOM_BYTES = 128_000_000

STALLED_SECONDS = 300.0
"""How long the replay may stand still."""

_WAL = "restored-wal"
_COMMIT = re.compile(r"(?:COMMIT|ABORT)\S* (?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+) UTC")

Phase = Literal["unpacking", "verification", "log", "replay", "examination", "files"]

Progress = Callable[[Phase, int, int], None]
"""Called with how much is done and how much there is to do, in bytes."""


class RecoveryFailed(FlynnError):
    """The backup could not be brought back; nothing was replaced."""

    code = "recovery-failed"
    title = "The backup could not be restored"


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was made: the database in `place/postgres`, the trees in `place/files`."""

    place: Path
    reached: datetime | None
    """The time of the last transaction that is in it; None when the log after the base had none."""
    examination: Examination


def need_room(plan: Plan, directory: Path, *, free: Callable[[Path], int] = free_bytes) -> None:
    """Raise ConfigurationError when the disk of `directory` cannot take what the plan brings."""
    if (room := free(directory)) < (needed := plan.bytes + ROOM_BYTES):
        raise ConfigurationError(
            f"Restoring takes up to {needed // 1_000_000:,} MB in {directory}, where "
            f"{room // 1_000_000:,} MB are free: free some, or restore into another directory with --into."
        )


async def recover(plan: Plan, place: Path, progress: Progress, *, files: bool = True) -> Recovered:
    """Make the state that `plan` describes in the empty directory `place`; `files` says whether with them.

    Raises FlynnError when it cannot be made, or is not sound.
    """
    try:
        home = place / POSTGRES
        home.mkdir(mode=0o700)
        cluster = home / CLUSTER
        await _unpack(plan, home, progress)
        progress("verification", 0, 1)
        await run_program("pg_verifybackup", "--exit-on-error", "--quiet", str(cluster), directory=home)
        progress("verification", 1, 1)
        await _lay_out(plan, cluster, progress)
        (home / PASSWORD).write_bytes(await asyncio.to_thread((plan.place / PASSWORD).read_bytes))
        (home / PASSWORD).chmod(0o600)
        settings = {"restore_command": f"cp {_WAL}/%f %p", "recovery_target_action": "promote"}
        if plan.target is not None and await _goes_past(plan.target, plan, cluster / _WAL):
            settings["recovery_target_time"] = plan.target.isoformat()
        reached, examination = await _replay(plan, home, settings, progress)
        await asyncio.to_thread(shutil.rmtree, cluster / _WAL)
        examination = replace(examination, checksums=await _checksums(cluster))
        if files:
            await _unpack_files(plan, place, progress)
    except OSError as error:
        raise RecoveryFailed(f"The backup cannot be unpacked: {error.strerror or error}.") from error
    return Recovered(place, reached, examination)


async def _unpack(plan: Plan, home: Path, progress: Progress) -> None:
    whole = plan.base.database.content_bytes
    done = 0

    def told(count: int) -> None:
        nonlocal done
        done += count
        progress("unpacking", done, whole)

    progress("unpacking", 0, whole)
    await asyncio.to_thread(unpack, plan.place / plan.base.database.file, home, plan.base.database, told=told)


async def _unpack_files(plan: Plan, place: Path, progress: Progress) -> None:
    target = place / FILES
    target.mkdir(mode=0o700)
    bundled = plan.base.workspaces
    done = 0

    def told(count: int) -> None:
        nonlocal done
        done += count
        progress("files", done, bundled.content_bytes)

    progress("files", 0, bundled.content_bytes)
    await asyncio.to_thread(unpack, plan.place / bundled.file, target, bundled, told=told)


async def _lay_out(plan: Plan, cluster: Path, progress: Progress) -> None:
    """Put the log where the server will ask for it, and tell the server to ask."""
    wal = cluster / _WAL
    wal.mkdir(mode=0o700)
    for number, segment in enumerate(plan.segments, 1):
        try:
            await asyncio.to_thread(put, segment, wal / segment.name)
        except EOFError as error:
            raise RecoveryFailed(f"The segment {segment.name} of the log is damaged.") from error
        progress("log", number, len(plan.segments))
    for history in plan.histories:
        await asyncio.to_thread(shutil.copyfile, history, wal / history.name)
    (cluster / "recovery.signal").touch(mode=0o600)


async def _goes_past(target: datetime, plan: Plan, wal: Path) -> bool:
    """Whether a transaction ended after `target` in the kept log.

    If none did, all of the log is the state at `target`; asked for the time, the server would wait for a
    transaction that never comes, and call its absence an error.
    """
    for segment in reversed(plan.segments):
        # It exits with 1 where the log ends.
        said = await run_program(
            "pg_waldump",
            *("--rmgr=Transaction", str(wal / segment.name)),
            directory=wal,
            codes=(0, 1),
        )
        times = [datetime.fromisoformat(f"{found['time']}+00:00") for found in _COMMIT.finditer(said)]
        if times:
            return max(times) > target
    return False


async def _replay(
    plan: Plan, home: Path, settings: dict[str, str], progress: Progress
) -> tuple[datetime | None, Examination]:
    server = EmbeddedPostgres(home, settings=settings)
    start = lsn_of(plan.base.start_lsn)
    progress("replay", 0, plan.replay_bytes)
    try:
        await server.start()
        connection = await asyncpg.connect(server.superuser_dsn)
        try:
            reached = await _promoted(
                server, connection, lambda lsn: progress("replay", lsn - start, plan.replay_bytes)
            )
            progress("examination", 0, 1)
            examination = await examine(connection)
            progress("examination", 1, 1)
        finally:
            await connection.close()
    except (asyncpg.PostgresError, asyncpg.InterfaceError, ConfigurationError) as error:
        said = error.detail if isinstance(error, ConfigurationError) else f"{error} ({server.last_word})"
        raise RecoveryFailed(f"The log cannot be replayed: {said}") from error
    finally:
        await server.stop()
    return reached, examination


async def _promoted(
    server: EmbeddedPostgres, connection: "asyncpg.Connection[asyncpg.Record]", at: Callable[[int], None]
) -> datetime | None:
    """Wait for the end of the replay; the time of the last transaction that was replayed."""
    loop = asyncio.get_running_loop()
    last, moved = 0, loop.time()
    reached: datetime | None = None
    while True:
        row = await connection.fetchrow(
            "SELECT pg_is_in_recovery() AS replaying, pg_last_wal_replay_lsn()::text AS lsn,"
            " pg_last_xact_replay_timestamp() AS reached"
        )
        if row is None:
            raise RecoveryFailed("The recovering server said nothing.")
        reached = row["reached"] or reached
        if not row["replaying"]:
            return reached.astimezone(UTC) if reached else None
        if row["lsn"] and (lsn := lsn_of(row["lsn"])) != last:
            last, moved = lsn, loop.time()
            at(lsn)
        if loop.time() - moved > STALLED_SECONDS or server.state != "running":
            raise RecoveryFailed(f"The replay does not go on: {server.last_word}")
        await asyncio.sleep(0.05)


async def _checksums(cluster: Path) -> bool | None:
    """Whether every page has the checksum it should have; None for a database that was made without."""
    try:
        await run_program("pg_checksums", "--check", "--pgdata", str(cluster), directory=cluster)
    except ProgramFailed as failed:
        if "not enabled" in failed.detail:
            return None
        raise RecoveryFailed(f"The restored database is damaged: {failed.detail}") from failed
    return True
