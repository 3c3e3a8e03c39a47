"""Lost workers are counted however the loss was noticed, and one that ends in order is none."""

import asyncio
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from flynn.domain import events as ev
from flynn.domain.orders import InterruptOrder
from flynn.domain.run import RunState
from flynn.store.mounts import renew_mounts, sign_off
from flynn.worker.claims import claim
from flynn.worker.clock import Clock
from tests.eventually import abandon, eventually
from tests.house import ADMISSION, House, TestLease, open_house

WORDS = """
name: words
loop: true
turns: [{blocks: [{text: Hello.}]}]
"""

HANGS = """
name: hangs
turns:
  - {blocks: [{text: Hello.}], faults: [{kind: hang, seconds: 3, on_attempt: 1}]}
  - blocks: [{text: Again.}]
"""

COMMAND = """
name: command
turns:
  - blocks: [{tool: Bash, input: {command: "echo x >> began.txt; sleep 30"}}]
  - blocks: [{text: I looked.}]
  - blocks: [{text: I go on.}]
"""


async def take(house: House) -> None:
    """Claim the admitted run as a worker does, and be lost at once."""
    run_id, job_id = (await house.jobs())[0]
    held = await claim(
        house.database,
        run_id,
        job_id=job_id,
        worker="lost",
        again=False,
        freeze=house.runner.workplace.freeze,
        allowed=None,
        publish=house.published.extend,
    )
    assert held is not None


async def lost(house: House) -> int:
    async with house.database.statement() as connection:
        return int(await connection.scalar(text("SELECT lost FROM runs")) or 0)


def clock_of(house: House) -> Clock:
    return Clock(house.database, admission=ADMISSION, publish=house.published.extend)


@pytest.mark.parametrize(
    "loss",
    [
        "DELETE FROM procrastinate_jobs",
        "UPDATE procrastinate_jobs SET status = 'failed'",
    ],
    ids=["job lost", "job failed"],
)
async def test_a_run_that_the_clock_queues_again_has_lost_its_worker(tmp_path: Path, loss: str) -> None:
    async with open_house(tmp_path, WORDS) as house:
        clock = clock_of(house)
        conversation = await house.converse()
        await house.say(conversation.id, "Hello?")
        for times in range(1, 4):
            await take(house)
            async with house.database.begin() as connection:
                await connection.execute(text(loss))
            assert await clock.reconcile() == 1
            assert await lost(house) == times
        await house.work()
        failed = (await house.log(conversation.id))[-1].event
        assert isinstance(failed, ev.RunFailed)
        assert failed.code == "worker-lost"
        assert "3 times" in failed.detail
        await house.say(conversation.id, "And now?")
        await house.work()
        assert (await house.types(conversation.id))[-1] == "run.completed"


async def test_a_run_that_never_began_has_lost_nobody(tmp_path: Path) -> None:
    async with open_house(tmp_path, WORDS) as house:
        conversation = await house.converse()
        await house.say(conversation.id, "Hello?")
        for _ in range(4):
            async with house.database.begin() as connection:
                await connection.execute(text("DELETE FROM procrastinate_jobs"))
            assert await clock_of(house).reconcile() == 1
        assert await lost(house) == 0
        await house.work()
        assert (await house.types(conversation.id))[-1] == "run.completed"


@pytest.mark.needs("bubblewrap")
async def test_a_worker_that_ends_in_order_is_not_counted_and_shows_the_run_as_queued(tmp_path: Path) -> None:
    async with open_house(tmp_path, COMMAND) as house:
        conversation = await house.converse()
        await house.say(conversation.id, "Go.")
        ((run_id, job_id),) = await house.jobs()
        for times in range(1, 5):
            lease = TestLease(job_id)
            worker = asyncio.create_task(house.runner.run(run_id, lease))
            if times == 1:
                await eventually((house.workspace / "began.txt").exists, what="the command")
            else:
                await eventually(lambda n=times: _began(house, conversation.id, n), what="the claim")  # type: ignore[misc]
            lease.handed_back = True
            await abandon(worker)
            if (await house.types(conversation.id))[-1] == "run.completed":
                break
            view = await house.views.conversation(house.owner, conversation.id)
            assert view.run is not None
            assert view.run.state is RunState.QUEUED
            assert await house.jobs() == [(run_id, job_id)]  # it keeps its job and its slots
        assert await lost(house) == 0
        assert (house.workspace / "began.txt").read_text() == "x\n"


async def _began(house: House, conversation_id: UUID, times: int) -> bool:
    return (await house.types(conversation_id)).count("run.started") >= times


