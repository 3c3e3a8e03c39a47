"""The contract of a bus, over both implementations and over two that meet in Redis."""

import asyncio
from contextlib import ExitStack
from uuid import UUID, uuid4

import pytest

from flynn.live.bus import Bus
from flynn.live.presence import Person, Present
from flynn.live.subscription import Item, Subscription
from tests.live.stream import envelope, shown, words

Pair = tuple[Bus, Bus]


async def receive(subscription: Subscription, count: int, within: float = 3.0) -> list[Item]:
    items: list[Item] = []
    async with asyncio.timeout(within):
        while len(items) < count:
            item = subscription.take()
            if item is None:
                await subscription.wait()
            else:
                items.append(item)
    return items


async def partial_of(bus: Bus, conversation_id: UUID, text: str) -> list[str]:
    """The partial, once it has grown to `text`: over Redis it takes a moment."""
    for _ in range(200):
        if "".join(d.text for d in await bus.partial(conversation_id)) == text:
            break
        await asyncio.sleep(0.01)
    return [delta.text for delta in await bus.partial(conversation_id)]


async def test_publications_arrive_in_order(pair: Pair) -> None:
    here, there = pair
    conversation = uuid4()
    async with there.subscribe(conversation) as subscription:
        for seq in range(1, 301):
            here.publish(conversation, envelope(conversation, seq, text="Grüße\u2028\x01"))
        items = await receive(subscription, 300)
    assert shown(items) == list(range(1, 301))
    assert items[0] == envelope(conversation, 1, text="Grüße\u2028\x01")


async def test_only_the_conversation_that_was_subscribed_to_arrives(pair: Pair) -> None:
    here, there = pair
    mine, other = uuid4(), uuid4()
    async with there.subscribe(mine) as subscription:
        here.publish(other, envelope(other, 1))
        here.publish(mine, envelope(mine, 2))
        assert shown(await receive(subscription, 1)) == [2]
        await asyncio.sleep(0.05)
        assert len(subscription) == 0


async def test_everybody_who_listens_is_told_once(pair: Pair) -> None:
    here, there = pair
    conversation = uuid4()
    async with there.subscribe(conversation) as one, there.subscribe(conversation) as two:
        here.publish(conversation, envelope(conversation, 1))
        assert shown(await receive(one, 1)) == shown(await receive(two, 1)) == [1]
        await asyncio.sleep(0.05)
        assert len(one) == len(two) == 0


async def test_who_has_left_hears_nothing_and_can_come_back(pair: Pair) -> None:
    here, there = pair
    conversation = uuid4()
    async with there.subscribe(conversation) as gone:
        pass
    here.publish(conversation, envelope(conversation, 1))
    await asyncio.sleep(0.05)
    async with there.subscribe(conversation) as back:
        here.publish(conversation, envelope(conversation, 2))
        assert shown(await receive(back, 1)) == [2]
    assert len(gone) == 0


async def test_words_arrive_before_the_event_that_completes_them(pair: Pair) -> None:
    here, there = pair
    conversation = uuid4()
    async with there.subscribe(conversation) as subscription:
        for offset, letter in enumerate("Hello"):
            here.publish_delta(words(conversation, letter, offset))
        here.publish(conversation, envelope(conversation, 1, "message.completed", step=1))
        assert shown(await receive(subscription, 3)) == ["H", "ello", 1]


async def test_a_joiner_reads_the_words_so_far(pair: Pair) -> None:
    here, there = pair
    conversation = uuid4()
    here.publish_delta(words(conversation, "Thinking", kind="thinking"))
    text = "The deployment 🚢 " * 60
    for offset in range(0, len(text), 5):
        here.publish_delta(words(conversation, text[offset : offset + 5], offset, block=1))
    here.publish(conversation, envelope(conversation, 1))
    assert await partial_of(there, conversation, "Thinking" + text) == ["Thinking", text]


