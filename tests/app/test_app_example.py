"""When the scripted example comes on, and when it ends. How it is played: tests/drills."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import text

from flynn.app.cast import Listen, Player
from flynn.app.database import Address
from flynn.app.example import ScriptedExample
from flynn.domain.orders import ConversationOrder
from flynn.live.memory import MemoryBus
from flynn.settings import Settings
from flynn.workspace.volume import Volume
from tests.eventually import eventually
from tests.house import open_house

IDLE_SECONDS = 1.2


class Nobody:
    """A cast without players, which keeps when it came and went."""

    def __init__(self) -> None:
        self.came: list[float] = []
        self.went: list[float] = []

    async def enter(self, settings: Settings, volume: Volume, listen: Listen) -> None:
        del settings, volume, listen
        self.came.append(asyncio.get_running_loop().time())

    def players(self) -> Sequence[Player]:
        return []

    def trouble(self) -> str | None:
        return None

    def wind_down(self, *, urgent: bool = False) -> None:
        del urgent

    async def leave(self) -> None:
        if len(self.went) < len(self.came):
            self.went.append(asyncio.get_running_loop().time())


@pytest.mark.slow
async def test_whoever_prepares_it_while_it_is_about_to_end_has_it_for_as_long_as_anybody(
    tmp_path: Path,
) -> None:
    settings = Settings.load(None, data_dir=tmp_path / "data")
    settings = settings.model_copy(update={"example_idle_minutes": IDLE_SECONDS / 60})
    cast = Nobody()
    async with (
        open_house(tmp_path) as house,
        MemoryBus() as bus,
        ScriptedExample(
            settings,
            address=Address(url=house.postgres.url, dsn=house.postgres.dsn),
            database=house.database,
            views=house.views,
            bus=bus,
            cast=cast,
            by_descriptor=False,
        ) as example,
    ):
        loop = asyncio.get_running_loop()
        first = await example.prepare(house.owner)
        assert first.task is not None
        order = ConversationOrder(workspace=first.task.workspace)
        await house.intake.create_conversation(house.owner, order)
        async with house.database.begin() as connection:
            # The next copy cannot be made known, so the second preparation takes until all is idle.
            await connection.execute(text("LOCK TABLE workspaces IN SHARE MODE"))
            second = asyncio.create_task(example.prepare(house.owner))
            await asyncio.sleep(1.5 * IDLE_SECONDS)
            assert not second.done()
            assert cast.went == []
            let_go_at = loop.time()
        assert (await second).task != first.task
        await eventually(lambda: len(cast.went) == 1, what="its end")
        assert cast.went[0] - let_go_at > IDLE_SECONDS
        assert len(cast.came) == 1
