"""The clock: a run whose job is lost is queued again, once."""

from pathlib import Path

from sqlalchemy import text

from flynn.worker.clock import Clock
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