async def test_words_that_are_complete_are_no_longer_partial(pair: Pair) -> None:
    here, there = pair
    conversation = uuid4()
    here.publish_delta(words(conversation, "Hello"))
    assert await partial_of(there, conversation, "Hello") == ["Hello"]
    here.publish(conversation, envelope(conversation, 1, "message.completed", step=1))
    assert await partial_of(there, conversation, "") == []


async def test_a_calls_output_stays_partial_until_the_call_is_finished(pair: Pair) -> None:
    here, there = pair
    conversation = uuid4()
    here.publish_delta(words(conversation, "running one\n", kind="output", call_id="one"))
    here.publish_delta(words(conversation, "running two\n", kind="output", call_id="two"))
    here.publish(conversation, envelope(conversation, 1, "tool.finished", step=1, call_id="one"))
    assert await partial_of(there, conversation, "running two\n") == ["running two\n"]
    here.publish(conversation, envelope(conversation, 2, "run.cancelled"))
    assert await partial_of(there, conversation, "") == []


async def test_a_background_jobs_output_stays_partial_from_step_to_step(pair: Pair) -> None:
    here, there = pair
    conversation = uuid4()
    started = {"kind": "job_started", "task_id": "b1", "command": "x", "cwd": "."}
    here.publish_delta(words(conversation, "one ", kind="output", call_id="job"))
    here.publish(
        conversation, envelope(conversation, 1, "tool.finished", step=1, call_id="job", evidence=[started])
    )
    here.publish_delta(words(conversation, "words", step=2))
    here.publish_delta(words(conversation, "two", 4, step=2, kind="output", call_id="job"))
    here.publish(conversation, envelope(conversation, 2, "message.completed", step=2))
    assert await partial_of(there, conversation, "one two") == ["one two"]
    assert [d.step for d in await there.partial(conversation)] == [2]
    for number in range(8):
        here.publish_delta(words(conversation, str(number), step=2, kind="output", call_id=f"c{number}"))
    here.publish(conversation, envelope(conversation, 3))
    assert await partial_of(there, conversation, "01234567") == [*"01234567"]
    here.publish(conversation, envelope(conversation, 4, "run.completed"))
    assert await partial_of(there, conversation, "") == []


async def test_a_new_step_or_epoch_voids_the_words_before(pair: Pair) -> None:
    here, there = pair
    conversation = uuid4()
    here.publish_delta(words(conversation, "old words", epoch=1, step=3))
    here.publish_delta(words(conversation, "new", epoch=2, step=1))
    here.publish_delta(words(conversation, " late old words", 9, epoch=1, step=3))
    here.publish(conversation, envelope(conversation, 1))
    assert await partial_of(there, conversation, "new") == ["new"]


async def test_long_output_is_kept_from_its_end(pair: Pair) -> None:
    here, there = pair
    conversation = uuid4()
    piece = "0123456789" * 1000
    for number in range(60):
        here.publish_delta(words(conversation, piece, number * len(piece), kind="output", call_id="c"))
    here.publish(conversation, envelope(conversation, 1))
    for _ in range(200):
        deltas = await there.partial(conversation)
        if deltas and deltas[0].offset + len(deltas[0].text) == 600_000:
            break
        await asyncio.sleep(0.01)
    assert [d.offset + len(d.text) for d in deltas] == [600_000]
    assert deltas[0].text == (piece * 60)[deltas[0].offset :]
    assert deltas[0].offset > 0


async def test_sessions_are_kept_for_their_time(pair: Pair) -> None:
    here, there = pair
    state = {"principal": str(uuid4()), "watching": {str(uuid4()): 17}}
    await here.save_session("s1", state, 60)
    await here.save_session("s2", state, 0.05)
    assert await there.load_session("s1") == state
    assert await there.load_session("unknown") is None
    await asyncio.sleep(0.1)
    assert await there.load_session("s2") is None


SAM, KIM = Person("sam", "1"), Person("kim", "2")


async def told(subscription: Subscription, *names: str, within: float = 5.0) -> Present:
    """Who is there, once these people are."""
    async with asyncio.timeout(within):
        while True:
            present = subscription.take_present()
            if present is not None and present.names == names:
                return present
            await subscription.wait()


