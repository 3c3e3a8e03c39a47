"""Socket.IO: calls that are acknowledged, and conversations that are followed. A door, nothing more.

A connection begins with `auth = {token, session?}`. A session is what survives it: which conversations
are followed, and from which seq on. It is kept on the bus, so any process can take it up, and its cursors
are those that the client has certainly received: a resumed conversation may repeat events, never skip any.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

import socketio
from pydantic import BaseModel, ValidationError

from flynn.api.alerts import Alerts
from flynn.api.authentication import Authenticator
from flynn.api.client import Client, is_passing
from flynn.api.counting import MOST_ID
from flynn.api.frame import FastJson
from flynn.api.gate import REQUEST_ID, WIRE
from flynn.api.polling import PacketQueue
from flynn.api.problem import named, problem_of
from flynn.api.schema import CALLS, CloseConversation, DecideApproval, Interrupt, SendMessage, Undo
from flynn.api.validation import known_fields, refusal
from flynn.domain.alert import AlertNotice
from flynn.domain.content import Json
from flynn.domain.errors import InvalidInput, NotFound, Unauthenticated
from flynn.domain.orders import (
    ApprovalOrder,
    ConversationOrder,
    InterruptOrder,
    MessageOrder,
    UndoOrder,
    Watch,
)
from flynn.domain.principal import Scope
from flynn.intake import Intake
from flynn.live.bus import Bus
from flynn.live.hub import Hub
from flynn.live.viewer import service_ends
from flynn.store.views import Views
from flynn.telemetry.logging import bind, get_logger
from flynn.telemetry.metrics import OTHER
from flynn.telemetry.request_metrics import RequestMetrics

PING_EVERY = 15
"""Seconds between PINGs; a client that answers none for PING_TIMEOUT seconds is gone."""

PING_TIMEOUT = 20

ROOM_FOR_FRAMES = 65_536
"""Bytes above the limit that Engine.IO takes: the wire refuses larger frames before, with a problem."""

_READERS = (Scope.READ, Scope.CHAT, Scope.DELEGATE)
_log = get_logger(__name__)

Call: TypeAlias = Callable[[Client, Any], Awaitable[dict[str, Json]]]


class Sockets:
    """The Socket.IO server and its clients."""

    def __init__(
        self,
        *,
        intake: Intake,
        views: Views,
        hub: Hub,
        bus: Bus,
        alerts: Alerts,
        authenticator: Authenticator,
        max_bytes: int,
        changed: Callable[[int], None] = lambda _count: None,
        requests: RequestMetrics,
    ) -> None:
        """`changed` is told how many connections there are, when that changes; `requests` counts calls."""
        logger = logging.getLogger("flynn.socketio")
        logger.setLevel(logging.WARNING)
        self._intake = intake
        self._views = views
        self._hub = hub
        self._bus = bus
        self._alerts = alerts
        self._authenticator = authenticator
        self._ended = False
        self._clients: dict[str, Client] = {}
        self._changed = changed
        self._requests = requests
        self._calls: dict[str, Call] = {
            "conversation.create": self._create,
            "conversation.open": self._open,
            "conversation.close": self._close,
            "message.send": self._send,
            "run.interrupt": self._interrupt,
            "approval.decide": self._decide,
            "workspace.undo": self._undo,
        }
        self.server = socketio.AsyncServer(
            async_mode="asgi",
            always_connect=True,
            transports=["websocket", "polling"],  # the gate lets polling through, or not
            allow_upgrades=False,
            http_compression=False,
            cors_allowed_origins=[],
            max_http_buffer_size=max_bytes + ROOM_FOR_FRAMES,
            ping_interval=PING_EVERY,
            ping_timeout=PING_TIMEOUT,
            json=FastJson,
            logger=logger,
            engineio_logger=logger,
        )
        self.server.eio.create_queue = PacketQueue
        hub.on_end(self.end)
        alerts.on_change(self.tell_operators)
        self.server.on("connect", self._connected)
        self.server.on("disconnect", self._disconnected)
        self.server.on("*", self._called)

    def engine_sockets(self) -> Mapping[str, Any]:
        """Engine.IO's connections, by their ids."""
        found: Mapping[str, Any] = self.server.eio.sockets
        return found

    def tell_operators(self, notice: AlertNotice) -> None:
        """Tell connections whose key has the scope admin of an alert."""
        said = notice.model_dump(mode="json")
        for client in self._clients.values():
            if client.operator:
                client.tell("notice", said)

    async def end(self) -> None:
        """Tell every client that the service ends, and to connect again; returns when all were told."""
        self._ended = True
        clients = list(self._clients.values())
        await asyncio.gather(*(client.leave(service_ends()) for client in clients), return_exceptions=True)

    async def close(self) -> None:
        """Leave every conversation; the process ends."""
        for client in list(self._clients.values()):
            await client.close()
        self._clients.clear()

    async def _connected(self, sid: str, environ: dict[str, Any], auth: Json) -> None:
        scope = environ["asgi.scope"]
        client = self._clients[sid] = Client(
            send=partial(self.server.eio.send, self.server.manager.eio_sid_from_sid(sid, "/")),
            wire=scope[WIRE],
            disconnect=partial(self.server.disconnect, sid),
            bus=self._bus,
            hub=self._hub,
        )
        self._changed(len(self._clients))
        try:
            await self._welcome(client, auth)
        except Exception as error:
            found = named(error, request_id=scope[REQUEST_ID])
            client.refuse(found)
            self._clients.pop(sid, None)
            self._changed(len(self._clients))
            if is_passing(found):
                # Not rejected by name, which a library takes for good: it is to try again.
                await client.leave(found)
                return
            await client.emit("problem", problem_of(found, request_id=scope[REQUEST_ID]))
            # A farewell, not `return False`: the library's own way to refuse is a packet with a payload that
            # socket.io-client takes for a broken one; it would connect again for ever.
            await self.server.disconnect(sid)
            client.abort_later()

    async def _welcome(self, client: Client, auth: Json) -> None:
        """Authenticate, take up or begin a session, say so, and go on where the session was."""
        given = auth if isinstance(auth, dict) else {}
        token, session = given.get("token"), given.get("session")
        if not isinstance(token, str) or not token:
            raise Unauthenticated("Connect with `auth: {token: 'fly_…'}`.")
        principal = await self._authenticator.key(token)
        if self._ended:
            raise service_ends()
        state = await self._bus.load_session(session) if isinstance(session, str) and session else None
        if state is not None and state.get("principal") != str(principal.id):
            state = None
        resumed = state["watching"] if state is not None else {}
        client.begin(
            principal,
            session=str(session) if state is not None else secrets.token_urlsafe(24),
            still_allowed=lambda: self._authenticator.key(token),
        )
        await client.emit(
            "session",
            {
                "session": client.session,
                "resumed": state is not None,
                "principal": principal.name,
                "watching": resumed,
            },
        )
        if client.operator:
            for alert in self._alerts.firing():
                client.tell("notice", AlertNotice(state="firing", alert=alert).model_dump(mode="json"))
        for conversation_id, after_seq in resumed.items():
            watch = Watch(conversation_id=conversation_id, after_seq=after_seq)
            try:
                opened = await self._open(client, watch)
            except (NotFound, InvalidInput) as error:
                await client.emit("problem", {**problem_of(error), "conversation_id": conversation_id})
            else:
                notice = {"kind": "presence", "conversation_id": conversation_id}
                await client.emit("notice", {**notice, "present": opened["present"]})
        await client.save()

    async def _disconnected(self, sid: str, _reason: str) -> None:
        client = self._clients.pop(sid, None)
        self._changed(len(self._clients))
        if client is not None:
            await client.close()

    async def _called(self, name: str, sid: str, *arguments: Json) -> dict[str, Json]:
        """Answer one call. Calls of a client are carried out one by one, in the order they came."""
        request_id = secrets.token_hex(8)
        label = name if name in self._calls else OTHER
        since = time.perf_counter()
        about = next((a.get("conversation_id") for a in arguments if isinstance(a, dict)), None)
        ids = {} if about is None else {"conversation_id": str(about)[:MOST_ID]}
        with bind(request_id=request_id, **ids):
            try:
                client = self._client(sid)
                async with client.turn():
                    call, order = self._read(name, arguments)
                    done: dict[str, Json] = {"ok": True, **await call(client, order)}
            except Exception as error:
                found = named(error, request_id=request_id)
                outcome = "failed" if found.status >= 500 else "refused"
                done = {"error": problem_of(found, request_id=request_id)}
            else:
                outcome = "ok"
        self._requests.called(label, outcome, time.perf_counter() - since)
        return done

    def _client(self, sid: str) -> Client:
        client = self._clients.get(sid)
        if client is None:
            raise Unauthenticated("This connection is not open.")
        return client

    def _read(self, name: str, arguments: tuple[Json, ...]) -> tuple[Call, BaseModel]:
        """The call and its checked argument. Raises InvalidInput."""
        call = self._calls.get(name)
        if call is None:
            raise InvalidInput(f"There is no call {name!r}; there are: {', '.join(self._calls)}.")
        model, _ = CALLS[name]
        if len(arguments) > 1 or (arguments and not isinstance(arguments[0], dict)):
            raise InvalidInput(f"{name} takes one object with: {', '.join(known_fields(model))}.")
        try:
            return call, model.model_validate(arguments[0] if arguments else {})
        except ValidationError as error:
            found = refusal(error.errors(include_url=False), body=model)
            raise found from error

    async def _create(self, client: Client, order: ConversationOrder) -> dict[str, Json]:
        client.principal.need(Scope.CHAT)
        view = await self._intake.create_conversation(client.principal, order)
        return {"conversation": view.model_dump(mode="json")}

    async def _open(self, client: Client, watch: Watch) -> dict[str, Json]:
        client.principal.need(*_READERS)
        await self._views.conversation(client.principal, watch.conversation_id)
        last_seq, present = await client.watch(watch.conversation_id, watch.after_seq)
        return {"last_seq": last_seq, "present": {"names": present.names, "count": present.count}}

    async def _close(self, client: Client, order: CloseConversation) -> dict[str, Json]:
        await client.unwatch(order.conversation_id)
        await client.save()
        return {}

    async def _send(self, client: Client, order: SendMessage) -> dict[str, Json]:
        client.principal.need(Scope.CHAT)
        message = MessageOrder(text=order.text, client_message_id=order.client_message_id)
        done = await self._intake.send_message(client.principal, order.conversation_id, message)
        return done.model_dump(mode="json")

    async def _decide(self, client: Client, order: DecideApproval) -> dict[str, Json]:
        client.principal.need(Scope.CHAT, Scope.DELEGATE)
        decision = ApprovalOrder.model_validate(order.model_dump(exclude={"conversation_id", "approval_id"}))
        view = await self._intake.decide_approval(
            client.principal, order.conversation_id, order.approval_id, decision
        )
        return {"approval": view.model_dump(mode="json")}

    async def _undo(self, client: Client, order: Undo) -> dict[str, Json]:
        client.principal.need(Scope.CHAT, Scope.DELEGATE)
        undo = UndoOrder.model_validate(order.model_dump(exclude={"conversation_id"}))
        done = await self._intake.undo(client.principal, order.conversation_id, undo)
        return done.model_dump(mode="json")

    async def _interrupt(self, client: Client, order: Interrupt) -> dict[str, Json]:
        client.principal.need(Scope.CHAT, Scope.DELEGATE)
        run = await self._intake.interrupt(
            client.principal, order.conversation_id, InterruptOrder(reason=order.reason)
        )
        return {"run": run.model_dump(mode="json") if run is not None else None}
