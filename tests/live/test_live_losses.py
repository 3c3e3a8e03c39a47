"""What is lost on the way is counted: publications that Redis never had, viewers that were too slow."""

from uuid import UUID, uuid4

import pytest

from flynn.live.hub import Hub
from flynn.live.memory import MemoryBus
from flynn.live.redis import QUEUE, RedisBus
from flynn.live.subscription import Envelope
from flynn.live.viewer import SlowViewer
from tests.eventually import eventually
from tests.live.redis_server import RedisServer


def envelope(conversation_id: UUID, seq: int) -> Envelope:
    return {"conversation_id": str(conversation_id), "seq": seq, "type": "run.queued", "data": {}}


async def test_publications_to_a_redis_that_is_away_are_counted() -> None:
    lost: list[int] = []
    conversation = uuid4()
    async with RedisBus("redis://127.0.0.1:1/0", lost=lost.append) as bus:
        for seq in range(1, 8):
            bus.publish(conversation, envelope(conversation, seq))
        await eventually(lambda: sum(lost) == 7, what="the count of what was lost")


@pytest.mark.needs("redis-server")
async def test_what_reaches_redis_is_not_lost(redis_server: RedisServer) -> None:
    lost: list[int] = []
    conversation = uuid4()
    async with RedisBus(redis_server.url, lost=lost.append) as bus:
        for seq in range(1, 500):
            bus.publish(conversation, envelope(conversation, seq))
    assert lost == []


async def test_what_falls_out_of_a_full_queue_is_lost() -> None:
    lost: list[int] = []
    conversation = uuid4()
    bus = RedisBus("redis://127.0.0.1:1/0", lost=lost.append)
    for seq in range(1, QUEUE + 4):
        bus.publish(conversation, envelope(conversation, seq))
    assert lost == [1, 1, 1]


async def test_a_viewer_that_does_not_keep_pace_is_counted_once() -> None:
    slow: list[None] = []
    conversation = uuid4()
    bus = MemoryBus()

    async def marks(_: object) -> dict[UUID, int]:
        return {conversation: 0}

    async def replay(_: UUID, after: int) -> list[Envelope]:
        return [envelope(conversation, seq) for seq in range(after + 1, 2)]

    hub = Hub(bus, marks=marks, replay=replay, limit=3, slow=lambda: slow.append(None))
    async with hub.view(conversation, after_seq=0) as viewer:
        bus.publish(conversation, envelope(conversation, 1))
        await viewer.next()
        for seq in range(2, 8):
            bus.publish(conversation, envelope(conversation, seq))
        with pytest.raises(SlowViewer):
            await viewer.next()
    assert len(slow) == 1
