"""From a base and the log to a cluster that has been replayed, read and found sound, in its own directory.

The log is replayed here and not by the service's own server, so that what takes the database's place is
known to be good, and runs at once.
"""

import asyncio
import contextlib
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import asyncpg

from deploy.backup.keeping.barman import Barman, BarmanFailed
from deploy.backup.keeping.database import position
from deploy.backup.keeping.place import SERVER, Place
from deploy.backup.keeping.plan import Plan
from deploy.backup.keeping.private_server import PORT, PrivateServer, RecoveryFailed, private_server
from deploy.backup.keeping.program import run
from flynn.domain.errors import Conflict
from flynn.ops.backup.examination import Examination, examine

Progress = Callable[[str, float], None]
"""Told the phase and the part of it that is done, from 0 to 1."""

STALLED_SECONDS = 600.0
"""How long the replay may say nothing new before it is given up."""

_LOG = "barman_wal"
"""Where Barman lays the log, in the restored cluster."""

_TOO_EARLY = "recovery ended before configured recovery target was reached"
_REACHED = re.compile(r"last completed transaction was at log time (\S+ \S+)")
_FIRST = re.compile(r"redo starts at ([0-9A-F]+/[0-9A-F]+)")
_AT = re.compile(r"current LSN: ([0-9A-F]+/[0-9A-F]+)")
_TARGET = re.compile(r"^[ \t]*recovery_target_time[ \t]*=.*\n?", re.MULTILINE)
_LEFT_BY_RECOVERY = re.compile(
    r"^[ \t]*(#.*barman.*|(restore_command|recovery_end_command|recovery_target\w*)[ \t]*=.*)\n?",
    re.MULTILINE | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """A cluster in `cluster`, shut down in order and sound."""

    cluster: Path
    reached: datetime | None
    """When the last transaction ended that is in it; None when none was replayed."""
    examination: Examination


async def recover(place: Place, barman: Barman, plan: Plan, into: Path, progress: Progress) -> Recovered:
    """Make the state that `plan` describes in `into`, an empty directory or none.

    Raises Conflict when it is not empty, RecoveryFailed, NotSound, BarmanFailed, OSError.
    """
    await asyncio.to_thread(_need_empty, into)
    progress("verification", 0)
    await asyncio.to_thread(barman.run, "verify-backup", SERVER, plan.base.id, seconds=None)
    progress("verification", 1)
    await _lay_out(place, barman, plan, into, progress)
    reached, examination = await _replay(place, plan, into, progress)
    progress("checksums", 0)
    checksums = await asyncio.to_thread(_checksums, into)
    progress("checksums", 1)
    await asyncio.to_thread(_tidy, into)
    return Recovered(cluster=into, reached=reached, examination=replace(examination, checksums=checksums))


def _need_empty(directory: Path) -> None:
    if directory.exists() and any(directory.iterdir()):
        raise Conflict(f"{directory} is not empty: name a new directory, so that nothing is overwritten.")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)


async def _lay_out(place: Place, barman: Barman, plan: Plan, into: Path, progress: Progress) -> None:
    """Let Barman lay out the base and the log, whose end is the segment that is being received."""
    # What was received since Barman last looked; while it looks by itself, it holds the lock.
    for left in reversed(range(5)):
        try:
            await asyncio.to_thread(barman.run, "archive-wal", SERVER)
            break
        except BarmanFailed:
            if not left:
                raise
            await asyncio.sleep(1)
    words = ["restore", "--no-get-wal", "--partial-wal", "--target-action", "promote"]
    if plan.target is not None:
        words += ["--target-time", plan.target.isoformat(sep=" ")]
    words += ["--target-tli", str(plan.base.timeline)]
    progress("copy", 0)
    work = asyncio.create_task(
        asyncio.to_thread(barman.run, *words, SERVER, plan.base.id, str(into), seconds=None)
    )
    while not (await asyncio.wait([work], timeout=1))[0]:
        done = await asyncio.to_thread(_size, into)
        progress("copy", min(0.99, done / max(1, plan.bytes)))
    await work
    await asyncio.to_thread(_add_tail, place, plan, into)
    progress("copy", 1)


