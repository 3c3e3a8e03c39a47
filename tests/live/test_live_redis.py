"""RedisBus when Redis is gone, hangs, or is emptied."""

import asyncio
import time
from uuid import uuid4

import pytest

from flynn.live.presence import Present
from flynn.live.redis import RedisBus
from tests.live.redis_server import RedisServer, until
from tests.live.stream import envelope, shown, words
from tests.live.test_live_bus_contract import KIM, SAM, partial_of, receive, told

pytestmark = pytest.mark.needs("redis-server")


async def test_without_redis_a_process_still_talks_to_itself(redis_server: RedisServer) -> None:
    redis_server.kill()
    conversation = uuid4()
    async with RedisBus(redis_server.url) as bus:
        assert bus.part().state == "degraded"
        async with bus.subscribe(conversation) as subscription:
            bus.publish_delta(words(conversation, "Hello"))
            bus.publish(conversation, envelope(conversation, 1))
            assert shown(await receive(subscription, 2, within=0.2)) == ["Hello", 1]
        await bus.save_session("s", {"a": 1}, 60)
        assert await bus.load_session("s") == {"a": 1}


async def test_it_connects_to_a_redis_that_comes_later(redis_server: RedisServer) -> None:
    redis_server.kill()
    conversation = uuid4()
    async with (
        RedisBus(redis_server.url) as here,
        RedisBus(redis_server.url) as there,
        there.subscribe(conversation) as subscription,
    ):
        here.publish(conversation, envelope(conversation, 1))
        redis_server.start()
        await until(lambda: here.part().state == "ok" and there.part().state == "ok")
        here.publish(conversation, envelope(conversation, 2))
        assert shown(await receive(subscription, 1))[-1] == 2


async def test_a_redis_that_was_killed_is_found_again(redis_server: RedisServer) -> None:
    conversation = uuid4()
    async with (
        RedisBus(redis_server.url) as here,
        RedisBus(redis_server.url) as there,
        there.subscribe(conversation) as subscription,
    ):
        here.publish(conversation, envelope(conversation, 1))
        assert shown(await receive(subscription, 1)) == [1]
        redis_server.kill()
        here.publish(conversation, envelope(conversation, 2))
        await until(lambda: here.part().state == "degraded" and there.part().state == "degraded")
        assert "Redis does not answer" in str(here.part().detail)
        redis_server.start()
        await until(lambda: here.part().state == "ok" and there.part().state == "ok")
        here.publish(conversation, envelope(conversation, 3))
        assert shown(await receive(subscription, 1)) == [3]


async def test_a_redis_that_hangs_holds_nobody_up(redis_server: RedisServer) -> None:
    conversation = uuid4()
    async with RedisBus(redis_server.url) as bus:
        redis_server.freeze()
        began = time.monotonic()
        async with bus.subscribe(conversation) as subscription:
            assert time.monotonic() - began < 0.8
            began = time.monotonic()
            for seq in range(1, 501):
                bus.publish(conversation, envelope(conversation, seq))
            assert len(await receive(subscription, 500, within=0.5)) == 500
            assert time.monotonic() - began < 0.3
            began = time.monotonic()
            assert await bus.load_session("s") is None
            await bus.save_session("s", {"a": 1}, 60)
            assert await bus.load_session("s") == {"a": 1}
            assert time.monotonic() - began < 2.0
            await until(lambda: bus.part().state == "degraded")
            redis_server.thaw()
            await until(lambda: bus.part().state == "ok")


async def test_a_listener_notices_a_redis_that_hangs_in_silence(redis_server: RedisServer) -> None:
    async with RedisBus(redis_server.url) as bus:
        redis_server.freeze()
        await until(lambda: bus.part().state == "degraded", within=6.0)
        redis_server.thaw()
        await until(lambda: bus.part().state == "ok")


async def test_an_emptied_redis_costs_nothing_here(redis_server: RedisServer) -> None:
    conversation = uuid4()
    async with RedisBus(redis_server.url) as here, RedisBus(redis_server.url) as there:
        await here.save_session("s", {"a": 1}, 60)
        here.publish_delta(words(conversation, "Hello"))
        assert await partial_of(there, conversation, "Hello") == ["Hello"]
        await here._redis.flushall()
        assert await here.load_session("s") == {"a": 1}
        assert await there.load_session("s") is None
        async with there.subscribe(conversation) as subscription:
            here.publish(conversation, envelope(conversation, 1))
            assert shown(await receive(subscription, 1)) == [1]


async def test_words_are_whole_again_after_redis_was_away(redis_server: RedisServer) -> None:
    conversation = uuid4()
    async with RedisBus(redis_server.url) as here, RedisBus(redis_server.url) as there:
        here.publish_delta(words(conversation, "one "))
        assert await partial_of(there, conversation, "one ") == ["one "]
        redis_server.kill()
        here.publish_delta(words(conversation, "two ", 4))
        await until(lambda: here.part().state == "degraded")
        redis_server.start()
        await until(lambda: here.part().state == "ok" and there.part().state == "ok")
        here.publish_delta(words(conversation, "three", 8))
        here.publish(conversation, envelope(conversation, 1))
        assert await partial_of(there, conversation, "one two three") == ["one two three"]


async def test_who_was_there_by_a_process_that_was_killed_is_forgotten(redis_server: RedisServer) -> None:
    conversation = uuid4()
    async with RedisBus(redis_server.url, presence_ttl=0.6) as here:
        killed = RedisBus(redis_server.url, presence_ttl=0.6)
        await killed.__aenter__()
        async with here.subscribe(conversation) as subscription:
            with here.attend(conversation, SAM):
                attending = killed.attend(conversation, KIM)
                attending.__enter__()
                await told(subscription, "kim", "sam")
                await asyncio.sleep(1.5)
                assert await here.present(conversation) == Present(("kim", "sam"), 2), "it says so again"
                killed._presence.close()
                await told(subscription, "sam")
                key = f"flynn:present:{conversation}"
                found = await here._redis.keys("flynn:present:*")
                kept = {name if isinstance(name, str) else name.decode() for name in found}
                assert kept == {key, f"{key}:{here._origin}"}
        await killed.__aexit__()


async def test_who_is_there_is_whole_again_after_redis_was_away_or_emptied(redis_server: RedisServer) -> None:
    conversation = uuid4()
    async with (
        RedisBus(redis_server.url, presence_ttl=0.6) as here,
        RedisBus(redis_server.url, presence_ttl=0.6) as there,
        here.subscribe(conversation) as subscription,
    ):
        with here.attend(conversation, SAM), there.attend(conversation, KIM):
            await told(subscription, "kim", "sam")
            redis_server.kill()
            await told(subscription, "sam")
            redis_server.start()
            await told(subscription, "kim", "sam")
            await here._redis.flushall()
            await asyncio.sleep(0.5)
            await until(lambda: here.part().state == "ok")
            assert await here.present(conversation) == Present(("kim", "sam"), 2)


async def test_many_listeners_come_and_go_at_once(redis_server: RedisServer) -> None:
    async with RedisBus(redis_server.url) as here, RedisBus(redis_server.url) as there:

        async def listen() -> None:
            conversation = uuid4()
            for seq in range(1, 6):
                async with there.subscribe(conversation) as subscription:
                    here.publish(conversation, envelope(conversation, seq))
                    assert shown(await receive(subscription, 1)) == [seq]

        await asyncio.gather(*[listen() for _ in range(60)])
