"""File work off the event loop that has ended, one way or the other, when the caller goes on."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, TypeVar

_Result = TypeVar("_Result")
INLINE_BYTES = 256 * 1024
"""Reading so many bytes takes about as long as a hop to a thread and back takes on a busy machine."""


def _nothing() -> None:
    return None


async def by_size(size: int, act: Callable[[], _Result]) -> _Result:
    """Run `act`, which works on `size` bytes: here when they are few, else in a thread."""
    return act() if size <= INLINE_BYTES else await in_thread(act)


async def in_thread(act: Callable[[], _Result], stop: Callable[[], None] = _nothing) -> _Result:
    """Run `act` in a thread and return what it returns, or raise what it raises.

    Cancelled, it calls `stop`, waits until `act` has ended, and raises CancelledError: nothing that the
    caller then closes is still in use.
    """
    work = asyncio.ensure_future(asyncio.to_thread(act))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        stop()
        while not work.done():
            with suppress(asyncio.CancelledError):  # cancelled again: there is still nothing to go on with
                await asyncio.wait([work])
        if not work.cancelled():
            work.exception()  # looked at, and of no interest any more
        raise


async def ended(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Wait until all `tasks` have ended, however often the wait is cancelled; then raise CancelledError.

    What they returned or raised is left to whoever asks them.
    """
    waited = list(tasks)
    cancelled = False
    while ahead := [task for task in waited if not task.done()]:
        try:
            await asyncio.wait(ahead)
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError
