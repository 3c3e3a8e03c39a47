"""Socket.IO: calls with acknowledgements in, events and deltas out. A hint channel over the log."""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import socketio
from socketio.exceptions import ConnectionRefusedError as Refused

from flynn.api.auth import Authenticator
from flynn.api.doors import House
from flynn.api.problems import problem_of
from flynn.api.schema import CALLS, CloseCall, InterruptCall, MessageCall
from flynn.domain.content import Json
from flynn.domain.delta import Delta
from flynn.domain.errors import FlynnError, InvalidInput
from flynn.domain.orders import ConversationOrder, InterruptOrder, MessageOrder, Watch
from flynn.domain.principal import Principal, key_digest
from flynn.live.viewer import Viewer
from flynn.telemetry.logging import get_logger

SESSION_SECONDS = 3600.0
"""How long a session can be taken up again."""
FRAME_OVERHEAD = 4 * 1024 * 1024
"""Bytes of a frame over the message limit that are still read, so that they get a clear refusal."""
MOST_WATCHED = 100
"""Conversations that one connection may follow."""
PACE = 64
"""Items given to one client before its transport must have taken them."""

_log = get_logger("flynn.api.sockets")


class Connection:
    """One client: who it is, its session, and what it follows."""

    def __init__(self, principal: Principal, session: str) -> None:
        self.principal = principal
        self.session = session
        self.followed: dict[UUID, asyncio.Task[None]] = {}
        self.viewers: dict[UUID, Viewer] = {}

    def state(self) -> dict[str, Json]:
        """What the session keeps: who, and how far each conversation was given out."""
        cursors = {str(c): viewer.cursor for c, viewer in self.viewers.items()}
        return {"principal": str(self.principal.id), "cursors": cursors}


