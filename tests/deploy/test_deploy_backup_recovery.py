"""Barman and the backup service for real: rows before and after a second, and exactly those of it back."""

import shutil
from datetime import datetime, timedelta

import pytest

from tests.deploy.barman_stage import PATIENCE, opened
from tests.eventually import eventually
from tests.ops.notes import moment

pytestmark = [pytest.mark.slow, pytest.mark.needs("barman"), pytest.mark.timeout(1500)]


async def test_a_destroyed_volume_comes_back_as_it_was_at_a_second() -> None:
    async with opened() as stage:
        await stage.note("before the base")
        async with stage.service():
            await eventually(stage.well, what="a content health check", seconds=PATIENCE, every=2)
            await stage.note("after the base", "and more")
            good = await moment()
            await stage.note("too late")
            await stage.ask("DELETE FROM notes WHERE words <> 'too late'")
            (stage.data / "workspaces" / "one" / "file.txt").write_text("spoilt\n")
            quiet = await moment()
            await stage.covered(quiet + timedelta(seconds=1))
            # The volume is gone, and with it the server.
            stage.kill()
            shutil.rmtree(stage.cluster)

        # What can be had is known without the database; what cannot is refused with what can.
        plan = await stage.document("plan", "--to", good.isoformat())
        assert plan["files"]
        status, said = await stage.command("plan", "--to", "2001-01-01T00:00:00Z")
        assert status == 1
        assert "cannot be restored. What can, any second of it:" in said
        status, said = await stage.command("plan", "--to", "yesterday")
        assert (status, "write it with its zone" in said) == (1, True)

        # A second after the last transaction is the end of the log.
        last = stage.directory / "last"
        found = await stage.document("recover", "--to", quiet.isoformat(), "--into", str(last))
        assert found["rows"]["notes"] == 1

        restored = stage.directory / "restored"
        found = await stage.document("recover", "--to", good.isoformat(), "--into", str(restored))
        assert (found["rows"]["notes"], found["rows"]["events"]) == (3, 2)
        assert found["indexes"] >= 4
        assert found["checksums"] is True
        reached = datetime.fromisoformat(found["reached"])
        assert good - timedelta(minutes=1) < reached <= good
        status, said = await stage.command("recover", "--to", "latest", "--into", str(restored))
        assert (status, "is not empty" in said) == (1, True)

        # The files of the base, beside the database; what was there is kept.
        status, said = await stage.command("files", "--base", plan["base"], "--into", str(stage.data))
        assert status == 0, said
        assert (stage.data / "workspaces" / "one" / "file.txt").read_text() == "as it was\n"
        assert (stage.data / "owner.key").read_text() == "stays\n"
        (aside,) = stage.data.glob("before-restore-*")
        assert (aside / "workspaces" / "one" / "file.txt").read_text() == "spoilt\n"

        # The restored cluster is one like any other, and is backed up on a line of its own.
        await stage.start(restored)
        assert await stage.notes() == ["before the base", "after the base", "and more"]
        async with stage.service() as service:
            await eventually(
                lambda: service.said.count("a base was taken and verified") == 2,
                what="a base of the restored database",
                seconds=PATIENCE,
                every=1,
            )
            await stage.note("life goes on")
            later = await moment()
            await stage.note("a second mistake")
            await stage.covered(await moment())
            assert await stage.well()
        listed = await stage.document("list")
        assert listed["bases"][0]["timeline"] == 1
        assert listed["bases"][-1]["timeline"] > 1
        assert len(listed["windows"]) == 2

        # Times on either line can be had, from the same backups.
        times = {later.isoformat(): 4, good.isoformat(): 3, "latest": 5}
        for number, (second, rows) in enumerate(times.items()):
            into = stage.directory / f"again-{number}"
            found = await stage.document("recover", "--to", second, "--into", str(into))
            assert found["rows"]["notes"] == rows
