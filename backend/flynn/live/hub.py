"""The hub: one per process. Opens viewers, and every two seconds compares them with the log."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from typing import Any, Self
from uuid import UUID

from flynn.domain.errors import InvalidInput, NotFound
from flynn.live.bus import SUBSCRIPTION_LIMIT, Bus
from flynn.live.presence import Person
from flynn.live.viewer import ReadLog, Viewer
from flynn.telemetry.logging import get_logger

ReadMarks = Callable[[Sequence[UUID]], Awaitable[dict[UUID, int]]]
"""`marks(conversation_ids)`: the high-water mark of each, in one query."""

Pair = tuple[UUID, UUID]
"""A principal and a conversation."""

FindUnseen = Callable[[Sequence[Pair]], Awaitable[set[Pair]]]
"""`unseen(pairs)`: those where the principal may not see the conversation any more, in one query."""

RECONCILE_EVERY = 2.0
"""Seconds between two comparisons of the watched conversations with the log, and of who may watch them."""

HEARING = 1.0
"""Seconds that viewers have to hear that the service ends."""

_log = get_logger(__name__)


class Hub:
    """Opens viewers over a bus and a log that it is handed as functions.

    Use it as a context manager: inside, it reconciles. Whether somebody may begin to watch is the caller's
    matter; whoever loses the right to later is cut off here, when `unseen` is given.
    """

    def __init__(
        self,
        bus: Bus,
        *,
        marks: ReadMarks,
        replay: ReadLog,
        unseen: FindUnseen | None = None,
        interval: float = RECONCILE_EVERY,
        limit: int = SUBSCRIPTION_LIMIT,
        slow: Callable[[], None] = lambda: None,
    ) -> None:
        """`slow` is called for each viewer that is given up because it does not keep pace."""
        self._bus = bus
        self._marks = marks
        self._replay = replay
        self._unseen = unseen
        self._interval = interval
        self._limit = limit
        self._slow = slow
        self._viewers: dict[UUID, set[Viewer]] = {}
        self._task: asyncio.Task[None] | None = None
        self._deserted = asyncio.Event()
        self._deserted.set()
        self._ended = False
        self._on_end: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self._farewells: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._reconcile_for_ever(), name="live: reconcile with the log")
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    @asynccontextmanager
    async def view(
        self,
        conversation_id: UUID,
        *,
        after_seq: int | None = None,
        limit: int | None = None,
        principal_id: UUID | None = None,
        person: Person | None = None,
    ) -> AsyncIterator[Viewer]:
        """Follow a conversation: everything after `after_seq` (None: from now on), then live.

        `principal_id` is whose right to see it is looked at again and again; None for one who sees all.
        `person` is who others are told to be present meanwhile; only a viewer with one is told of others.
        Subscribes, reads the mark, and lets the viewer replay. Raises InvalidInput when `after_seq` lies
        beyond the log's end, and whatever `marks` raises.
        """
        async with self._bus.subscribe(conversation_id, limit=limit or self._limit) as subscription:
            mark = (await self._marks([conversation_id])).get(conversation_id, 0)
            cursor = mark if after_seq is None else after_seq
            if cursor > mark:
                raise InvalidInput(
                    f"after_seq is {cursor}, but the conversation's last event is {mark}. "
                    "Start again with after_seq 0.",
                    errors=[{"field": "after_seq", "message": f"must be at most {mark}"}],
                )
            viewer = Viewer(
                conversation_id,
                subscription,
                cursor=cursor,
                target=mark,
                replay=self._replay,
                partial=self._bus.partial,
                principal_id=principal_id,
                slow=self._slow,
                sociable=person is not None,
            )
            self._viewers.setdefault(conversation_id, set()).add(viewer)
            self._deserted.clear()
            if self._ended:
                viewer.end()
            attending = self._bus.attend(conversation_id, person) if person else nullcontext()
            try:
                with attending:
                    yield viewer
            finally:
                viewers = self._viewers[conversation_id]
                viewers.discard(viewer)
                if not viewers:
                    del self._viewers[conversation_id]
                if not self._viewers:
                    self._deserted.set()

    def on_end(self, callback: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Call back when `end` is called, for clients that follow nothing; `dismiss` waits for it."""
        self._on_end.append(callback)

    def end(self) -> None:
        """Tell everybody who follows a conversation, now or later, that the service ends."""
        if self._ended:
            return
        self._ended = True
        self._farewells = [asyncio.create_task(callback()) for callback in self._on_end]
        for viewers in self._viewers.values():
            for viewer in viewers:
                viewer.end()

    async def dismiss(self, within: float = HEARING) -> None:
        """Tell everybody as `end` does, and wait up to `within` seconds until nobody is left."""
        self.end()
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await asyncio.gather(self._deserted.wait(), *self._farewells)

    @property
    def watched(self) -> int:
        """How many conversations have viewers here."""
        return len(self._viewers)

    async def reconcile(self) -> None:
        """Compare all watched conversations with the log, in one query."""
        if not self._viewers:
            return
        for conversation_id, mark in (await self._marks(list(self._viewers))).items():
            for viewer in self._viewers.get(conversation_id, ()):
                viewer.reconcile(mark)

    async def cut_off(self) -> None:
        """End the viewers of those who may not see what they watch any more, found in one query."""
        viewers = [v for found in self._viewers.values() for v in found if v.principal_id is not None]
        pairs = {(v.principal_id, v.conversation_id) for v in viewers if v.principal_id is not None}
        if self._unseen is None or not pairs:
            return
        lost = await self._unseen(sorted(pairs))
        for viewer in viewers:
            if (viewer.principal_id, viewer.conversation_id) in lost:
                viewer.end(NotFound(f"There is no conversation {viewer.conversation_id}."))

    async def _reconcile_for_ever(self) -> None:
        failing = False
        while True:
            await asyncio.sleep(self._interval)
            try:
                await self.cut_off()
                await self.reconcile()
                failing = False
            except Exception as error:  # whatever it is: this loop outlives it
                if not failing:
                    _log.warning(
                        "cannot compare viewers with the log", error=str(error) or type(error).__name__
                    )
                failing = True
