"""The sweeper: what rests for long goes, what is in use stays."""

import asyncio
from pathlib import Path
from uuid import uuid4

from flynn.worker.sweeper import LOOK_SECONDS, UNUSED_SECONDS, Sweeper
from flynn.workspace.scratch import create_scratch
from tests.eventually import eventually


async def test_only_what_was_not_used_for_a_month_goes(tmp_path: Path) -> None:
    base, conversation = tmp_path / "scratch", uuid4()
    sweeper = Sweeper(base)
    assert await sweeper.sweep() == 0
    scratch = create_scratch(base, conversation)
    (scratch / "file").write_bytes(b"x")
    used = scratch.stat().st_ctime
    assert await sweeper.sweep(used + UNUSED_SECONDS - 1) == 0
    assert scratch.exists()
    assert await sweeper.sweep(used + UNUSED_SECONDS + 1) == 1
    assert not scratch.exists()
    assert create_scratch(base, conversation) == scratch


async def test_what_a_killed_look_left_behind_goes(tmp_path: Path) -> None:
    left = tmp_path / "checks" / "before-abc"
    (left / "deep").mkdir(parents=True)
    (left / "deep" / "compose.yaml").write_text("services: {}\n")
    sweeper = Sweeper(tmp_path / "scratch")
    assert await sweeper.sweep(left.stat().st_ctime + LOOK_SECONDS - 1) == 0
    assert await sweeper.sweep(left.stat().st_ctime + LOOK_SECONDS + 1) == 1
    assert not left.exists()


async def test_it_sweeps_from_its_start_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    sweeping = asyncio.create_task(Sweeper(tmp_path / "file").run())
    await asyncio.sleep(0.05)
    assert not sweeping.done(), "a base that is no directory is logged, not raised"
    sweeping.cancel()
    await eventually(sweeping.done)
    assert sweeping.cancelled()
