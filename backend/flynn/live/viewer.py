"""A viewer: one client's ordered, gapless sight of one conversation, from the log and the bus together."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from uuid import UUID

from flynn.domain.delta import Delta
from flynn.domain.errors import FlynnError
from flynn.live.heard import Heard
from flynn.live.presence import Present
from flynn.live.subscription import Envelope, Item, Subscription
from flynn.telemetry.logging import get_logger

_log = get_logger(__name__)

ReadLog = Callable[[UUID, int], Awaitable[list[Envelope]]]
"""`replay(conversation_id, after_seq)`: the next events after `after_seq` in the order of seq, a page at a
time (at least one when there is one)."""

ReadPartial = Callable[[UUID], Awaitable[list[Delta]]]

EMPTY_READS = 20
"""Reads of the log that may find nothing where a publication or a mark promised something."""


class SlowViewer(FlynnError):
    """The client does not take what is sent to it; it comes back with its cursor."""

    code = "slow-client"
    title = "The client reads too slowly"
    status = 408


class ServiceEnds(FlynnError):
    """The process is about to end; the client comes back with its cursor."""

    code = "service-ends"
    title = "The service is ending"
    status = 503


def service_ends() -> ServiceEnds:
    """What every client is told when the process is about to end."""
    return ServiceEnds("Connect again and go on after the last seq you received.", retry_after=1)


class Viewer:
    """Gives the events of a conversation after `cursor`, each exactly once and in order, and deltas.

    Pull with `next`: what is not pulled waits in the subscription, and when that overflows while the
    viewer is live, `next` raises SlowViewer. `cursor` is the seq of the last event that was given out. A
    `sociable` one is also given who else is present, whenever that changes.
    """

    def __init__(
        self,
        conversation_id: UUID,
        subscription: Subscription,
        *,
        cursor: int,
        target: int,
        replay: ReadLog,
        partial: ReadPartial,
        principal_id: UUID | None = None,
        slow: Callable[[], None] = lambda: None,
        sociable: bool = False,
    ) -> None:
        self.conversation_id = conversation_id
        self.principal_id = principal_id
        self._sociable = sociable
        self.cursor = cursor
        self._subscription = subscription
        self._target = target
        self._replay = replay
        self._partial = partial
        self._slow = slow
        self._pending: deque[Item] = deque()
        self._heard = Heard()
        self._joining = True
        self._empty_reads = 0
        self._over: FlynnError | None = None
        self.mark = target
        """The log's last seq when the viewer was opened."""

    async def next(self) -> Item | Present:
        """Wait for the next event, delta or change of who is there. Cancelling it loses nothing.

        Raises SlowViewer, or as `end` says. When the log cannot be read it is tried again, for ever, with
        growing pauses.
        """
        while True:
            if self._over is not None:
                raise self._over
            if self._pending:
                return self._give(self._pending.popleft())
            present = self._subscription.take_present()
            if present is not None and self._sociable:
                return present
            if self.cursor < self._target:
                self._joining = True
                await self._catch_up()
            elif self._subscription.overflowed:
                self.check()
                self._subscription.recover()
                self._target = max(self._target, self._subscription.highest)
            elif self._joining:
                await self._join()
            else:
                item = self._subscription.take()
                if item is None:
                    await self._subscription.wait()
                elif isinstance(item, Delta):
                    await self._admit(item)
                elif item["seq"] == self.cursor + 1:
                    return self._give(item)
                elif item["seq"] > self.cursor:
                    self._target = max(self._target, item["seq"])

    def check(self) -> None:
        """Raise SlowViewer when more waits for the client than is kept, or what `end` was given.

        For whoever holds an item that the client does not take, and so does not call `next`.
        """
        if self._over is not None:
            raise self._over
        if self._subscription.overflowed and not self._joining:
            raise self.slow(f"More than {self._subscription.limit} items waited for this client.")

    def slow(self, why: str) -> SlowViewer:
        """What to raise for a client that does not take what is sent to it; it is counted."""
        self._slow()
        return SlowViewer(f"{why} Connect again and go on after the last seq you received.")

    def reconcile(self, mark: int) -> None:
        """Compare with the log's high-water mark: what is neither here nor given out will be read."""
        if mark > max(self.cursor, self._target, self._subscription.highest):
            self._target = mark
            self._subscription.wake()

    def end(self, error: FlynnError | None = None) -> None:
        """Let `next` raise `error`, or that the service ends. What waits is not given out any more."""
        self._over = error or service_ends()
        self._subscription.wake()

    def _give(self, item: Item) -> Item:
        if not isinstance(item, Delta):
            self.cursor = item["seq"]
            self._heard.note(item)
        return item

    async def _catch_up(self) -> None:
        """Read the next page of the log into `_pending`."""
        pause = 0.1
        while True:
            try:
                page = await self._replay(self.conversation_id, self.cursor)
                break
            except Exception as error:  # whatever it is: the viewer outlives it
                _log.warning("cannot read the log for a viewer", error=str(error) or type(error).__name__)
                await asyncio.sleep(pause)
                pause = min(2 * pause, 2.0)
        if page:
            self._pending.extend(page)
            self._empty_reads = 0
            return
        self._empty_reads += 1
        if self._empty_reads > EMPTY_READS:
            _log.error(
                "the log lacks events that were published",
                conversation_id=str(self.conversation_id),
                after_seq=self.cursor,
                published_seq=self._target,
            )
            self._target, self._empty_reads = self.cursor, 0
            return
        await asyncio.sleep(0.05)

    async def _join(self) -> None:
        """Take up the words on the way, once the log has been read."""
        self._subscription.drop_deltas()
        self._heard.forget()
        self._joining = False
        for delta in await self._partial(self.conversation_id):
            self._queue(delta)

    async def _admit(self, delta: Delta) -> None:
        """Queue a delta; when words before it were lost, the partial fills the hole if it can."""
        if not self._heard.void(delta) and self._heard.missing(delta):
            for known in await self._partial(self.conversation_id):
                self._queue(known)
        self._queue(delta)

    def _queue(self, delta: Delta) -> None:
        new = self._heard.take(delta)
        if new is not None:
            self._pending.append(new)