async def test_a_handed_back_run_is_ended_where_it_stands(tmp_path: Path) -> None:
    """Nobody has it, so nobody has to be waited for; whoever gets its job later finds it over."""
    async with open_house(tmp_path, HANGS) as house:
        conversation = await house.converse()
        await house.say(conversation.id, "Go.")
        ((run_id, job_id),) = await house.jobs()
        lease = TestLease(job_id)
        worker = asyncio.create_task(house.runner.run(run_id, lease))
        await eventually(lambda: _began(house, conversation.id, 1), what="the claim")
        lease.handed_back = True
        await abandon(worker)
        view = await house.intake.interrupt(house.owner, conversation.id, InterruptOrder(reason="enough"))
        assert view is not None
        assert view.state is RunState.CANCELLED
        await house.runner.run(run_id, TestLease(job_id))
        assert (await house.types(conversation.id))[-1] == "run.cancelled"


async def test_runs_for_a_volume_that_nobody_has_any_more_give_their_slots_back(tmp_path: Path) -> None:
    async with open_house(tmp_path, WORDS) as house:
        clock, worker, volume = clock_of(house), uuid4(), uuid4()
        async with house.database.begin() as connection:
            await connection.execute(
                text("INSERT INTO volumes (id, root) VALUES (:v, '/nowhere')"), {"v": volume}
            )
            await connection.execute(text("UPDATE workspaces SET volume_id = :v"), {"v": volume})
            await renew_mounts(connection, worker, [volume])
        conversation = await house.converse()
        await house.say(conversation.id, "Hello?")
        ((run_id, job_id),) = await house.jobs()
        assert await clock.reconcile() == 0
        async with house.database.begin() as connection:
            await sign_off(connection, worker)
            await connection.execute(text("UPDATE procrastinate_jobs SET status = 'doing'"))
        assert await clock.reconcile() == 0  # somebody is at it all the same
        async with house.database.begin() as connection:
            await connection.execute(text("UPDATE procrastinate_jobs SET status = 'todo'"))
        assert await clock.reconcile() == 1
        assert await house.jobs() == []
        async with house.database.statement() as connection:
            assert await connection.scalar(text("SELECT count(*) FROM procrastinate_jobs")) == 0
        assert await clock.reconcile() == 0
        async with house.database.begin() as connection:
            await renew_mounts(connection, worker, [volume])
        await clock.reconcile()
        assert [r for r, _ in await house.jobs()] == [run_id]
        assert await house.jobs() != [(run_id, job_id)]


async def test_what_a_lost_worker_left_open_is_paid_by_its_own_run(tmp_path: Path) -> None:
    """Promise 9: intake ends a run whose worker was lost in the middle of a model call."""
    async with open_house(tmp_path, HANGS) as house:
        conversation = await house.converse()
        await house.say(conversation.id, "Go.")
        worker = await house.start_work()
        await eventually(lambda: _asked(house, conversation.id), what="the model call")
        await abandon(worker)
        async with house.database.begin() as connection:
            await connection.execute(text("DELETE FROM procrastinate_jobs"))
        await clock_of(house).reconcile()
        await house.intake.interrupt(house.owner, conversation.id, InterruptOrder())
        log = await house.log(conversation.id)
        reserved = next(r.event.reserved_nanodollars for r in log if isinstance(r.event, ev.StepStarted))
        ends = [r.event for r in log if isinstance(r.event, ev.StepFailed | ev.RunCancelled)]
        assert [e.type for e in ends] == ["step.failed", "run.cancelled"]
        assert [e.nanodollars for e in ends] == [reserved, reserved]
        async with house.database.statement() as connection:
            assert await connection.scalar(text("SELECT nanodollars FROM runs")) == reserved

        await house.say(conversation.id, "Again.")
        await house.work()
        log = await house.log(conversation.id)
        done = log[-1].event
        assert isinstance(done, ev.RunCompleted)
        own = [r.event for r in log if r.run_id == log[-1].run_id]
        assert done.nanodollars == sum(
            e.nanodollars for e in own if isinstance(e, ev.StepCompleted | ev.StepFailed)
        )
        assert done.nanodollars < reserved


async def _asked(house: House, conversation_id: UUID) -> bool:
    return "step.started" in await house.types(conversation_id)


async def test_a_run_that_fails_before_its_first_call_is_not_followed_by_one_that_does_too(
    tmp_path: Path,
) -> None:
    async with open_house(tmp_path, WORDS) as house:
        conversation = await house.converse()
        house.workspace.rename(tmp_path / "elsewhere")
        await house.say(conversation.id, "Hello?")
        assert await asyncio.wait_for(house.work(), 20) == 1
        assert (await house.types(conversation.id))[-1] == "run.failed"
        (tmp_path / "elsewhere").rename(house.workspace)
        await house.say(conversation.id, "And now?")
        await house.work()
        log = await house.log(conversation.id)
        assert log[-1].event.type == "run.completed"
        manifest = next(r.event.input_seqs for r in log if isinstance(r.event, ev.StepStarted))
        assert {r.seq for r in log if isinstance(r.event, ev.MessageSent)} <= set(manifest)
