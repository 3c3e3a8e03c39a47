"""Waiting for something that another task or process brings about."""

import asyncio
from collections.abc import Awaitable, Callable


async def eventually(
    holds: Callable[[], bool | Awaitable[bool]],
    *,
    what: str = "it",
    seconds: float = 40,
    every: float = 0.02,
) -> None:
    """Return as soon as `holds()` is true; fail the test when it is not within `seconds`."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while True:
        found = holds()
        if found if isinstance(found, bool) else await found:
            return
        assert loop.time() < end, f"{what} did not happen within {seconds:g} s"
        await asyncio.sleep(every)


async def abandon(task: "asyncio.Task[None]") -> None:
    """Take a task away as a lost worker goes: cancelled, and nothing that it raises matters."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
