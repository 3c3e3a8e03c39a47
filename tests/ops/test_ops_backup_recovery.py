"""Point in time: what is gone comes back as it was at any second, from the backups alone."""

import os
import shutil
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from flynn.domain.errors import InvalidInput, NotFound
from flynn.ops.backup.bundle import BundleDamaged
from flynn.ops.backup.exchange import exchange, prepare
from flynn.ops.backup.plan import make_plan, target_of
from flynn.ops.backup.recovery import Recovered, recover
from flynn.store.embedded.cluster import SOCKET_LOCK
from tests.ops.backup_stage import SCHEMA, TREES, Stage, covered, plant, portrait, take
from tests.ops.notes import moment

pytestmark = pytest.mark.slow


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(data=tmp_path / "data", kept=tmp_path / "kept")


async def bring_back(stage: Stage, target: datetime | None) -> tuple[Recovered, Path | None]:
    plan = make_plan(stage.catalogue, target, cluster=stage.data / "postgres" / "cluster")
    place = prepare(stage.data)
    phases = []
    recovered = await recover(plan, place, lambda phase, _done, _whole: phases.append(phase))
    assert list(dict.fromkeys(phases)) == [
        *("unpacking", "verification", "log", "replay", "examination", "files")
    ]
    return recovered, exchange(stage.data, TREES, now=datetime.now(UTC))


async def test_a_lost_disk_comes_back_as_it_was_at_a_second(stage: Stage) -> None:
    async with stage.running() as keeper:
        plant(stage.data)
        planted = portrait(stage.data / "workspaces")
        await stage.run(SCHEMA)
        await stage.note("before the base")
        base = await take(keeper)
        assert base.verified
        assert base.elsewhere == ("of the operator",)
        await stage.note("after the base", "and more")
        good = await moment()
        await stage.note("too late")
        await stage.run("DELETE FROM notes; DROP TABLE workspaces")
        (stage.data / "workspaces" / "one" / "deep" / "er" / "file.txt").write_text("spoilt")
        await covered(keeper, datetime.now(UTC))
        assert stage.server is not None
        assert stage.server.pid is not None
        os.kill(stage.server.pid, signal.SIGKILL)
    stage.lose_the_disk()

    recovered, aside = await bring_back(stage, good)
    assert aside is None  # nothing was there
    assert recovered.examination.rows["notes"] == 3
    assert recovered.examination.rows["workspaces"] == 1
    assert recovered.examination.indexes >= 5
    assert recovered.examination.checksums is True
    assert recovered.reached is not None
    assert good - timedelta(seconds=1) < recovered.reached <= good
    assert portrait(stage.data / "workspaces") == planted
    assert (stage.data / ".flynn" / "y").read_text() == "of a host path"
    assert not (stage.data / ".restoring").exists()

    async with stage.running() as keeper:
        assert await stage.notes() == ["before the base", "after the base", "and more"]
        await stage.note("life goes on")
        # A restored database is on a line of its own, and a base for it is due at once.
        await keeper.look()
        await keeper.done()
        assert [b.line == keeper.stretch.line_id for b in keeper.bases] == [False, True]
        assert keeper.bases[-1].timeline > base.timeline
        later = await moment()
        await stage.note("a second mistake")
        await covered(keeper, datetime.now(UTC))

    # Times before and after the restoring, each on its line; what is there is moved aside.
    _, aside = await bring_back(stage, later)
    assert aside is not None
    assert (aside / "postgres" / "cluster" / "PG_VERSION").exists()
    assert portrait(aside / "workspaces") == planted
    async with stage.running(keeping=False):
        assert (await stage.notes())[-1] == "life goes on"
    await bring_back(stage, good)
    async with stage.running(keeping=False):
        assert await stage.notes() == ["before the base", "after the base", "and more"]