class Sockets:
    """The socket's side of the service. `server` is the engine behind the doors."""

    def __init__(
        self,
        house: House,
        authenticator: Authenticator,
        *,
        message_max_bytes: int,
        allowed_origins: Sequence[str],
    ) -> None:
        self._house = house
        self._authenticator = authenticator
        self._connections: dict[str, Connection] = {}
        allowed = frozenset(o.rstrip("/").lower() for o in allowed_origins)

        def origin_allowed(origin: str | None, environ: Mapping[str, Any]) -> bool:
            # The edge has judged already; engine.io wants to hear it itself.
            given = (origin or "").rstrip("/").lower()
            return not given or given in allowed or urlsplit(given).netloc == environ.get("HTTP_HOST")

        self.server = socketio.AsyncServer(
            async_mode="asgi",
            always_connect=True,
            transports=["websocket"],
            cors_allowed_origins=origin_allowed,
            max_http_buffer_size=message_max_bytes + FRAME_OVERHEAD,
            ping_interval=20,
            ping_timeout=20,
            http_compression=False,
            logger=False,
            engineio_logger=False,
        )
        self.server.on("connect", self._connect)
        self.server.on("disconnect", self._disconnect)
        self.server.on("*", self._call)

    # -- connections ---------------------------------------------------------------------------------

    async def _connect(self, sid: str, _environ: object, auth: object = None) -> None:
        given = auth if isinstance(auth, dict) else {}
        token = given.get("token")
        try:
            principal = await self._authenticator.principal(token if isinstance(token, str) else None)
        except Exception as error:
            problem = problem_of(error)
            raise Refused(problem["detail"], problem) from None
        connection, cursors = await self._session(principal, given.get("session"))
        self._connections[sid] = connection
        await self.server.emit("session", {"session": connection.session, "conversations": cursors}, to=sid)
        for conversation_id, cursor in cursors.items():
            try:
                await self._open(
                    sid, connection, Watch(conversation_id=UUID(conversation_id), after_seq=cursor)
                )
            except Exception as error:
                await self.server.emit("problem", problem_of(error), to=sid)

    async def _session(self, principal: Principal, session: object) -> tuple[Connection, dict[str, int]]:
        """A session taken up again, when it is this principal's; a new one otherwise."""
        if isinstance(session, str) and session:
            kept = await self._house.bus.load_session(key_digest(session))
            if kept and kept.get("principal") == str(principal.id):
                return Connection(principal, session), dict(kept.get("cursors", {}))
        return Connection(principal, secrets.token_urlsafe(24)), {}

    async def _disconnect(self, sid: str, _reason: object = None) -> None:
        connection = self._connections.pop(sid, None)
        if connection is None:
            return
        await self._save(connection)
        for task in connection.followed.values():
            task.cancel()

    async def _save(self, connection: Connection) -> None:
        await self._house.bus.save_session(
            key_digest(connection.session), connection.state(), SESSION_SECONDS
        )

    # -- calls ---------------------------------------------------------------------------------------

    async def _call(self, name: str, sid: str, *arguments: object) -> dict[str, Any]:
        """Any call: an acknowledgement with `ok`, or with the problem."""
        try:
            return {"ok": True, **await self._answer(sid, name, arguments)}
        except Exception as error:
            problem = problem_of(error)
            if problem["status"] == 500:
                _log.error("a call broke", call=name, exc_info=error)
            return {"error": problem}

    async def _answer(self, sid: str, name: str, arguments: Sequence[object]) -> dict[str, Any]:
        connection = self._connections.get(sid)
        if connection is None:
            raise InvalidInput("This connection is closing; connect again.")
        order = _order(name, arguments)
        intake, principal = self._house.intake, connection.principal
        match order:
            case ConversationOrder():
                view = await intake.create_conversation(principal, order)
                return {"conversation": view.model_dump(mode="json")}
            case Watch():
                return {"last_seq": await self._open(sid, connection, order)}
            case CloseCall():
                self._close(connection, order.conversation_id)
                await self._save(connection)
                return {}
            case MessageCall():
                message = MessageOrder(text=order.text, client_message_id=order.client_message_id)
                said = await intake.send_message(principal, order.conversation_id, message)
                return said.model_dump(mode="json")
            case InterruptCall():
                run = await intake.interrupt(
                    principal, order.conversation_id, InterruptOrder(reason=order.reason)
                )
                return {"run": run.model_dump(mode="json") if run else None}
            case _:
                raise TypeError(f"{name} has no answer")

    async def _open(self, sid: str, connection: Connection, order: Watch) -> int:
        view = await self._house.views.conversation(connection.principal, order.conversation_id)
        if order.after_seq > view.last_seq:
            raise InvalidInput(
                f"after_seq is {order.after_seq}, but the last event is {view.last_seq}.",
                errors=[{"field": "after_seq", "message": f"must be at most {view.last_seq}"}],
            )
        self._close(connection, order.conversation_id)
        if len(connection.followed) >= MOST_WATCHED:
            raise InvalidInput(f"A connection can follow {MOST_WATCHED} conversations; close one first.")
        task = asyncio.create_task(self._follow(sid, connection, order))
        connection.followed[order.conversation_id] = task
        return view.last_seq

    def _close(self, connection: Connection, conversation_id: UUID) -> None:
        connection.viewers.pop(conversation_id, None)
        task = connection.followed.pop(conversation_id, None)
        if task is not None:
            task.cancel()

    async def _follow(self, sid: str, connection: Connection, order: Watch) -> None:
        """Give a client all of a conversation, from its cursor on, at the pace that it takes it."""
        try:
            async with self._house.hub.view(order.conversation_id, after_seq=order.after_seq) as viewer:
                connection.viewers[order.conversation_id] = viewer
                await self._save(connection)
                given = 0
                while True:
                    item = await viewer.next()
                    if isinstance(item, Delta):
                        await self.server.emit("delta", item.model_dump(mode="json"), to=sid)
                    else:
                        await self.server.emit("event", item, to=sid)
                    given += 1
                    if given % PACE == 0:
                        await self._drained(sid)
        except FlynnError as error:
            await self.server.emit("problem", problem_of(error), to=sid)
            await self.server.disconnect(sid)
        except Exception as error:
            _log.error("a viewer broke", exc_info=error)
            await self.server.emit("problem", problem_of(error), to=sid)
            await self.server.disconnect(sid)

    async def _drained(self, sid: str) -> None:
        """Wait until the transport has taken what was given to it, so that a slow client shows."""
        eio_sid = self.server.manager.eio_sid_from_sid(sid, "/")
        transport = self.server.eio.sockets.get(eio_sid)
        # engine.io's queue tells nobody when it shrinks.
        while transport is not None and not transport.closed and transport.queue.qsize() > PACE:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def _order(name: str, arguments: Sequence[object]) -> object:
    """The call's body. Raises InvalidInput for an unknown call or a body that does not fit."""
    model = CALLS.get(name)
    if model is None:
        raise InvalidInput(f"There is no call {name!r}; the calls are: {', '.join(CALLS)}.")
    body = arguments[0] if arguments else {}
    if not isinstance(body, dict):
        raise InvalidInput(f"{name} takes one object, not {type(body).__name__}.")
    return model.model_validate(body)
