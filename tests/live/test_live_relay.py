"""The relay: what a worker publishes reaches the service's bus in order, or is left out; never in the way."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import uuid4

from flynn.live.memory import MemoryBus
from flynn.live.relay import MOST_WAITING, RelayBus, receive, send
from flynn.live.subscription import Item, Subscription
from tests.live.stream import envelope, shown, words


class Ends:
    """Both ends of a relay; `other` is what came that was no publication."""

    def __init__(self, worker: RelayBus, service: MemoryBus, writer: asyncio.StreamWriter) -> None:
        self.worker = worker
        self.service = service
        self.writer = writer
        self.other: list[tuple[str, Any]] = []
        self.over = asyncio.Event()


@asynccontextmanager
async def ends(*, listening: bool = True) -> AsyncIterator[Ends]:
    ours, theirs = socket.socketpair()
    async with AsyncExitStack() as stack:
        reader, service_writer = await asyncio.open_connection(sock=ours)
        _, writer = await asyncio.open_connection(sock=theirs)
        stack.callback(service_writer.close)
        stack.callback(writer.close)
        service = await stack.enter_async_context(MemoryBus())
        worker = await stack.enter_async_context(RelayBus(writer))
        found = Ends(worker, service, writer)

        async def listen() -> None:
            await receive(reader, service, lambda kind, value: found.other.append((kind, value)))
            found.over.set()

        if listening:
            task = asyncio.create_task(listen())
            stack.callback(task.cancel)
        yield found


async def receive_items(subscription: Subscription, count: int) -> list[Item]:
    items: list[Item] = []
    async with asyncio.timeout(30):
        while len(items) < count:
            item = subscription.take()
            if item is None:
                await subscription.wait()
            else:
                items.append(item)
    return items


async def test_words_and_events_arrive_in_the_order_of_their_publication() -> None:
    conversation = uuid4()
    async with ends() as pair, pair.service.subscribe(conversation) as subscription:
        for offset, text in ((0, "one "), (4, "two "), (8, "three")):
            pair.worker.publish_delta(words(conversation, text, offset))
        pair.worker.publish(conversation, envelope(conversation, 1, text="Grüße\u2028\x01"))
        items = await receive_items(subscription, 2)
        while shown(items)[-1] != 1:
            items += await receive_items(subscription, 1)
    text = "".join(item.text for item in items if not isinstance(item, dict))
    assert text == "one two three"
    assert items[-1] == envelope(conversation, 1, text="Grüße\u2028\x01")


async def test_who_joins_the_service_in_the_middle_gets_the_words_so_far() -> None:
    conversation = uuid4()
    async with ends() as pair, pair.service.subscribe(conversation) as subscription:
        for offset, text in ((0, "one "), (4, "two")):
            pair.worker.publish_delta(words(conversation, text, offset))
        heard = ""
        while heard != "one two":
            (item,) = await receive_items(subscription, 1)
            assert not isinstance(item, dict)
            heard += item.text
        assert [delta.text for delta in await pair.service.partial(conversation)] == ["one two"]


async def test_large_events_and_other_frames_pass() -> None:
    conversation = uuid4()
    large = "x" * 3_000_000
    async with ends() as pair, pair.service.subscribe(conversation) as subscription:
        send(pair.writer, "number", 7)
        pair.worker.publish(conversation, envelope(conversation, 1, text=large))
        (item,) = await receive_items(subscription, 1)
        assert item == envelope(conversation, 1, text=large)
        assert pair.other == [("number", 7)]


async def test_a_service_that_does_not_listen_holds_nobody_up_and_fills_no_memory() -> None:
    conversation = uuid4()
    async with ends(listening=False) as pair:
        for seq in range(1, 41):
            pair.worker.publish(conversation, envelope(conversation, seq, text="x" * 1_000_000))
        assert pair.writer.transport.get_write_buffer_size() < MOST_WAITING + 2_000_000


async def test_a_worker_that_is_gone_ends_the_relay_also_in_the_middle_of_a_frame() -> None:
    conversation = uuid4()
    async with ends() as pair, pair.service.subscribe(conversation) as subscription:
        pair.worker.publish(conversation, envelope(conversation, 1))
        assert shown(await receive_items(subscription, 1)) == [1]
        pair.writer.write(b'\0\0\1\0["event"')
        pair.writer.close()
        async with asyncio.timeout(30):
            await pair.over.wait()
        assert len(subscription) == 0
        # And a service that is gone is no trouble of the worker.
        pair.worker.publish(conversation, envelope(conversation, 2))