def _add_tail(place: Place, plan: Plan, cluster: Path) -> None:
    """The last segment of a line that has ended, of which Barman knows nothing any more."""
    for partial in (place.tails / plan.window.line.name).glob("*.partial"):
        target = cluster / _LOG / partial.stem
        if not target.exists():
            shutil.copyfile(partial, target)


async def _replay(
    place: Place, plan: Plan, into: Path, progress: Progress
) -> tuple[datetime | None, Examination]:
    progress("replay", 0)
    with private_server(into) as server:
        connection = await _accepted(server, place, plan, progress)
        if connection is not None:
            return await _examined(server, connection, progress)
    # No transaction ended after the second that was asked for: all of the log is the state at it.
    await asyncio.to_thread(_forget_target, into)
    with private_server(into) as server:
        connection = await _accepted(server, place, plan, progress)
        if connection is not None:
            return await _examined(server, connection, progress)
        raise RecoveryFailed("The log ends before the second that was asked for.")


async def _examined(
    server: PrivateServer, connection: "asyncpg.Connection[asyncpg.Record]", progress: Progress
) -> tuple[datetime | None, Examination]:
    progress("replay", 1)
    progress("examination", 0)
    try:
        examination = await examine(connection)
    finally:
        await connection.close()
    progress("examination", 1)
    reached = _REACHED.findall(server.said)
    await asyncio.to_thread(server.shut_down)
    # The server writes its log in UTC, and says so by letters.
    instant = datetime.fromisoformat(f"{reached[-1].split('+')[0]}+00:00") if reached else None
    return instant, examination


async def _accepted(
    server: PrivateServer, place: Place, plan: Plan, progress: Progress
) -> "asyncpg.Connection[asyncpg.Record] | None":
    """Wait for the end of the replay; the superuser's connection.

    None when the log ended before the target. Raises RecoveryFailed.
    """
    loop = asyncio.get_running_loop()
    last, moved = "", loop.time()
    while server.runs:
        try:
            return await asyncpg.connect(
                host=str(server.socket), port=PORT, user=place.superuser, database=place.database, timeout=30
            )
        except (OSError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.PostgresConnectionError):
            await asyncio.sleep(0.2)  # it replays, or is about to end
        except asyncpg.PostgresError as error:
            raise RecoveryFailed(f"The restored database cannot be opened: {error}") from error
        if (said := server.said) != last:
            last, moved = said, loop.time()
            progress("replay", min(0.99, _part(said, plan)))
        if loop.time() - moved > STALLED_SECONDS:
            raise RecoveryFailed(f"The replay does not go on: {server.last_word}")
    if _TOO_EARLY in server.said:
        return None
    raise RecoveryFailed(f"The log cannot be replayed: {server.last_word}")


def _forget_target(cluster: Path) -> None:
    auto = cluster / "postgresql.auto.conf"
    auto.write_text(_TARGET.sub("", auto.read_text()))


def _part(said: str, plan: Plan) -> float:
    """Which part of the log has been replayed, as far as the server tells."""
    first, at = _FIRST.search(said), _AT.findall(said)
    if first is None or not at:
        return 0.0
    return (position(at[-1]) - position(first[1])) / max(1, plan.log_bytes)


def _checksums(cluster: Path) -> bool | None:
    """Whether every page has the checksum it should have; None for a database that was made without."""
    program = shutil.which("pg_checksums")
    if program is None:
        return None
    status, said = run(program, "--check", "--pgdata", str(cluster))
    if status == 0:
        return True
    if "not enabled" in said:
        return None
    raise RecoveryFailed(f"The restored database is damaged: {said.strip().splitlines()[-1]}")


def _tidy(cluster: Path) -> None:
    """Remove what the recovery left: the next start is one like any other."""
    shutil.rmtree(cluster / _LOG, ignore_errors=True)
    for name in (".barman-recover.info", "backup_label.old", "postmaster.opts"):
        (cluster / name).unlink(missing_ok=True)
    auto = cluster / "postgresql.auto.conf"
    auto.write_text(_LEFT_BY_RECOVERY.sub("", auto.read_text()))
    os.sync()


def _size(directory: Path) -> int:
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            with contextlib.suppress(OSError):
                total += Path(folder, name).lstat().st_size
    return total
