"""At every crash point a process dies by SIGKILL, another finishes, and all is as promised.

Real processes on a real database, Redis, disk and sandbox; the model is simulated, and strict. A drill fails
when its point was not reached, or when the process died otherwise. `tests.drills.crash_plays` has the table.
"""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from flynn.telemetry.crash_point import POINTS
from tests.drills.crash_plays import DRILLS, TURNS, Drill, small
from tests.drills.crash_scripts import SCRIPTS
from tests.drills.stage import Stage, open_stage

pytestmark = pytest.mark.timeout(300)
needs = pytest.mark.needs("bubblewrap", "redis-server")
GROUPS = 3
"""So many stages are set when there are processes for them; each plays its share of the drills in turn."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    place = tmp_path_factory.mktemp("crash")
    async with open_stage(place, SCRIPTS, FLYNN_RUN_MAX_TURNS=str(TURNS)) as stage:
        yield stage


def test_every_point_is_drilled() -> None:
    assert {drill.point for drill in DRILLS} == set(POINTS)
    assert len({str(drill) for drill in DRILLS}) == len(DRILLS)


@pytest.mark.slow
@needs
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "drill",
    [
        pytest.param(drill, id=str(drill), marks=pytest.mark.xdist_group(f"crash-{place % GROUPS}"))
        for place, drill in enumerate(DRILLS)
    ],
)
async def test_a_death_at(stage: Stage, drill: Drill) -> None:
    await stage.ready()
    await stage.victim(server=drill.of_server).arm(*drill.deaths[0])
    play = asyncio.create_task(drill.play(stage))
    try:
        for (point, _), following in zip(drill.deaths, [*drill.deaths[1:], None], strict=True):
            await stage.death(point, play, server=drill.of_server)
            await stage.successor(following, server=drill.of_server)
        await play
    finally:
        play.cancel()
        await asyncio.gather(play, return_exceptions=True)


@pytest.mark.slow
@needs
@pytest.mark.xdist_group("crash-0")
@pytest.mark.asyncio(loop_scope="module")
async def test_a_point_that_is_not_reached_fails_the_drill(stage: Stage) -> None:
    await stage.ready()
    await stage.worker.arm("wake.before-commit")
    play = asyncio.create_task(small(stage))
    with pytest.raises(AssertionError, match=r"wake\.before-commit was not reached"):
        await stage.death("wake.before-commit", play, server=False)
    await play


@pytest.mark.slow
@needs
@pytest.mark.xdist_group("crash-1")
@pytest.mark.asyncio(loop_scope="module")
async def test_a_death_elsewhere_fails_the_drill(stage: Stage) -> None:
    await stage.ready()
    await stage.worker.arm("wake.before-commit")
    stage.worker.kill()
    with pytest.raises(AssertionError, match="died otherwise"):
        await stage.worker.died("wake.before-commit")
