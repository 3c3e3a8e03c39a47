"""Viewers: every event once and in order, whatever the bus loses."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flynn.domain.errors import InvalidInput
from flynn.live.hub import Hub
from flynn.live.memory import MemoryBus
from flynn.live.presence import Present
from flynn.live.subscription import Envelope, Item
from flynn.live.viewer import SlowViewer, Viewer
from tests.live.stream import envelope, shown, words


class Log:
    """A log in memory: the truth that a hub compares with."""

    def __init__(self, *, page: int = 7) -> None:
        self.conversation = uuid4()
        self.events: list[Envelope] = []
        self.away = False
        self.reads = 0
        self._page = page

    def append(self, kind: str = "message.sent", **data: object) -> Envelope:
        event = envelope(self.conversation, len(self.events) + 1, kind, **data)
        self.events.append(event)
        return event

    async def marks(self, conversation_ids: Sequence[UUID]) -> dict[UUID, int]:
        if self.away:
            raise OSError("the database is away")
        return {i: len(self.events) for i in conversation_ids if i == self.conversation}

    async def replay(self, conversation_id: UUID, after_seq: int) -> list[Envelope]:
        assert conversation_id == self.conversation
        self.reads += 1
        await asyncio.sleep(0)
        if self.away:
            raise OSError("the database is away")
        return self.events[after_seq : after_seq + self._page]


async def pull(viewer: Viewer, count: int, within: float = 3.0) -> list[Item]:
    async with asyncio.timeout(within):
        items = [await viewer.next() for _ in range(count)]
    return [item for item in items if not isinstance(item, Present)]


def hub_over(bus: MemoryBus, log: Log, *, interval: float = 60.0, limit: int = 1000) -> Hub:
    return Hub(bus, marks=log.marks, replay=log.replay, interval=interval, limit=limit)


@asynccontextmanager
async def joined(bus: MemoryBus, log: Log) -> AsyncIterator[Viewer]:
    """A viewer that is live: it has had the first event."""
    async with hub_over(bus, log).view(log.conversation, after_seq=0) as viewer:
        bus.publish(log.conversation, log.append())
        assert shown(await pull(viewer, 1)) == [1]
        yield viewer


ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("commit"), st.booleans()),
        st.tuples(st.just("commit"), st.booleans()),
        st.tuples(st.just("commit"), st.just(True)),
        st.tuples(st.just("pull"), st.integers(1, 4)),
        st.tuples(st.just("pull"), st.integers(1, 4)),
        st.tuples(st.just("again"), st.integers(1, 12)),
        st.tuples(st.just("reconcile"), st.just(0)),
        st.tuples(st.just("words"), st.integers(0, 30)),
        st.tuples(st.just("breathe"), st.just(0)),
        st.tuples(st.just("hold"), st.integers(0, 3)),
    ),
    min_size=12,
    max_size=80,
)


@settings(max_examples=100, deadline=None)
@given(before=st.integers(0, 20), after_seq=st.integers(0, 20), acts=ACTS, limit=st.integers(2, 30))
async def test_any_interleaving_of_publications_losses_and_replays_yields_exactly_the_log(
    before: int, after_seq: int, acts: list[tuple[str, int]], limit: int
) -> None:
    """Publications are lost, late, repeated and out of order; the viewer gives out the log.

    Where it gives up instead, because nobody pulled, its cursor is where the next one goes on.
    """
    log, bus = Log(page=3), MemoryBus()
    for _ in range(before):
        log.append()
    start = min(after_seq, before)
    got: list[int] = []
    cursor = start
    hub = hub_over(bus, log, limit=limit)
    held: list[Envelope] = []

    async def take(viewer: Viewer, count: int) -> None:
        nonlocal cursor
        for _ in range(count):
            try:
                async with asyncio.timeout(0.002):
                    item = await viewer.next()
            except TimeoutError:
                return
            if isinstance(item, dict):
                got.append(item["seq"])
            cursor = viewer.cursor

    todo = list(acts)
    while todo:
        async with hub.view(log.conversation, after_seq=cursor) as viewer:
            try:
                while todo:
                    act, value = todo.pop(0)
                    match act:
                        case "commit":
                            event = log.append()
                            if value:
                                bus.publish(log.conversation, event)
                        case "again" if value <= len(log.events):
                            bus.publish(log.conversation, log.events[-value])
                        case "hold":
                            held.append(log.append())
                            if len(held) > value:
                                bus.publish(log.conversation, held.pop())
                        case "words":
                            bus.publish_delta(words(log.conversation, "ab", value))
                        case "reconcile":
                            await hub.reconcile()
                        case "breathe":
                            await asyncio.sleep(0)
                        case _:
                            await take(viewer, value)
            except SlowViewer:
                continue
    async with hub.view(log.conversation, after_seq=cursor) as viewer:
        async with asyncio.timeout(30):
            while cursor < len(log.events):
                await take(viewer, 1)
    assert got == list(range(start + 1, len(log.events) + 1))
    await bus.__aexit__()


async def test_what_was_lost_before_is_read_when_the_next_one_arrives() -> None:
    log, bus = Log(), MemoryBus()
    async with joined(bus, log) as viewer:
        log.append()
        log.append()
        bus.publish(log.conversation, log.append())
        assert shown(await pull(viewer, 3)) == [2, 3, 4]


async def test_what_was_lost_last_is_found_by_comparing_marks() -> None:
    log, bus = Log(), MemoryBus()
    async with hub_over(bus, log, interval=0.05) as hub, hub.view(log.conversation, after_seq=0) as viewer:
        bus.publish(log.conversation, log.append())
        assert shown(await pull(viewer, 1)) == [1]
        log.append()
        log.append()
        assert shown(await pull(viewer, 2, within=1.0)) == [2, 3]


async def test_one_query_compares_all_watched_conversations() -> None:
    log, bus = Log(), MemoryBus()
    asked: list[int] = []

    async def marks(conversation_ids: Sequence[UUID]) -> dict[UUID, int]:
        asked.append(len(conversation_ids))
        return await log.marks(conversation_ids)

    hub = Hub(bus, marks=marks, replay=log.replay)
    async with hub.view(log.conversation), hub.view(log.conversation), hub.view(uuid4()):
        asked.clear()
        assert hub.watched == 2
        await hub.reconcile()
        assert asked == [2]
    assert hub.watched == 0
    await hub.reconcile()
    assert asked == [2]


async def test_nothing_is_read_again_while_publications_arrive() -> None:
    log, bus = Log(), MemoryBus()
    hub = hub_over(bus, log)
    async with hub.view(log.conversation, after_seq=0) as viewer:
        for _ in range(50):
            bus.publish(log.conversation, log.append())
            assert len(await pull(viewer, 1)) == 1
            await hub.reconcile()
    assert log.reads == 0


async def test_from_now_on_means_after_the_mark() -> None:
    log, bus = Log(), MemoryBus()
    for _ in range(5):
        log.append()
    async with hub_over(bus, log).view(log.conversation) as viewer:
        assert viewer.cursor == 5
        bus.publish(log.conversation, log.append())
        assert shown(await pull(viewer, 1)) == [6]


async def test_a_cursor_beyond_the_log_is_refused() -> None:
    log, bus = Log(), MemoryBus()
    log.append()
    with pytest.raises(InvalidInput, match="after_seq is 2, but the conversation's last event is 1"):
        async with hub_over(bus, log).view(log.conversation, after_seq=2):
            pass


async def test_a_log_that_is_away_for_a_while_loses_nothing() -> None:
    log, bus = Log(), MemoryBus()
    async with hub_over(bus, log, interval=0.02) as hub, hub.view(log.conversation, after_seq=0) as viewer:
        log.append()
        bus.publish(log.conversation, log.append())
        log.away = True
        reading = asyncio.create_task(pull(viewer, 2))
        await asyncio.sleep(0.15)
        assert not reading.done()
        log.away = False
        assert shown(await reading) == [1, 2]


async def test_who_does_not_take_what_comes_is_told_to_go() -> None:
    log, bus = Log(), MemoryBus()
    hub = hub_over(bus, log, limit=10)
    async with hub.view(log.conversation, after_seq=0) as viewer:
        bus.publish(log.conversation, log.append())
        assert shown(await pull(viewer, 1)) == [1]
        for _ in range(11):
            bus.publish(log.conversation, log.append())
        with pytest.raises(SlowViewer, match="More than 10 items"):
            await viewer.next()
        assert viewer.cursor == 1
    async with hub.view(log.conversation, after_seq=1) as viewer:
        assert shown(await pull(viewer, 11)) == list(range(2, 13))


async def test_who_is_still_catching_up_is_not_too_slow() -> None:
    log, bus = Log(page=5), MemoryBus()
    for _ in range(40):
        log.append()
    async with hub_over(bus, log, limit=10).view(log.conversation, after_seq=0) as viewer:
        assert shown(await pull(viewer, 3)) == [1, 2, 3]
        for _ in range(30):
            bus.publish(log.conversation, log.append())
        assert shown(await pull(viewer, 67)) == list(range(4, 71))


async def test_cancelled_waiting_loses_nothing() -> None:
    log, bus = Log(page=2), MemoryBus()
    for _ in range(30):
        log.append()
    got: list[Item] = []
    patience = itertools.cycle(range(6))
    async with hub_over(bus, log).view(log.conversation, after_seq=0) as viewer:
        while len(got) < 30:
            task = asyncio.create_task(viewer.next())
            for _ in range(next(patience)):
                await asyncio.sleep(0)
            task.cancel()
            got += [r for r in await asyncio.gather(task, return_exceptions=True) if isinstance(r, dict)]
    assert shown(got) == list(range(1, 31))


async def test_a_joiner_gets_the_words_so_far_and_then_the_rest() -> None:
    log, bus = Log(), MemoryBus()
    bus.publish(log.conversation, log.append("step.started", step=1))
    bus.publish_delta(words(log.conversation, "The "))
    bus.publish_delta(words(log.conversation, "deploy", 4))
    async with hub_over(bus, log).view(log.conversation, after_seq=0) as viewer:
        assert shown(await pull(viewer, 2)) == [1, "The "]
        bus.publish_delta(words(log.conversation, "ment", 10))
        assert shown(await pull(viewer, 1)) == ["deployment"]
        bus.publish(log.conversation, log.append("message.completed", step=1))
        assert shown(await pull(viewer, 1)) == [2]
        bus.publish_delta(words(log.conversation, "late", 14))
        bus.publish(log.conversation, log.append("step.completed", step=1))
        assert shown(await pull(viewer, 1)) == [3]
    await bus.__aexit__()


async def test_a_hole_in_the_words_is_filled_from_the_partial() -> None:
    log, bus = Log(), MemoryBus()
    async with hub_over(bus, log, limit=2).view(log.conversation, after_seq=0) as viewer:
        started = asyncio.create_task(pull(viewer, 1))
        await asyncio.sleep(0)
        bus.publish_delta(words(log.conversation, "a"))
        assert shown(await started) == ["a"]
        for offset, text in ((1, "b"), (2, "c"), (3, "d"), (4, "e")):
            bus.publish_delta(words(log.conversation, text, offset))
            bus._coalescer.flush(log.conversation)
        assert shown(await pull(viewer, 2)) == ["b", "c"]
        bus.publish_delta(words(log.conversation, "f", 5))
        bus._coalescer.flush(log.conversation)
        assert shown(await pull(viewer, 1)) == ["def"]


async def test_words_of_an_older_epoch_or_step_are_left_out() -> None:
    log, bus = Log(), MemoryBus()
    async with joined(bus, log) as viewer:
        for delta in (
            words(log.conversation, "new", epoch=2, step=2),
            words(log.conversation, "old epoch", epoch=1, step=9),
            words(log.conversation, "old step", epoch=2, step=1),
            words(log.conversation, "er", 3, epoch=2, step=2),
        ):
            bus.publish_delta(delta)
            bus._coalescer.flush(log.conversation)
        assert shown(await pull(viewer, 2)) == ["new", "er"]


async def test_a_step_that_is_tried_again_starts_its_words_anew() -> None:
    log, bus = Log(), MemoryBus()
    async with joined(bus, log) as viewer:
        bus.publish_delta(words(log.conversation, "first try"))
        bus.publish(log.conversation, log.append("step.failed", step=1))
        bus.publish(log.conversation, log.append("step.started", step=1))
        bus.publish_delta(words(log.conversation, "second"))
        assert shown(await pull(viewer, 4)) == ["first try", 2, 3, "second"]
    await bus.__aexit__()


async def test_a_commands_output_ends_with_its_call() -> None:
    log, bus = Log(), MemoryBus()
    async with joined(bus, log) as viewer:
        bus.publish(log.conversation, log.append("message.completed", step=1))
        bus.publish_delta(words(log.conversation, "PLAY [all]\n", kind="output", call_id="c1"))
        bus.publish(log.conversation, log.append("tool.finished", step=1, call_id="c1"))
        bus.publish_delta(words(log.conversation, "late", 11, kind="output", call_id="c1"))
        bus.publish_delta(words(log.conversation, "ok", kind="output", call_id="c2"))
        bus._coalescer.flush(log.conversation)
        assert shown(await pull(viewer, 4)) == [2, "PLAY [all]\n", 3, "ok"]


async def test_a_background_jobs_output_goes_on_after_its_call_and_reaches_who_joins_late() -> None:
    log, bus = Log(), MemoryBus()
    started = {"kind": "job_started", "task_id": "b1", "command": "x", "cwd": "."}

    def job(text: str, offset: int, step: int) -> None:
        bus.publish_delta(words(log.conversation, text, offset, step=step, kind="output", call_id="j"))

    async with joined(bus, log) as viewer:
        bus.publish(log.conversation, log.append("message.completed", step=1))
        job("one ", 0, 1)
        bus.publish(log.conversation, log.append("tool.finished", step=1, call_id="j", evidence=[started]))
        job("two ", 4, 1)
        bus.publish(log.conversation, log.append("step.started", step=2))
        job("three ", 8, 1)
        bus.publish_delta(words(log.conversation, "Hello", step=2))
        job("four ", 14, 2)
        bus._coalescer.flush(log.conversation)
        expected = [2, "one ", 3, "two ", 4, "three ", "Hello", "four "]
        assert shown(await pull(viewer, 8)) == expected
        async with hub_over(bus, log).view(log.conversation) as late:
            waiting = asyncio.create_task(pull(late, 3))
            await asyncio.sleep(0.01)
            job("five", 19, 2)
            bus._coalescer.flush(log.conversation)
            assert sorted(map(str, shown(await waiting))) == ["Hello", "five", "one two three four "]
        bus.publish(log.conversation, log.append("run.completed"))
        job("late", 23, 2)
        assert shown(await pull(viewer, 2)) == ["five", 5]
    await bus.__aexit__()
