"""A scope that an event ends: what runs inside is cancelled when somebody asks the run to stop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Stopped(Exception):
    """The run was asked to stop while it waited inside the scope."""


@asynccontextmanager
async def until(stop: asyncio.Event) -> AsyncIterator[None]:
    """Run the block; when `stop` is set, cancel it (its cleanup runs to its end), then raise Stopped."""
    if stop.is_set():
        raise Stopped
    loop = asyncio.get_running_loop()
    scope = asyncio.timeout(None)

    def end(watch: asyncio.Task[bool]) -> None:
        if not watch.cancelled() and not scope.expired():
            scope.reschedule(loop.time())

    watcher = asyncio.create_task(stop.wait())
    watcher.add_done_callback(end)
    try:
        async with scope:
            yield
    except TimeoutError:
        if scope.expired():
            raise Stopped from None
        raise
    finally:
        watcher.remove_done_callback(end)
        watcher.cancel()
