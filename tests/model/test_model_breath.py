"""Reading in breaths: the more answers, the longer the pauses, and none once the message is whole."""

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import httpx2
import pytest

from flynn.model.breath import EACH, LONGEST, Breath, Breathing


class Body:
    """A body whose pieces come one by one."""

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        for number in range(3):
            await asyncio.sleep(0.002)
            yield b"%d" % number


def test_the_pause_grows_with_the_answers_and_is_bounded() -> None:
    breath = Breath()
    with breath:
        assert breath.pause() == 0
    breath.reading = 100
    assert breath.pause() == pytest.approx(100 * EACH)
    breath.reading = 10_000
    assert breath.pause() == LONGEST


def test_an_answer_that_breaks_off_is_not_counted_on() -> None:
    breath = Breath()
    with pytest.raises(RuntimeError), breath:
        raise RuntimeError
    assert breath.reading == 0


@pytest.mark.parametrize(("hurried", "pauses"), [(False, 3), (True, 0)])
async def test_every_piece_comes_and_a_whole_message_waits_for_nobody(hurried: bool, pauses: int) -> None:
    asked = 0

    class Counted(Breath):
        def pause(self) -> float:
            nonlocal asked
            asked += 1
            return super().pause()

    breath = Counted()
    breath.reading = 20
    answer = Breathing(cast(httpx2.Response, Body()), breath)
    answer.hurried = hurried
    assert [piece async for piece in answer.aiter_bytes()] == [b"0", b"1", b"2"]
    assert asked == pauses
