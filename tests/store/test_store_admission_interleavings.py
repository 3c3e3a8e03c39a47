"""Admission under everything at once: whoever comes in whatever order, the limits hold at every look.

Several tasks queue, admit, start, let wait, resume and end runs at random, each in transactions of its
own as intake and workers do it, while another looks at what is committed. Each example is a seed.
"""

import asyncio
import random
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.domain.run import Limits, RunState
from flynn.store import runs
from flynn.store.admission import AdmissionLimits, admit
from flynn.store.rows import RunRow
from tests.house import House, open_house

PRINCIPALS, WORKSPACES, CONVERSATIONS = 3, 5, 16
ACTORS, STEPS = 6, 40
LANES = ("", "", "one", "two")
LIMITS = AdmissionLimits(principal=2, everyone=4)
ONE = Limits(turns=1, nanodollars=1, prompt_tokens=1)

_SETUP = [
    text("INSERT INTO principals (id, name) SELECT p, p::text FROM unnest(CAST(:principals AS uuid[])) p"),
    text(
        "INSERT INTO workspaces (id, name, path) "
        "SELECT w, w::text, w::text FROM unnest(CAST(:workspaces AS uuid[])) w"
    ),
]
_CONVERSATION = text("""
INSERT INTO conversations (id, principal_id, workspace_id, agent, agent_version)
VALUES (:c, :p, :w, 'flynn-dev', '1')""")
_HELD = text("""
SELECT count(*) AS everyone,
  coalesce((SELECT max(n) FROM (SELECT count(*) AS n FROM runs WHERE job_id IS NOT NULL
    GROUP BY workspace_id, lane) w), 0) AS lane,
  coalesce((SELECT max(n) FROM (SELECT count(*) AS n FROM runs WHERE job_id IS NOT NULL
    GROUP BY principal_id) p), 0) AS principal,
  coalesce((SELECT max(n) FROM (SELECT count(*) AS n FROM runs
    WHERE state IN ('queued', 'running', 'waiting') GROUP BY conversation_id) c), 0) AS conversation,
  count(*) FILTER (WHERE state = 'waiting') AS waiting_with_slots
FROM runs WHERE job_id IS NOT NULL""")
_ONE_JOB_EACH = text("""
SELECT count(*) FROM runs r WHERE r.job_id IS NOT NULL AND NOT EXISTS (
  SELECT 1 FROM procrastinate_jobs j WHERE j.id = r.job_id AND j.args ->> 'run' = CAST(r.id AS text))""")
_COULD_RUN = text("""
SELECT count(*) FROM runs r WHERE r.state = 'queued' AND r.job_id IS NULL
  AND NOT EXISTS (
    SELECT 1 FROM runs b WHERE b.job_id IS NOT NULL AND b.workspace_id = r.workspace_id AND b.lane = r.lane)
  AND (SELECT count(*) FROM runs b WHERE b.job_id IS NOT NULL AND b.principal_id = r.principal_id) < :each
  AND (SELECT count(*) FROM runs b WHERE b.job_id IS NOT NULL) < :everyone""")


async def act(house: House, conversations: list[UUID], chance: random.Random) -> None:
    """One move of somebody: whatever the conversation's open run allows."""
    conversation_id = chance.choice(conversations)
    async with house.database.begin() as connection:
        conversation = await runs.lock_conversation(connection, conversation_id)
        run = await runs.open_run(connection, conversation_id)
        if run is None:
            await runs.queue_run(
                connection,
                conversation,
                conversation.principal_id,
                ONE,
                priority=chance.randint(-2, 2),
                lane=chance.choice(LANES),
            )
        else:
            await move(connection, run, chance)
        await admit(connection, LIMITS)
        if chance.random() < 0.3:
            await asyncio.sleep(chance.random() * 0.01)  # the locks are held a while


async def move(connection: AsyncConnection, run: RunRow, chance: random.Random) -> None:
    match run.state:
        case RunState.QUEUED if run.job_id is not None:
            await runs.start_run(connection, run, lost=False)
        case RunState.RUNNING if run.lane and chance.random() < 0.2:
            await runs.leave_lane(connection, run.id, uuid4())  # its worker found no repository
        case RunState.RUNNING if chance.random() < 0.4:
            await runs.wait_run(connection, run.id, reason="model", detail="", at=None)
        case RunState.WAITING if chance.random() < 0.7:
            await runs.queue_again(connection, run.id)
        case RunState.RUNNING | RunState.WAITING:
            await runs.end_run(connection, run, state=RunState.COMPLETED, reason="end_turn", detail=None)
        case _:
            pass


async def watch(house: House, over: asyncio.Event) -> int:
    """Look at what is committed until it is over; how often."""
    looks = 0
    while True:
        last = over.is_set()
        async with house.database.statement() as connection:
            held = (await connection.execute(_HELD)).one()
            assert held.everyone <= LIMITS.everyone
            assert held.lane <= 1
            assert held.principal <= LIMITS.principal
            assert held.conversation <= 1
            assert held.waiting_with_slots == 0
            assert await connection.scalar(_ONE_JOB_EACH) == 0
        looks += 1
        if last:
            return looks
        await asyncio.sleep(0.002)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
async def test_the_limits_hold_whoever_comes_when(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    principals = [uuid4() for _ in range(PRINCIPALS)]
    workspaces = [uuid4() for _ in range(WORKSPACES)]
    conversations = [uuid4() for _ in range(CONVERSATIONS)]
    async with open_house(tmp_path) as house:
        async with house.database.begin() as connection:
            await connection.execute(_SETUP[0], {"principals": principals})
            await connection.execute(_SETUP[1], {"workspaces": workspaces})
            for c in conversations:
                place = {"c": c, "p": chance.choice(principals), "w": chance.choice(workspaces)}
                await connection.execute(_CONVERSATION, place)
        over = asyncio.Event()

        async def actor(number: int) -> None:
            own = random.Random(seed * 100 + number)
            for _ in range(STEPS):
                await act(house, conversations, own)

        watching = asyncio.create_task(watch(house, over))
        await asyncio.gather(*(actor(n) for n in range(ACTORS)))
        over.set()
        assert await watching > 5
        async with house.database.begin() as connection:
            await admit(connection, LIMITS)
            # Nobody who may run is left standing once all is quiet.
            parameters = {"each": LIMITS.principal, "everyone": LIMITS.everyone}
            assert await connection.scalar(_COULD_RUN, parameters) == 0
            ended = await connection.scalar(text("SELECT count(*) FROM runs WHERE state = 'completed'"))
            assert ended > 5
