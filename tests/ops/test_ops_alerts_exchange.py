"""What fires in several processes is told once, under one id; a database that is away silences nobody."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from flynn.domain.alert import AlertState, AlertView
from flynn.live.memory import MemoryBus
from flynn.ops.alerts.board import Board
from flynn.ops.alerts.exchange import Exchange
from flynn.ops.alerts.messenger import Messenger
from flynn.ops.alerts.rule import Reach
from flynn.ops.alerts.rules import rules_for
from flynn.ops.alerts.watch import Watch
from flynn.store.database import Database
from tests.api.test_api_alerts import alert
from tests.eventually import eventually
from tests.house import prepare
from tests.postgres import TestDatabase, TestDatabases


@dataclass
class Process:
    """One of several, without its tasks: a test says when it exchanges."""

    board: Board
    exchange: Exchange
    sent: list[tuple[AlertView, AlertState]] = field(default_factory=list)

    def see(self, seen: AlertView, reach: Reach = "service") -> None:
        self.exchange.fired(seen, reach)
        self.board.set_own(seen)

    def lose(self, key: str) -> None:
        seen = self.board.own(key)
        assert seen is not None
        self.board.drop_own(key)
        self.exchange.resolved(seen)

    def told(self) -> list[tuple[AlertState, Any]]:
        return [(state, told.id) for told, state in self.sent]


Made = Callable[..., Process]


@pytest.fixture
def postgres() -> Any:
    with TestDatabases.shared().new(prepare) as found:
        yield found


@pytest.fixture
async def make(postgres: TestDatabase) -> AsyncIterator[Made]:
    async with AsyncExitStack() as stack:
        bus = await stack.enter_async_context(MemoryBus())

        def make(name: str, *, url: str = postgres.url, **more: Any) -> Process:
            database = Database(url, pool_size=2)
            stack.push_async_callback(database.close)
            board = Board()
            sent: list[tuple[AlertView, AlertState]] = []
            exchange = Exchange(
                database,
                board,
                process=name,
                send=lambda told, state: sent.append((told, state)),
                claim=bus.claim,
                every=0.1,
                **more,
            )
            return Process(board, exchange, sent)

        yield make


async def test_two_that_see_it_share_its_id_and_tell_it_once_from_beginning_to_end(make: Made) -> None:
    here, there, onlooker = make("here"), make("there"), make("onlooker")
    first, second = alert("QueueAge"), alert("QueueAge")
    here.see(first)
    there.see(second)
    for process in (here, there, onlooker):
        await process.exchange.meet()
    assert here.told() == [("firing", first.id)]
    assert there.told() == onlooker.told() == []
    assert [item.id for process in (here, there, onlooker) for item in process.board.firing()] == [
        first.id
    ] * 3
    here.lose("QueueAge")
    await here.exchange.meet()
    assert [item.key for item in here.board.firing()] == ["QueueAge"], "there still sees it"
    there.lose("QueueAge")
    await there.exchange.meet()
    await here.exchange.meet()
    await onlooker.exchange.meet()
    assert here.told() == [("firing", first.id)]
    assert there.told() == [("resolved", first.id)]
    assert here.board.firing() == there.board.firing() == onlooker.board.firing() == []


async def test_a_process_that_is_started_again_goes_on_under_the_same_id(make: Made) -> None:
    before = make("here")
    before.see(alert("RunsStuck"))
    await before.exchange.meet()
    [(_, known)] = before.told()
    before.exchange.over(before.board.firing()[0], "firing", taken=True)
    await before.exchange.meet()
    after = make("here")
    after.see(alert("RunsStuck"))
    await after.exchange.meet()
    assert after.told() == []
    assert after.board.firing()[0].id == known


async def test_what_was_not_delivered_is_told_again_by_whoever_comes_first(make: Made) -> None:
    here, there = make("here", telling=0.05), make("there", telling=0.05)
    here.see(alert("QueueAge"))
    await here.exchange.meet()
    here.exchange.over(here.board.firing()[0], "firing", taken=False)
    await asyncio.sleep(0.1)
    await there.exchange.meet()
    assert there.told() == here.told()
    there.exchange.over(there.sent[0][0], "firing", taken=True)
    await there.exchange.meet()
    await asyncio.sleep(0.1)
    await here.exchange.meet()
    await there.exchange.meet()
    assert len(here.sent) == len(there.sent) == 1


async def test_the_alerts_of_a_process_that_died_are_over_after_a_while(make: Made) -> None:
    dead, other, hasty = make("dead"), make("other"), make("hasty", silent=0.2)
    dead.see(alert("Pool@dead"), "process")
    await dead.exchange.meet()
    await other.exchange.meet()
    assert [item.key for item in other.board.firing()] == ["Pool@dead"]
    await asyncio.sleep(0.3)
    await hasty.exchange.meet()
    await other.exchange.meet()
    assert hasty.board.firing() == other.board.firing() == []
    assert hasty.told() == [("resolved", dead.sent[0][0].id)]


async def test_without_a_database_one_of_those_that_the_bus_joins_tells_and_takes_it_back(
    make: Made, tmp_path: Path
) -> None:
    nowhere = f"postgresql+asyncpg://nobody@/none?host={tmp_path}"
    here, there = make("here", url=nowhere), make("there", url=nowhere)
    for process in (here, there):
        process.see(alert("DatabaseAway"))
        process.see(alert(f"Pool@{process is here}"), "process")
        await process.exchange.meet()
        await process.exchange.meet()
        assert not process.board.complete
    assert [told.key for told, _ in here.sent] == ["DatabaseAway", "Pool@True"]
    assert [told.key for told, _ in there.sent] == ["Pool@False"]
    for process in (here, there):
        process.lose("DatabaseAway")
        await process.exchange.meet()
    assert here.told()[2:] == [("resolved", here.sent[0][0].id)]
    assert len(there.sent) == 1


async def test_what_was_told_without_the_database_is_not_told_again_when_it_is_back(
    make: Made, tmp_path: Path, postgres: TestDatabase
) -> None:
    here = make("here", url=f"postgresql+asyncpg://nobody@/none?host={tmp_path}")
    here.see(alert("DatabaseAway"))
    await here.exchange.meet()
    here.exchange.over(here.sent[0][0], "firing", taken=True)
    here.exchange._database = Database(postgres.url, pool_size=1)
    await here.exchange.meet()
    assert here.board.complete
    here.lose("DatabaseAway")
    await here.exchange.meet()
    await here.exchange._database.close()
    assert here.told() == [("firing", here.sent[0][0].id), ("resolved", here.sent[0][0].id)]


async def test_the_messenger_tries_a_few_times_in_order_and_bounds_what_waits() -> None:
    posts: list[str] = []
    over: list[tuple[str, bool]] = []
    outcomes: list[str] = []

    async def post(message_id: str, body: str) -> str | None:
        posts.append(message_id)
        return None if len(posts) >= 3 else "The receiver answered 500."

    messenger = Messenger(post, counted=outcomes.append, pauses=(0.01, 0.01), most=2)
    messenger.on_over(lambda told, state, *, taken: over.append((told.key, taken)))
    first, second, third = alert("a"), alert("b"), alert("c")
    for one in (first, second, third):
        messenger.send(one, "firing")
    assert over == [("a", False)], "the oldest goes when too many wait"
    task = asyncio.create_task(messenger.run())
    await eventually(lambda: len(over) == 3, what="all of them")
    task.cancel()
    assert over == [("a", False), ("b", True), ("c", True)]
    assert posts == [f"alert_{second.id.hex}_firing"] * 3 + [f"alert_{third.id.hex}_firing"]
    assert outcomes == ["failed", "failed", "delivered", "delivered"]


async def test_a_watch_whose_database_hangs_looks_all_the_same() -> None:
    board = Board()
    seen: list[str] = []
    hang = asyncio.Event()

    refreshed = 0

    async def refresh() -> None:
        nonlocal refreshed
        refreshed += 1
        if refreshed == 1:
            raise RuntimeError("a defect")
        await hang.wait()

    watch = Watch(
        rules_for({}, pace=0.001),
        board,
        refresh=refresh,
        samples=lambda: {
            "flynn_census_up": [({}, 1.0)],
            "flynn_queue_age_seconds": [({}, 10_000.0)],
            "flynn_disk_used_ratio": [({"place": "data"}, 0.99)],
        },
        fired=lambda told, _reach: seen.append(told.key),
        resolved=lambda told: seen.append(f"{told.key} is over"),
        machine="m",
        process="m:1",
        every=0.01,
        window=10,
        patience=0.02,
    )
    task = asyncio.create_task(watch.run())
    await eventually(lambda: len(seen) == 2, what="both alerts")
    assert sorted(seen) == ["DatabaseAway", "Disk:data@m"], "what the database said long ago is no figure"
    assert board.evaluated_at is not None
    hang.set()
    await eventually(lambda: "DatabaseAway is over" in seen, what="its end")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