async def test_the_latest_has_what_only_the_server_still_had(stage: Stage) -> None:
    async with stage.running() as keeper:
        await stage.run(SCHEMA)
        await take(keeper)
        await stage.note("received")
        await covered(keeper, datetime.now(UTC))
        # The receiver is gone for good, as is whoever would start it again; the server works on.
        assert keeper.stretch.receiver is not None
        await keeper.stretch.receiver.stop()
        keeper.stretch.receiver = None
        await stage.note("not received")
    _, aside = await bring_back(stage, None)
    assert aside is not None
    async with stage.running(keeping=False):
        assert await stage.notes() == ["received", "not received"]
        await stage.note("after")
    # And what is kept alone gives what was received.
    stage.lose_the_disk()
    await bring_back(stage, None)
    async with stage.running(keeping=False):
        assert await stage.notes() == ["received"]


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory whose path leaves room for a socket's in a cluster within it."""
    with TemporaryDirectory() as directory:
        yield Path(directory)


async def test_a_copy_can_be_made_beside_the_server_that_goes_on(short: Path) -> None:
    stage = Stage(data=short / "data", kept=short / "kept")
    async with stage.running() as keeper:
        # The base has the lock of the socket that this very server is using.
        assert (stage.data / "postgres" / "cluster" / SOCKET_LOCK).exists()
        await stage.run(SCHEMA)
        await take(keeper)
        await stage.note("in both")
        await covered(keeper, datetime.now(UTC))
        plan = make_plan(stage.catalogue, None)
        recovered = await recover(plan, prepare(short / "copy"), lambda *_: None)
        assert recovered.examination.rows["notes"] == 1
        await stage.note("in one")
        assert await stage.notes() == ["in both", "in one"]


async def test_a_time_after_the_last_transaction_is_the_end_of_the_log(stage: Stage) -> None:
    async with stage.running() as keeper:
        await stage.run(SCHEMA)
        await take(keeper)
        await stage.note("the last")
        quiet = await moment()
        await covered(keeper, quiet + timedelta(seconds=1))
    recovered, _ = await bring_back(stage, quiet)
    assert recovered.reached is not None
    assert recovered.reached <= quiet
    async with stage.running(keeping=False):
        assert await stage.notes() == ["the last"]


async def test_what_cannot_be_restored_is_said_with_what_can(stage: Stage) -> None:
    with pytest.raises(NotFound, match="flynn backup"):
        make_plan(stage.catalogue, None)
    async with stage.running() as keeper:
        await stage.run(SCHEMA)
        base = await take(keeper)
    for wrong in (base.started_at - timedelta(days=1), datetime.now(UTC) + timedelta(days=1)):
        with pytest.raises(InvalidInput, match=f"{base.finished_at:%Y-%m-%dT%H:%M:%SZ} to ") as refused:
            make_plan(stage.catalogue, wrong)
        assert "latest" in refused.value.detail
    # A backup whose file is damaged is refused, and replaces nothing.
    file = stage.catalogue.base(base.id) / base.database.file
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    before = portrait(stage.data)
    place = prepare(stage.data)
    with pytest.raises(BundleDamaged):
        await recover(make_plan(stage.catalogue, None), place, lambda *_: None)
    shutil.rmtree(place)
    after = portrait(stage.data)
    assert {name: facts[4] for name, facts in after.items()} == {
        name: facts[4] for name, facts in before.items()
    }


@pytest.mark.parametrize("text", ["yesterday", "2026-03-01T12:00:00", "2026-03-01", "12:00", ""])
def test_a_time_needs_its_zone(text: str) -> None:
    with pytest.raises(InvalidInput, match="latest"):
        target_of(text)


def test_times_are_understood() -> None:
    assert target_of("latest") is None
    assert target_of("2026-03-01T12:00:00.5+01:00") == datetime(2026, 3, 1, 11, 0, 0, 500_000, UTC)
    assert target_of("2026-03-01T12:00:00Z") == datetime(2026, 3, 1, 12, tzinfo=UTC)
