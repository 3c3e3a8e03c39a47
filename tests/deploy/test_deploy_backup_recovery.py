"""Barman and the backup service for real: rows before and after a second, and exactly those of it back."""

from datetime import datetime

import pytest

from tests.deploy.barman_stage import PATIENCE, moment, opened
from tests.eventually import eventually

pytestmark = [pytest.mark.slow, pytest.mark.needs("barman"), pytest.mark.timeout(900)]


async def test_a_destroyed_volume_comes_back_as_it_was_at_a_second() -> None:
    async with opened() as stage:
        await stage.note("before the base")
        async with stage.service() as service:
            await eventually(stage.well, what="a content health check", seconds=PATIENCE, every=2)
            await stage.note("after the base", "and more")
            good = await moment()
            await stage.note("too late")
            await stage.ask("DELETE FROM notes WHERE words <> 'too late'")
            (stage.data / "workspaces" / "one" / "file.txt").write_text("spoilt\n")
            await stage.covered(await moment())
            # The volume is gone, and with it the server.
            stage.kill()
            print(service.said)
        plan = await stage.document("plan", "--to", good.isoformat())
        assert plan["files"]
        restored = stage.directory / "restored"
        found = await stage.document("recover", "--to", good.isoformat(), "--into", str(restored))
        assert found["rows"]["notes"] == 3
        assert found["rows"]["events"] == 2
        assert found["indexes"] >= 4
        assert found["checksums"] is True
        assert datetime.fromisoformat(found["reached"]) <= good
        await stage.start(restored)
        assert await stage.notes() == ["before the base", "after the base", "and more"]
