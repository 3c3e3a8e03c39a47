"""Point in time: what is gone comes back as it was at any second, from the backups alone."""

import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flynn.domain.errors import InvalidInput, NotFound
from flynn.ops.backup.exchange import exchange, prepare
from flynn.ops.backup.plan import make_plan, target_of
from flynn.ops.backup.recovery import Recovered, recover
from tests.ops.backup_stage import SCHEMA, TREES, Stage, covered, moment, plant, portrait, take

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