async def test_who_is_there_is_told_in_every_process(pair: Pair) -> None:
    here, there = pair
    conversation, other = uuid4(), uuid4()
    async with here.subscribe(conversation) as subscription:
        with here.attend(conversation, SAM):
            assert await here.present(conversation) == Present(("sam",), 1)
            assert (await told(subscription, "sam")).count == 1
            with there.attend(conversation, KIM), there.attend(other, Person("alex", "3")):
                assert (await told(subscription, "kim", "sam")).count == 2
                assert await there.present(conversation) == Present(("kim", "sam"), 2)
            await told(subscription, "sam")
        assert await there.present(other) == Present()


async def test_who_is_there_twice_counts_once(pair: Pair) -> None:
    here, there = pair
    conversation = uuid4()
    async with here.subscribe(conversation) as subscription:
        with here.attend(conversation, SAM):
            with there.attend(conversation, SAM), there.attend(conversation, SAM):
                await told(subscription, "sam")
                await asyncio.sleep(0.3)
                assert await here.present(conversation) == Present(("sam",), 1)
            await asyncio.sleep(0.3)
            assert await here.present(conversation) == Present(("sam",), 1)
            assert subscription.take_present() is None, "nothing has changed"


async def test_of_a_crowd_fifty_are_named_and_all_counted(pair: Pair) -> None:
    here, there = pair
    conversation = uuid4()
    async with here.subscribe(conversation) as subscription:
        with ExitStack() as crowd:
            crowd.enter_context(here.attend(conversation, SAM))
            for number in range(120):
                crowd.enter_context(there.attend(conversation, Person(f"p{number:03}", str(number))))
            present = await told(subscription, *(f"p{number:03}" for number in range(50)))
            assert present.count == 121


async def test_publishing_what_is_not_json_does_not_raise(pair: Pair) -> None:
    here, there = pair
    conversation = uuid4()
    async with there.subscribe(conversation) as subscription:
        here.publish(conversation, envelope(conversation, 1, "message.sent", text=object(), other="\ud800"))
        here.publish(conversation, envelope(conversation, 2))
        items = await receive(subscription, 1)
        if shown(items) == [1]:
            items = await receive(subscription, 1)
        assert shown(items) == [2]


async def test_a_full_subscription_leaves_deltas_out_and_says_that_it_overflowed(pair: Pair) -> None:
    here, there = pair
    conversation = uuid4()
    async with there.subscribe(conversation, limit=3) as subscription:
        for seq in (1, 2, 3):
            here.publish(conversation, envelope(conversation, seq))
        here.publish_delta(words(conversation, "left out"))
        await asyncio.sleep(0.1)
        assert len(subscription) == 3
        assert subscription.highest == 3
        here.publish(conversation, envelope(conversation, 4))
        await asyncio.sleep(0.1)
        assert subscription.overflowed
        assert subscription.take() is None
        assert subscription.highest == 4


async def test_the_bus_says_how_it_is(pair: Pair) -> None:
    here, _ = pair
    part = here.part()
    assert (part.name, part.state) == ("live", "ok")


@pytest.mark.parametrize("count", [20_000])
async def test_publishing_never_waits(pair: Pair, count: int) -> None:
    """Twenty thousand publications pass without giving the loop a chance to run."""
    here, _ = pair
    conversation = uuid4()
    turns: list[None] = []
    asyncio.get_running_loop().call_soon(turns.append, None)
    for seq in range(1, count + 1):
        here.publish(conversation, envelope(conversation, seq))
    assert turns == [], "the loop had a turn meanwhile: something waited"
    await asyncio.sleep(0)
    assert turns == [None]


async def test_one_of_those_that_are_joined_acts_for_all_for_a_while(pair: Pair) -> None:
    here, there = pair
    assert await here.claim("alert:DatabaseAway", 60)
    assert not await there.claim("alert:DatabaseAway", 60)
    assert not await here.claim("alert:DatabaseAway", 60)
    assert await there.claim("alert:Pool", 0.05)
    await asyncio.sleep(0.2)
    assert await here.claim("alert:Pool", 60)
