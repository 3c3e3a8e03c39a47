"""The keeper: when a base is due, what it does when something breaks, and what it says of it."""

import asyncio
import os
import shutil
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flynn.app.backups import hold_nothing_back
from flynn.domain.errors import ConfigurationError, Conflict
from flynn.ops.backup.segments import segments
from flynn.ops.backup.standing import backups_part, kept
from flynn.store.database import Database
from tests.eventually import eventually
from tests.ops.backup_stage import SCHEMA, Stage, covered, take

pytestmark = pytest.mark.slow


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(data=tmp_path / "data", kept=tmp_path / "kept")


async def test_a_base_is_due_by_what_there_is(stage: Stage) -> None:
    stage.first_after = timedelta(minutes=5)
    async with stage.running() as keeper:
        await keeper.look()
        due = keeper.due_at()
        assert due is not None
        assert timedelta(minutes=4) < due - datetime.now(UTC) <= timedelta(minutes=5)
        assert keeper.under_way is None
        assert keeper.stretch.receiver is None  # nothing is received before there is a base for it
        await stage.run(SCHEMA)
        keeper.begin()
        with pytest.raises(Conflict, match="is being taken"):
            keeper.begin()
        await keeper.done()
        (base,) = keeper.bases
        assert keeper.due_at() == base.started_at + timedelta(days=1)
        with pytest.raises(ConfigurationError, match="FLYNN_BACKUP_DIR"), stage.catalogue.owned():
            pass
        await covered(keeper, datetime.now(UTC))
        view = kept(keeper)
        assert [item.id for item in view.items] == [base.id]
        assert view.lag_seconds is not None
        assert view.lag_seconds < 60
        assert view.bytes > 0
        assert "the workspace of the operator" in view.not_included
        assert backups_part(keeper).state == "ok"
    # A service that was off for long takes the base that it missed as soon as it is back.
    stage.every = timedelta(seconds=0.1)
    async with stage.running() as keeper:
        await eventually(lambda: len(keeper.bases) > 1, what="the next base", seconds=60)
        assert {one.line for one in keeper.bases} == {base.line}  # the log went on without a break
    assert not list(stage.kept.glob("draft-*"))
    assert not list(stage.kept.rglob(".pass-*"))


async def test_a_killed_receiver_is_started_again_and_misses_nothing(stage: Stage) -> None:
    async with stage.running() as keeper:
        await stage.run(SCHEMA)
        base = await take(keeper)
        receiver = keeper.stretch.receiver
        assert receiver is not None
        first = receiver.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await stage.note("while nobody received")
        await eventually(lambda: receiver.pid not in (None, first), what="another receiver", seconds=60)
        await covered(keeper, datetime.now(UTC))
        assert keeper.stretch.line_id == base.line
        # A switch makes a whole segment, which is packed and still known to the receiver's successor.
        await stage.command("SELECT pg_switch_wal()")
        wal = stage.catalogue.wal(base.line)
        await eventually(lambda: any(s.packed for s in segments(wal)), what="packing", seconds=60)
        second = receiver.pid
        assert second is not None
        os.kill(second, signal.SIGKILL)
        await stage.note("again")
        await covered(keeper, datetime.now(UTC))
        assert receiver.pid not in (None, first, second)


async def test_a_lost_slot_is_a_break_and_a_new_base(stage: Stage) -> None:
    stage.settings = {"max_slot_wal_keep_size": "48MB", "max_wal_size": "32MB", "min_wal_size": "32MB"}
    async with stage.running() as keeper:
        await stage.run(SCHEMA)
        base = await take(keeper)
        assert keeper.stretch.receiver is not None
        await keeper.stretch.receiver.stop()
        for _ in range(7):
            await stage.run("INSERT INTO notes (words) SELECT repeat('x', 500) FROM generate_series(1, 2000)")
            await stage.command("SELECT pg_switch_wal()")
        await stage.command("CHECKPOINT")
        await eventually(lambda: len(keeper.bases) == 2, what="a base on a new line", seconds=60)
        assert keeper.bases[0].id == base.id  # what it gives back is not lost
        assert keeper.bases[1].line == keeper.stretch.line_id != base.line
        await covered(keeper, datetime.now(UTC))
        assert len(kept(keeper).windows) == 2


async def test_a_full_disk_is_said_and_leaves_nothing(stage: Stage) -> None:
    room = 1_000_000
    stage.free = lambda _directory: room
    async with stage.running() as keeper:
        await stage.run(SCHEMA)
        keeper.begin()
        await keeper.done()
        assert keeper.bases == []
        assert keeper.last_failure is not None
        assert "1 MB are free" in keeper.last_failure.detail
        part = backups_part(keeper)
        assert part.state == "degraded"
        assert part.detail is not None
        assert "FLYNN_BACKUP_DIR" in part.detail
        due = keeper.due_at()
        assert due is not None
        assert due > datetime.now(UTC)  # it is not tried again and again
        assert not list(stage.kept.glob("draft-*"))
        room = 10**12
        await take(keeper)
        assert backups_part(keeper).state == "ok"


async def test_backups_that_take_too_much_go_early_but_never_the_last(stage: Stage) -> None:
    stage.most_bytes = 1
    async with stage.running() as keeper:
        await stage.run(SCHEMA)
        await take(keeper)
        last = await take(keeper)
        assert [base.id for base in keeper.bases] == [last.id]
        part = backups_part(keeper)
        assert part.state == "degraded"
        assert part.detail is not None
        assert "FLYNN_BACKUP_MAX_BYTES" in part.detail


async def test_what_was_kept_of_a_line_is_lost_and_another_begins(stage: Stage) -> None:
    async with stage.running() as keeper:
        await stage.run(SCHEMA)
        first = await take(keeper)
    shutil.rmtree(stage.catalogue.wal(first.line))
    async with stage.running() as keeper:
        await eventually(lambda: len(keeper.bases) == 2, what="a base on a new line", seconds=60)
        assert keeper.bases[-1].line != first.line


async def test_backups_that_are_turned_off_hold_nothing_back(stage: Stage) -> None:
    async with stage.running() as keeper:
        await stage.run(SCHEMA)
        first = await take(keeper)
    async with stage.running(keeping=False):
        assert stage.server is not None
        database = Database(stage.server.url, pool_size=1, max_overflow=0)
        await hold_nothing_back(database)
        await database.close()
        assert await stage.ask("SELECT 1 FROM pg_replication_slots") == []
    # Turned on again, the log has a gap: another line begins.
    async with stage.running() as keeper:
        await eventually(lambda: len(keeper.bases) == 2, what="a base on a new line", seconds=60)
        assert keeper.bases[-1].line != first.line


async def test_the_end_of_the_service_ends_a_backup_that_is_taken(stage: Stage) -> None:
    async with stage.running() as keeper:
        await stage.run(SCHEMA)
        keeper.begin()
        await asyncio.sleep(0.2)
    assert keeper.under_way is None
    assert not list(stage.kept.glob("draft-*"))
    assert stage.catalogue.bases() == []
