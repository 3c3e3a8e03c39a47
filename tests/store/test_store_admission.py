"""Admission: one run a workspace, N a principal, N in all; resumes first; never more, however many ask."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from flynn.store import runs
from flynn.store.admission import AdmissionLimits, admit
from tests.house import House, open_house

_WORKSPACE = text("INSERT INTO workspaces (id, name, path) VALUES (:w, :name, :name)")
_CONVERSATION = text("""
INSERT INTO conversations (id, principal_id, workspace_id, agent, agent_version)
VALUES (:c, :p, :w, 'flynn-dev', '1')""")
_RUN = text("""
INSERT INTO runs (id, conversation_id, workspace_id, principal_id, lane, state, resume, priority,
                  not_before, limit_turns, limit_nanodollars, limit_prompt_tokens)
VALUES (:r, :c, :w, :p, :lane, 'queued', :resume, :priority,
        now() + make_interval(secs => :delay), 1, 1, 1)""")
_PRINCIPAL = text("INSERT INTO principals (id, name) VALUES (:p, :name)")
_MOST = text("""
SELECT max(n) FROM (SELECT count(*) AS n FROM runs WHERE job_id IS NOT NULL GROUP BY workspace_id) AS held""")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as opened:
        yield opened


async def workspace(house: House) -> UUID:
    made = uuid4()
    async with house.database.begin() as connection:
        await connection.execute(_WORKSPACE, {"w": made, "name": f"/{made}"})
    return made


async def principal(house: House) -> UUID:
    made = uuid4()
    async with house.database.begin() as connection:
        await connection.execute(_PRINCIPAL, {"p": made, "name": str(made)})
    return made


async def queue(
    house: House,
    where: UUID,
    *,
    who: UUID | None = None,
    resume: bool = False,
    priority: int = 0,
    delay: float | None = None,
    lane: str = "",
) -> UUID:
    """A queued run in a conversation of its own."""
    run_id = uuid4()
    found = {
        "r": run_id,
        "c": uuid4(),
        "w": where,
        "p": who or house.owner.id,
        "resume": resume,
        "priority": priority,
        "delay": delay,
        "lane": lane,
    }
    async with house.database.begin() as connection:
        await connection.execute(_CONVERSATION, found)
        await connection.execute(_RUN, found)
    return run_id


async def admitted(house: House, *, principal: int = 8, everyone: int = 256) -> list[UUID]:
    async with house.database.begin() as connection:
        return await admit(connection, AdmissionLimits(principal=principal, everyone=everyone))


async def end(house: House, run_id: UUID) -> None:
    async with house.database.begin() as connection:
        await connection.execute(
            text("UPDATE runs SET state = 'completed', job_id = NULL WHERE id = :r"), {"r": run_id}
        )


async def test_a_workspace_has_one_run_at_a_time_in_order_of_age(house: House) -> None:
    where = await workspace(house)
    queued = [await queue(house, where) for _ in range(3)]
    for run_id in queued:
        assert await admitted(house) == [run_id]
        assert await admitted(house) == []
        await end(house, run_id)


async def test_a_branch_is_a_lane_of_its_own_beside_the_workspaces_files(house: House) -> None:
    """Tasks with checkouts and a chat run at once; who shares a branch, or the files, takes turns."""
    where = await workspace(house)
    chat, one, two = [await queue(house, where, lane=lane) for lane in ("", "one", "two")]
    later = [await queue(house, where, lane=lane) for lane in ("", "one", "two")]
    elsewhere = await queue(house, await workspace(house), lane="one")
    assert set(await admitted(house)) == {chat, one, two, elsewhere}
    await end(house, one)
    assert await admitted(house) == [later[1]]
    await end(house, chat)
    assert await admitted(house) == [later[0]]
    await end(house, two)
    assert await admitted(house, everyone=3) == []
    assert await admitted(house) == [later[2]]


async def test_a_run_that_leaves_its_lane_is_first_in_line_for_the_files(house: House) -> None:
    where = await workspace(house)
    chat, task = await queue(house, where), await queue(house, where, lane="one")
    assert set(await admitted(house)) == {chat, task}
    waiting = await queue(house, where, priority=9)
    async with house.database.begin() as connection:
        left = await runs.leave_lane(connection, task, uuid4())
    assert (left.state, left.lane, left.job_id) == ("queued", "", None)
    assert await admitted(house) == []
    await end(house, chat)
    assert await admitted(house) == [task]
    await end(house, task)
    assert await admitted(house) == [waiting]


async def test_resumes_come_before_fresh_runs_and_priority_before_age(house: House) -> None:
    where = await workspace(house)
    old = await queue(house, where)
    urgent = await queue(house, where, priority=5)
    resumed = await queue(house, where, resume=True)
    for run_id in (resumed, urgent, old):
        assert await admitted(house) == [run_id]
        await end(house, run_id)


async def test_a_principal_has_its_share_and_no_more(house: House) -> None:
    other = await principal(house)
    for _ in range(4):
        await queue(house, await workspace(house))
    theirs = await queue(house, await workspace(house), who=other)
    first = await admitted(house, principal=2)
    assert len(first) == 3
    assert theirs in first
    assert await admitted(house, principal=2) == []
    await end(house, theirs)
    assert await admitted(house, principal=2) == []
    await end(house, next(r for r in first if r != theirs))
    assert len(await admitted(house, principal=2)) == 1


async def test_the_service_has_a_limit(house: House) -> None:
    for _ in range(5):
        await queue(house, await workspace(house), who=await principal(house))
    assert len(await admitted(house, everyone=3)) == 3
    assert await admitted(house, everyone=3) == []


async def test_admissions_at_the_same_time_stay_within_the_limits(house: House) -> None:
    places = [await workspace(house) for _ in range(6)]
    for where in places:
        for _ in range(3):
            await queue(house, where)
    found = await asyncio.gather(*(admitted(house, principal=4) for _ in range(8)))
    assert sum(len(ids) for ids in found) == 4
    async with house.database.statement() as connection:
        assert await connection.scalar(_MOST) == 1
        jobs = await connection.scalar(text("SELECT count(*) FROM procrastinate_jobs"))
    assert jobs == 4


async def test_jobs_stand_in_the_order_of_admission(house: House) -> None:
    """More runs may be admitted than workers are free: whoever is fetched first is no accident."""
    task = await queue(house, await workspace(house), priority=-3)
    chat = await queue(house, await workspace(house), priority=10)
    resumed = await queue(house, await workspace(house), resume=True)
    assert set(await admitted(house)) == {task, chat, resumed}
    async with house.database.statement() as connection:
        rows = await connection.execute(
            text("SELECT args ->> 'run' AS run FROM procrastinate_jobs ORDER BY priority DESC, id")
        )
        assert [UUID(row.run) for row in rows] == [resumed, chat, task]


async def test_a_delayed_run_holds_nothing_until_its_time_has_come(house: House) -> None:
    where = await workspace(house)
    later = await queue(house, where, delay=3600)
    now = await queue(house, where)
    assert await admitted(house, principal=1) == [now]
    await end(house, now)
    assert await admitted(house) == []
    async with house.database.begin() as connection:
        await connection.execute(text("UPDATE runs SET not_before = now() - interval '1 second'"))
    assert await admitted(house) == [later]


async def test_a_full_principal_blocks_nobody_elses_way_into_a_shared_workspace(house: House) -> None:
    """Its run stands first in the workspace, but cannot start: the one behind it can."""
    other, shared = await principal(house), await workspace(house)
    await queue(house, await workspace(house), priority=5)
    await queue(house, shared, priority=4)
    theirs = await queue(house, shared, who=other)
    found = await admitted(house, principal=1)
    assert theirs in found
    assert len(found) == 2
