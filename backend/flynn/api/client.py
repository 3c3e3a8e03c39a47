"""A client: one Socket.IO connection, what it follows, and how far it has certainly come."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from flynn.api.frame import delta_frame, event_frame
from flynn.api.problem import named, problem_of
from flynn.api.window import Window
from flynn.domain.content import Json
from flynn.domain.delta import Delta
from flynn.domain.errors import Conflict, FlynnError, NotFound, TooManyRequests, Unauthenticated
from flynn.domain.principal import Principal
from flynn.live.bus import Bus
from flynn.live.hub import Hub
from flynn.live.presence import Person, Present
from flynn.live.viewer import SlowViewer, Viewer
from flynn.telemetry.logging import get_logger

SESSION_TTL = 24 * 3600.0
"""Seconds for which a session is kept after its client was last heard."""

SAVE_AFTER = 1.0
"""Seconds between two saves of a session whose cursors move all the time."""

SAVE_EVERY = 600.0
"""Seconds after which a session is saved although nothing changed, so that it is kept."""

CHECK_EVERY = 30.0
"""Seconds after which the key of a connection is looked up again."""

MOST_WATCHED = 200
"""Conversations that one connection may follow."""

MOST_CALLS = 100
"""Calls of one connection that may wait for their turn."""

STALL = 20.0
"""Seconds for which a client may confirm nothing while its window is full."""

LOOK_EVERY = 0.5
"""Seconds after which it is looked again at what waits for a client whose window is full."""

LEAVE = 5.0
"""Seconds that a client which was told to go may take to read why."""

_log = get_logger(__name__)


class Carrier(Protocol):
    """What carries a client's frames: a WebSocket, or requests that poll."""

    window: Window

    def abort(self) -> None:
        """End the connection without waiting for a client that does not read."""

    async def finish(self, within: float) -> None:
        """End it when what was queued is gone, so that the client comes back by itself."""


def is_passing(error: FlynnError) -> bool:
    """Whether a client that is let go because of `error` is to come back by itself."""
    return isinstance(error, SlowViewer) or error.status == 503


@dataclass(slots=True)
class _Watched:
    """A followed conversation: `received` is the seq up to which the client certainly has it."""

    received: int
    pump: asyncio.Task[None]


class Client:
    """One connection. `begin` or `refuse` must follow: until then its calls wait.

    `send` hands a Socket.IO frame to Engine.IO; `disconnect` says goodbye over Socket.IO.
    """

    def __init__(
        self,
        *,
        send: Callable[[str], Awaitable[None]],
        wire: Carrier,
        disconnect: Callable[[], Awaitable[None]],
        bus: Bus,
        hub: Hub,
    ) -> None:
        self._send = send
        self._wire = wire
        self._window = wire.window
        self._disconnect = disconnect
        self._bus = bus
        self._hub = hub
        self._principal: Principal | None = None
        self._refused: FlynnError | None = None
        self._begun = asyncio.Event()
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._watched: dict[UUID, _Watched] = {}
        self._sent: deque[tuple[int, UUID, int]] = deque()
        self._leaving: asyncio.Task[None] | None = None
        self._changed = False
        self._saved_at = self._checked_at = time.monotonic()
        self._tasks: set[asyncio.Task[None]] = set()
        self._still_allowed: Callable[[], Awaitable[object]] | None = None
        self.session = ""
        self._window.on_received = self._received

    @property
    def principal(self) -> Principal:
        """Who is connected. Only after `begin`."""
        if self._principal is None:
            raise Unauthenticated("This connection is not open.")
        return self._principal

    @property
    def operator(self) -> bool:
        """Whether it may be told of the service itself; nobody is before `begin`."""
        return self._principal is not None and self._principal.admin

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
        return await self._put(event_frame(event, data))

    def tell(self, event: str, data: Json) -> None:
        """Send an event when it can be sent, without waiting for it."""
        self._start(self._tell(event, data))

    async def _tell(self, event: str, data: Json) -> None:
        await self.emit(event, data)

    async def _put(self, frame: str) -> int:
        number = self._window.queued(len(frame))
        await self._send(frame)
        return number

    async def watch(self, conversation_id: UUID, after_seq: int) -> tuple[int, Present]:
        """Follow a conversation from `after_seq` on, anew if it is followed already.

        Gives its last seq and who is present.

        Raises InvalidInput for a cursor beyond the log, Conflict when too many are followed.
        """
        if conversation_id not in self._watched and len(self._watched) >= MOST_WATCHED:
            raise Conflict(f"A connection may follow up to {MOST_WATCHED} conversations: close some.")
        stack = AsyncExitStack()
        seen_by = None if self.principal.admin else self.principal.id
        person = Person(self.principal.name, str(self.principal.id))
        viewer = await stack.enter_async_context(
            self._hub.view(conversation_id, after_seq=after_seq, principal_id=seen_by, person=person)
        )
        present = await self._bus.present(conversation_id)
        await self.unwatch(conversation_id)
        pump = asyncio.create_task(self._pump(viewer, stack, present), name="api: follow a conversation")
        self._watched[conversation_id] = _Watched(after_seq, pump)
        self._changed = True
        return viewer.mark, present

    async def notice(self, conversation_id: UUID, present: Present) -> None:
        """Say who watches a conversation."""
        said = {"names": present.names, "count": present.count}
        await self.emit(
            "notice", {"kind": "presence", "conversation_id": str(conversation_id), "present": said}
        )

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
        """Tell the client why, and disconnect it. Only the first reason counts; returns when it is told.

        A client that is to come back is not sent away by name: the usual libraries take that for good.
        """
        if self._leaving is None:
            self._leaving = asyncio.create_task(self._leave(error))
        await asyncio.shield(self._leaving)

    async def _leave(self, error: FlynnError) -> None:
        await self.emit("problem", problem_of(error))
        if is_passing(error):
            await self._wire.finish(LEAVE)
        else:
            await self._disconnect()
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

    async def _pump(self, viewer: Viewer, stack: AsyncExitStack, present: Present) -> None:
        """Send what a viewer gives, as fast as the client takes it; it knows who is `present`."""
        async with stack:
            try:
                while True:
                    item = await viewer.next()
                    if not await self._window.room(LOOK_EVERY):
                        await self._room(viewer)
                    if isinstance(item, Delta):
                        await self._put(delta_frame(item))
                    elif isinstance(item, Present):
                        if item != present:
                            present = item
                            await self.notice(viewer.conversation_id, present)
                    else:
                        number = await self.emit("event", item)
                        self._sent.append((number, viewer.conversation_id, item["seq"]))
            except NotFound as error:
                self._start(self._lose(viewer.conversation_id, error))
            except FlynnError as error:
                self._start(self.leave(error))
            except Exception as error:
                self._start(self.leave(named(error, request_id=None)))

    async def _room(self, viewer: Viewer) -> None:
        """Wait for a client whose window is full. Raises SlowViewer when it waits in vain."""
        clock = asyncio.get_running_loop().time
        least, until = self._window.unconfirmed, clock() + STALL
        while not await self._window.room(LOOK_EVERY):
            viewer.check()
            if self._window.unconfirmed < least:
                least, until = self._window.unconfirmed, clock() + STALL
            elif clock() >= until:
                raise viewer.slow(
                    f"This client has confirmed nothing of what was sent for {STALL:g} seconds."
                )

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
        if now - self._saved_at >= (SAVE_AFTER if self._changed else SAVE_EVERY):
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
