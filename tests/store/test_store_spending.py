"""A principal's day under any interleaving: what is reserved and spent is never more than allowed."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text

from flynn.store import spending
from tests.house import House, open_house

ALLOWED = 1_000


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as opened:
        yield opened


async def reserve(house: House, conversation: UUID, amount: int, allowed: int | None = ALLOWED) -> bool:
    async with house.database.begin() as connection:
        found = await spending.reserve(connection, house.owner.id, conversation, amount, allowed=allowed)
    return found is not None


async def settle(house: House, conversation: UUID, amount: int) -> spending.Day | None:
    async with house.database.begin() as connection:
        return await spending.settle(connection, conversation, amount)


async def day(house: House) -> spending.Day:
    async with house.database.statement() as connection:
        return await spending.read_day(connection, house.owner.id)


async def test_a_reservation_is_settled_once(house: House) -> None:
    conversation = (await house.converse()).id
    assert not await reserve(house, conversation, ALLOWED + 1)
    assert await reserve(house, conversation, 700)
    assert (await day(house)).reserved == 700
    settled = await settle(house, conversation, 300)
    assert settled is not None
    assert (settled.reserved, settled.spent) == (0, 300)
    assert await settle(house, conversation, 300) is None
    assert not await reserve(house, conversation, 701)
    assert await reserve(house, conversation, 701, allowed=None)
    assert (await day(house)).taken == 1_001


async def test_what_is_reserved_before_midnight_is_settled_on_its_day(house: House) -> None:
    conversation = (await house.converse()).id
    await reserve(house, conversation, 900)
    async with house.database.begin() as connection:
        for table in ("spending", "reservations"):
            await connection.execute(text(f"UPDATE {table} SET day = day - 1"))  # two names
    other = (await house.converse()).id
    assert await reserve(house, other, 900)
    yesterday = await settle(house, conversation, 100)
    today = await day(house)
    assert yesterday is not None
    assert (yesterday.reserved, yesterday.spent) == (0, 100)
    assert (today.reserved, today.spent) == (900, 0)
    assert (today.day - yesterday.day).days == 1


async def test_all_at_once_take_no_more_than_there_is(house: House) -> None:
    conversations = [(await house.converse()).id for _ in range(12)]
    taken = await asyncio.gather(*(reserve(house, one, 300) for one in conversations))
    assert taken.count(True) == 3
    assert (await day(house)).reserved == 900


@pytest.mark.parametrize("seed", range(3))
async def test_no_sequence_takes_more_than_there_is(house: House, seed: int) -> None:
    chance = random.Random(seed)  # a play, not a secret
    conversations = [(await house.converse()).id for _ in range(4)]
    open_calls: dict[UUID, int] = {}
    spent, allowed = 0, ALLOWED
    for _ in range(60):
        conversation = chance.choice(conversations)
        if chance.random() < 0.05:
            allowed += chance.randint(0, 300)
        elif conversation not in open_calls:
            wanted = chance.randint(1, 400)
            fits = sum(open_calls.values()) + spent + wanted <= allowed
            assert await reserve(house, conversation, wanted, allowed) == fits
            if fits:
                open_calls[conversation] = wanted
        else:
            # A crash is a call that is settled, by somebody else, at all that was reserved for it.
            reserved = open_calls.pop(conversation)
            cost = reserved if chance.random() < 0.3 else chance.randint(0, reserved)
            assert await settle(house, conversation, cost) is not None
            spent += cost
        found = await day(house)
        assert (found.reserved, found.spent) == (sum(open_calls.values()), spent)
        assert found.taken <= allowed
