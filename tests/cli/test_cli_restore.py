"""What `flynn backup`, `backups` and `restore` say and refuse, over a real data directory."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flynn.cli import backup
from flynn.cli.restore import Order, restore
from flynn.domain.errors import ConfigurationError, Conflict, InvalidInput
from flynn.settings import Settings
from flynn.telemetry import logging
from tests.ops.backup_stage import SCHEMA, Stage, covered, plant, take
from tests.ops.notes import moment


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    yield
    logging.configure("info", "console")


async def test_a_database_of_the_operators_is_theirs_to_back_up(tmp_path: Path) -> None:
    settings = Settings.load(None, data_dir=tmp_path, database_url="postgresql://flynn:secret@localhost/x")
    for work in (
        backup.take(settings, as_json=False),
        backup.show(settings, as_json=False),
        restore(settings, Order(to="latest")),
    ):
        with pytest.raises(ConfigurationError, match="DATABASE_URL") as refused:
            await work
        assert "secret" not in refused.value.detail
    assert not (tmp_path / "backups").exists()


async def test_without_backups_nothing_is_made_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings.load(None, data_dir=tmp_path / "data")
    assert await backup.show(settings, as_json=False) == 0
    assert "There is no backup yet" in capsys.readouterr().out
    with pytest.raises(ConfigurationError, match="no backups"):
        await restore(settings, Order(to="latest"))
    with pytest.raises(InvalidInput, match="yesterday"):
        await restore(settings, Order(to="yesterday"))
    off = settings.model_copy(update={"backups": False})
    with pytest.raises(ConfigurationError, match="FLYNN_BACKUPS"):
        await backup.take(off, as_json=False)


@pytest.mark.slow
async def test_what_a_restoring_says_and_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stage = Stage(data=tmp_path / "data", kept=tmp_path / "kept")
    async with stage.running() as keeper:
        plant(stage.data)
        await stage.run(SCHEMA)
        base = await take(keeper)
        await stage.note("kept")
        good = await moment()
        await stage.note("mistake")
        await covered(keeper, datetime.now(UTC))
    settings = Settings.load(None, data_dir=stage.data, backup_dir=stage.kept)
    assert await backup.show(settings, as_json=False) == 0
    shown = capsys.readouterr().out
    assert base.id in shown
    assert "verified" in shown
    assert "Any second from" in shown
    assert "the workspace of the operator" in shown

    with pytest.raises(InvalidInput, match="cannot be restored"):
        await restore(settings, Order(to="2020-01-01T00:00:00Z", yes=True))
    assert await restore(settings, Order(to=good.isoformat(), dry_run=True)) == 0
    shown = capsys.readouterr().out
    assert "not in backups, so not touched: of the operator" in shown
    assert "0.0 MB" not in shown
    assert "moved aside, not deleted: postgres/cluster, workspaces, .flynn, .flynn-volume" in shown
    assert "which is not the second asked for" in shown
    assert "Nothing was done" in shown
    with pytest.raises(ConfigurationError, match="--yes"):
        await restore(settings, Order(to=good.isoformat()))
    assert not list(stage.data.glob("before-restore-*"))

    (stage.data / "workspaces" / "one" / "new").write_text("since then")
    assert await restore(settings, Order(to=good.isoformat(), yes=True, keep_workspaces=True)) == 0
    said = capsys.readouterr()
    assert "1 rows  notes" in said.out
    assert "replaying the log" in said.err
    assert (stage.data / "workspaces" / "one" / "new").read_text() == "since then"
    async with stage.running(keeping=False):
        assert await stage.notes() == ["kept"]

    copy = tmp_path / "copy"
    assert await restore(settings, Order(to="latest", into=copy)) == 0
    async with Stage(data=copy, kept=tmp_path / "none").running(keeping=False):
        pass
    assert (copy / "workspaces" / "one" / "script.sh").exists()
    assert not (copy / "workspaces" / "one" / "new").exists()
    with pytest.raises(Conflict, match="not empty"):
        await restore(settings, Order(to="latest", into=copy))
