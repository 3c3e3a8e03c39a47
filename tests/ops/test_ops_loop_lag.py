"""How late the event loop was."""

import asyncio
import time

import pytest

from flynn.ops import loop_lag
from flynn.ops.loop_lag import watched_loop
from tests.eventually import eventually


async def test_a_call_that_blocks_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_lag, "EVERY", 0.05)
    async with watched_loop() as worst:
        await asyncio.sleep(0.01)
        time.sleep(0.5)  # noqa: ASYNC251  # what is to be found
        await eventually(lambda: worst() >= 0.4, what="the lag")
