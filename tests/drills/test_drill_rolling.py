"""A rolling restart under load loses nothing: three processes behind a proxy, each replaced in its turn.

Once by the same version, and once by the next, which migrates the database while two of the version before
are still at work: those step aside (docs/upgrade.md), and none of theirs starts again.
"""

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg
import pytest

from flynn.store.migrate import head
from tests.drills import newer_program
from tests.drills.audit import Audit
from tests.drills.fleet import Fleet, Member
from tests.drills.follower import Follower
from tests.drills.front import Front, proxy
from tests.drills.place import open_fleet
from tests.drills.rolling_load import Delegator, Talker
from tests.eventually import eventually
from tests.live.redis_server import own_redis
from tests.loopback import free_port

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1500),
    pytest.mark.needs("haproxy", "redis-server", "bubblewrap"),
]

SCRIPT = """
name: load
match: "go on"
loop: true
pacing: {tokens_per_second: 200}
turns:
  - blocks:
      - text: '{{ words(20) }}'
      - {tool: Bash, input: {command: "echo x >> ledger.txt; sleep 0.3"}}
  - blocks: [{text: '{{ words(20) }}'}]
"""
NAMES = ("one", "two", "three")
NEWER = (sys.executable, newer_program.__file__)
TALKERS, DELEGATORS = 4, 2
SETTINGS = {"FLYNN_EXAMPLE": "off", "FLYNN_LEASE_SECONDS": "30", "FLYNN_PRINCIPAL_RUNS": "20"}


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with AsyncExitStack() as stack:
        redis = stack.enter_context(own_redis())
        fleet = await stack.enter_async_context(open_fleet(tmp_path, SCRIPT, redis_url=redis.url, **SETTINGS))
        servers = list(await asyncio.gather(*(fleet.serve(name, worker=True) for name in NAMES)))
        found = Front(fleet, servers, await stack.enter_async_context(servers[0].http()))
        found.redis, found.url = redis, stack.enter_context(proxy(tmp_path, servers))
        await found.open()
        yield found


async def replaced(fleet: Fleet, member: Member) -> Member:
    """End a member in order, and start another in its place: same name, same data, same port."""
    member.send(signal.SIGTERM)
    assert await member.ended(60) == 0, member.said()[-3000:]
    return await fleet.serve(member.name, worker=True, FLYNN_PORT=member.url.rpartition(":")[2])


async def not_ready(member: Member) -> str:
    """What a member says of its database, once it is not ready any more."""
    said = ""

    async def down() -> bool:
        nonlocal said
        async with member.http() as http:
            answer = await http.get("/ready")
        parts = {part["name"]: part for part in answer.json()["parts"]}
        said = parts["database"]["detail"]
        return answer.status_code == 503 and parts["database"]["state"] == "down"

    await eventually(down, what=f"{member.name} stepping aside", seconds=180, every=0.5)
    return said


@pytest.mark.parametrize("version", ["same", "next"])
async def test_a_rolling_restart_under_load_loses_nothing(front: Front, version: str) -> None:
    fleet, enough = front.fleet, asyncio.Event()
    talkers = [Talker(Follower(front.url, front.key, await front.conversation())) for _ in range(TALKERS)]
    delegators = []
    for number in range(DELEGATORS):
        await front.conversation()  # for its workspace
        delegators.append(Delegator(front.url, front.key, f"client-{number}", f"w{TALKERS + number + 1}"))
    load = [
        *(asyncio.create_task(talker.talk(enough)) for talker in talkers),
        *(asyncio.create_task(delegator.delegate(enough)) for delegator in delegators),
    ]

    async def all_went_on(beyond: list[int]) -> bool:
        for task in load:
            if task.done():
                await task
        return all(now > then for now, then in zip(counts(talkers, delegators), beyond, strict=True))

    async def progress() -> None:
        then = counts(talkers, delegators)
        await eventually(lambda: all_went_on(then), what="progress of everybody", seconds=400)

    await progress()
    if version == "next":
        fleet.program = NEWER
    for number, old in enumerate(list(front.servers)):
        front.servers[number] = await replaced(fleet, old)
        if version == "next" and number == 0:
            for left in front.servers[1:]:
                said = await not_ready(left)
                assert f"schema {newer_program.NEXT}, made by a newer version" in said
                assert f"knows schemas up to {head()}" in said
                assert "this worker is overtaken and takes no more runs" in left.said()
        await progress()
    enough.set()
    await asyncio.wait_for(asyncio.gather(*load), 600)

    await account(front, talkers, delegators)
    if version == "next":
        await none_of_the_old_ones_starts(fleet)


def counts(talkers: list[Talker], delegators: list[Delegator]) -> list[int]:
    """How far everybody is."""
    return [*(talker.answers for talker in talkers), *(len(d.tasks) for d in delegators)]


async def account(front: Front, talkers: list[Talker], delegators: list[Delegator]) -> None:
    """What clients were told against what there is."""
    database = await asyncpg.create_pool(
        front.fleet.database_url.replace("postgresql+asyncpg:", "postgresql:"), min_size=1, max_size=2
    )
    try:
        assert sum(len(talker.resumed) for talker in talkers) >= len(NAMES), "clients came back"
        for number, talker in enumerate(talkers, 1):
            follower = talker.follower
            audit = Audit(database, follower.conversation)
            await audit.read()
            audit.has_no_gap()
            audit.every_message_was_heard_once()
            audit.every_call_ended_once()
            assert set(await audit.every_run_ended_once()) == {"completed"}
            sent = {e["data"]["client_message_id"]: e["data"]["message_id"] for e in audit.of("message.sent")}
            assert sent == talker.acknowledged
            assert len(sent) == len(audit.of("message.sent")) == talker.answers
            assert follower.holes == []
            assert follower.seqs == [event["seq"] for event in audit.events]
            assert [e["data"] for e in follower.events] == [e["data"] for e in audit.events]
            assert all(talker.resumed), "with its session and cursor"
            await its_effects_came_once(audit, front.fleet.shared / f"w{number}" / "ledger.txt")
            await follower.close()
        ended = [task for delegator in delegators for task in delegator.tasks.values()]
        assert {task["state"] for task in ended} == {"completed"}
        assert all(task["report"] for task in ended)
        assert len({task["id"] for task in ended}) == len(ended)
        assert await database.fetchval("SELECT count(*) FROM tasks") == len(ended)
        assert await database.fetchval("SELECT sum(lost) FROM runs") == 0
    finally:
        await database.close()


async def its_effects_came_once(audit: Audit, ledger: Path) -> None:
    """No command that is known to have ended acted twice, and none that nobody asked for."""
    lines = len((await asyncio.to_thread(ledger.read_text)).split())
    outcomes = [e["data"]["outcome"] for e in audit.of("tool.finished")]
    assert set(outcomes) <= {"ok", "cancelled", "unknown"}
    assert outcomes.count("ok") <= lines <= len(outcomes)


async def none_of_the_old_ones_starts(fleet: Fleet) -> None:
    """A process of the version before is refused, in one line."""
    fleet.program = (sys.executable, "-m", "flynn.cli")
    old = fleet._spawn("old", ("serve",), {"FLYNN_PORT": str(free_port())})
    assert await old.ended(240) == 1
    last = old.said().strip().splitlines()[-1]
    assert re.match(rf"flynn: The database has schema {newer_program.NEXT}, made by a newer version", last)
