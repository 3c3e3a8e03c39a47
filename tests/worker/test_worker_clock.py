"""The clock: a run whose job is lost is queued again, once."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import text

from flynn.domain.orders import TaskOrder
from flynn.domain.run import RunState
from flynn.worker.clock import Clock
from tests.eventually import abandon, eventually
from tests.house import ADMISSION, open_house


async def test_a_run_whose_job_is_lost_is_queued_again(tmp_path: Path) -> None:
    async with open_house(tmp_path, "name: a\nturns: [{blocks: [{text: Hello.}]}]\n") as house:
        clock = Clock(house.database, admission=ADMISSION, publish=house.published.extend)
        conversation = await house.converse()
        await house.say(conversation.id, "Hello?")
        assert await clock.reconcile() == 0
        async with house.database.begin() as connection:
            await connection.execute(text("DELETE FROM procrastinate_jobs"))
        assert await clock.reconcile() == 1
        assert await clock.reconcile() == 0
        assert await house.work() == 1
        types = await house.types(conversation.id)
        assert types[:4] == ["message.sent", "run.queued", "run.queued", "run.started"]
        assert types[-1] == "run.completed"


async def test_a_delayed_run_stands_in_line_soon_after_its_time(tmp_path: Path) -> None:
    async with open_house(tmp_path, "name: a\nturns: [{blocks: [{text: Hello.}]}]\n") as house:
        clock = Clock(house.database, admission=ADMISSION, publish=house.published.extend)
        time = datetime.now(UTC) + timedelta(seconds=1)
        order = TaskOrder(instructions="x", workspace="house", not_before=time)
        task, _ = await house.intake.delegate_task(house.owner, order, idempotency_key=None)
        ticking = asyncio.create_task(clock.run())

        async def admitted() -> bool:
            return bool(await house.jobs())

        await eventually(admitted, what="the job")
        await abandon(ticking)
        assert datetime.now(UTC) >= time
        assert await house.work() == 1
        done = await house.views.task(house.owner, task.id)
        assert (done.state, done.not_before) == (RunState.COMPLETED, None)
