"""A client: one Socket.IO connection, what it follows, and how far it has certainly come."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import socketio

from flynn.api.problem import named, problem_of
from flynn.api.wire import Wire
from flynn.domain.content import Json
from flynn.domain.delta import Delta
from flynn.domain.errors import Conflict, FlynnError, NotFound, TooManyRequests, Unauthenticated
from flynn.domain.principal import Principal
from flynn.live.bus import Bus
from flynn.live.hub import Hub
from flynn.live.viewer import Viewer
from flynn.telemetry.logging import get_logger

SESSION_TTL = 24 * 3600.0
"""Seconds for which a session is kept after its client was last heard."""

SAVE_EVERY = 600.0
"""Seconds after which a session is saved although nothing changed, so that it is kept."""

CHECK_EVERY = 30.0
"""Seconds after which the key of a connection is looked up again."""

MOST_WATCHED = 200
"""Conversations that one connection may follow."""

MOST_CALLS = 100
"""Calls of one connection that may wait for their turn."""

LEAVE = 5.0
"""Seconds that a client which was told to go may take to read why."""

_log = get_logger(__name__)


@dataclass(slots=True)
class _Watched:
    """A followed conversation: `received` is the seq up to which the client certainly has it."""

    received: int
    pump: asyncio.Task[None]


class Client:
    """One connection. `begin` or `refuse` must follow: until then its calls wait."""

    def __init__(self, sid: str, *, server: socketio.AsyncServer, wire: Wire, bus: Bus, hub: Hub) -> None:
        self._sid = sid
        self._server = server
        self._wire = wire
        self._bus = bus
        self._hub = hub
        self._principal: Principal | None = None
        self._refused: FlynnError | None = None
        self._begun = asyncio.Event()
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._watched: dict[UUID, _Watched] = {}
        self._sent: deque[tuple[int, UUID, int]] = deque()
        self._changed = False
        self._saved_at = self._checked_at = time.monotonic()
        self._tasks: set[asyncio.Task[None]] = set()
        self._still_allowed: Callable[[], Awaitable[object]] | None = None
        self.session = ""
        wire.on_received = self._received

    @property
    def principal(self) -> Principal:
        """Who is connected. Only after `begin`."""
        if self._principal is None:
            raise Unauthenticated("This connection is not open.")
        return self._principal

    def begin(
        self, principal: Principal, *, session: str, still_allowed: Callable[[], Awaitable[object]]
    ) -> None:
        """The key is good: let calls through. `still_allowed` looks it up again and raises if not."""
        self._principal = principal
        self.session = session
        self._still_allowed = still_allowed
        self._begun.set()

    def refuse(self, error: FlynnError) -> None:
        """The connection is not let in: its calls fail with `error`."""
        self._refused = error
        self._begun.set()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for the calls that came before. Raises TooManyRequests, or why the client was refused."""
        if self._waiting >= MOST_CALLS:
            raise TooManyRequests(
                f"{MOST_CALLS} calls wait already: wait for their acknowledgements.", retry_after=1
            )
        self._waiting += 1
        try:
            async with self._turn:
                await self._begun.wait()
                if self._refused is not None:
                    raise self._refused
                yield
        finally:
            self._waiting -= 1

    async def emit(self, event: str, data: Json) -> int:
        """Send an event; gives its number on the wire."""
        number = self._wire.queued()
        await self._server.emit(event, data, to=self._sid)
        return number

    async def watch(self, conversation_id: UUID, after_seq: int) -> int:
        """Follow a conversation from `after_seq` on, anew if it is followed already; gives its last seq.

        Raises InvalidInput for a cursor beyond the log, Conflict when too many are followed.
        """
        if conversation_id not in self._watched and len(self._watched) >= MOST_WATCHED:
            raise Conflict(f"A connection may follow up to {MOST_WATCHED} conversations: close some.")
        stack = AsyncExitStack()
        seen_by = None if self.principal.admin else self.principal.id
        viewer = await stack.enter_async_context(
            self._hub.view(conversation_id, after_seq=after_seq, principal_id=seen_by)
        )
        await self.unwatch(conversation_id)
        pump = asyncio.create_task(self._pump(viewer, stack), name="api: follow a conversation")
        self._watched[conversation_id] = _Watched(after_seq, pump)
        self._changed = True
        return viewer.mark

    async def unwatch(self, conversation_id: UUID) -> None:
        """Stop following a conversation, if it is followed."""
        watched = self._watched.pop(conversation_id, None)
        if watched is not None:
            self._changed = True
            watched.pump.cancel()
            await asyncio.gather(watched.pump, return_exceptions=True)
            self._sent = deque(entry for entry in self._sent if entry[1] != conversation_id)

    async def save(self) -> None:
        """Keep the session."""
        if self._principal is None:
            return
        self._changed = False
        self._saved_at = time.monotonic()
        watching = {str(key): watched.received for key, watched in self._watched.items()}
        await self._bus.save_session(
            self.session, {"principal": str(self._principal.id), "watching": watching}, SESSION_TTL
        )

    async def leave(self, error: FlynnError) -> None:
        """Tell the client why, and disconnect it."""
        await self.emit("problem", problem_of(error))
        await self._server.disconnect(self._sid)
        self.abort_later()

    def abort_later(self) -> None:
        """Cut the connection if the client does not close it within LEAVE seconds."""
        asyncio.get_running_loop().call_later(LEAVE, self._wire.abort)

    async def close(self) -> None:
        """The connection is over: keep the session, stop following."""
        await self.save()
        pumps = [watched.pump for watched in self._watched.values()]
        self._watched.clear()
        here = asyncio.current_task()
        others = [task for task in (*pumps, *self._tasks) if task is not here]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _pump(self, viewer: Viewer, stack: AsyncExitStack) -> None:
        """Send what a viewer gives, as fast as the client takes it."""
        async with stack:
            try:
                while True:
                    item = await viewer.next()
                    await self._wire.room()
                    if isinstance(item, Delta):
                        await self.emit("delta", item.model_dump(mode="json", exclude_none=True))
                    else:
                        number = await self.emit("event", item)
                        self._sent.append((number, viewer.conversation_id, item["seq"]))
            except NotFound as error:
                self._start(self._lose(viewer.conversation_id, error))
            except FlynnError as error:
                self._start(self.leave(error))
            except Exception as error:
                self._start(self.leave(named(error, request_id=None)))

    async def _lose(self, conversation_id: UUID, error: NotFound) -> None:
        """Stop following what may not be seen any more, and say so. The connection stays."""
        await self.unwatch(conversation_id)
        await self.emit("problem", {**problem_of(error), "conversation_id": str(conversation_id)})
        await self.save()

    def _received(self, number: int) -> None:
        """The client has answered a PING that was sent after event `number`."""
        while self._sent and self._sent[0][0] <= number:
            _, conversation_id, seq = self._sent.popleft()
            watched = self._watched.get(conversation_id)
            if watched is not None and seq > watched.received:
                watched.received = seq
                self._changed = True
        now = time.monotonic()
        if self._changed or now - self._saved_at >= SAVE_EVERY:
            self._start(self.save())
        if now - self._checked_at >= CHECK_EVERY:
            self._checked_at = now
            self._start(self._check())

    async def _check(self) -> None:
        """Disconnect a client whose key was revoked meanwhile."""
        if self._still_allowed is None:
            return
        try:
            await self._still_allowed()
        except Unauthenticated as error:
            await self.leave(error)
        except Exception as error:
            found = named(error, request_id=None)
            _log.warning("cannot look up the key of a connection", error=found.detail)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
