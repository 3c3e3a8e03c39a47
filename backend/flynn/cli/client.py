"""A client of the service's own doors: REST with problems turned into errors, and a run followed live."""

import asyncio
import random
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

import httpx2
import socketio
from pydantic import ValidationError
from socketio.exceptions import SocketIOError

from flynn.domain.content import Json
from flynn.domain.delta import Delta
from flynn.domain.errors import (
    Conflict,
    FlynnError,
    Forbidden,
    InvalidInput,
    NotFound,
    Unauthenticated,
    Unavailable,
)
from flynn.domain.events import EVENT, EventData

ROOT = "/api/v1"
LONG_POLL_SECONDS = 60
READ_SECONDS = LONG_POLL_SECONDS + 30.0
AWAY_SECONDS = 30.0
"""How long a watcher tries to get its connection back."""

_BY_STATUS: dict[int, type[FlynnError]] = {
    error.status: error
    for error in (Unauthenticated, Forbidden, NotFound, Conflict, InvalidInput, Unavailable)
}


def problem_error(status: int, problem: Json) -> FlynnError:
    """The error that a problem+json body (RFC 9457) stands for; its fields' messages are in the detail."""
    fields = problem if isinstance(problem, dict) else {}
    detail = str(fields.get("detail") or fields.get("title") or f"The service answered {status}.")
    errors = fields.get("errors")
    lines = [
        f"  {e['field']}: {e['message']}"
        for e in (errors if isinstance(errors, list) else [])
        if isinstance(e, dict) and "field" in e and "message" in e
    ]
    kind = _BY_STATUS.get(status, FlynnError)
    return kind("\n".join([detail, *lines]), http_status=status)


class Client:
    """REST calls with one key. An asynchronous context manager.

    Every call raises the FlynnError that the service's problem names, and Unavailable when it does not
    answer.
    """

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        # The service is on this machine: no proxy of the environment stands between.
        self._http = httpx2.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=httpx2.Timeout(10.0, read=READ_SECONDS),
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def get(self, path: str, **query: str | int) -> Json:
        """GET a path below the API's root."""
        return await self._call("GET", ROOT + path, params=query)

    async def post(self, path: str, body: Json) -> Json:
        """POST JSON to a path below the API's root."""
        return await self._call("POST", ROOT + path, json=body)

    async def put(self, path: str, body: Json = None) -> Json:
        """PUT to a path below the API's root, JSON or without a body."""
        return await self._call("PUT", ROOT + path, **({} if body is None else {"json": body}))

    async def delete(self, path: str) -> Json:
        """DELETE a path below the API's root; None when nothing is answered."""
        return await self._call("DELETE", ROOT + path)

    async def readiness(self) -> Json:
        """What /ready answers, whether ready (200) or not (503)."""
        return await self._call("GET", "/ready", also=503)

    async def _call(self, method: str, path: str, *, also: int | None = None, **rest: Any) -> Json:
        try:
            response = await self._http.request(method, path, **rest)
        except httpx2.TransportError as error:
            raise Unavailable(
                f"The service at {self._url} does not answer: {error or type(error).__name__}."
            ) from error
        try:
            body = response.json() if response.content else None
        except ValueError:
            body = None
        if response.is_success or response.status_code == also:
            return body
        raise problem_error(response.status_code, body)


@dataclass(frozen=True, slots=True)
class Seen:
    """An event of the watched conversation. None as `event`: of a kind that this version does not know."""

    seq: int
    run_id: UUID | None
    event: EventData | None


async def watch(
    url: str, key: str, conversation_id: UUID, *, after_seq: int = 0
) -> AsyncGenerator[Seen | Delta, None]:
    """Follow a conversation: each event after `after_seq` once and in order, and deltas between them.

    A lost connection is taken up again at the cursor. Never ends by itself; close it. Raises Unavailable
    when the connection stays away, and what the service refuses.
    """
    cursor = after_seq
    loop = asyncio.get_running_loop()
    deadline = loop.time() + AWAY_SECONDS
    while True:
        line = _Line(conversation_id)
        try:
            await line.open(url, key, cursor)
            deadline = loop.time() + AWAY_SECONDS
            while (item := await line.items.get()) is not None:
                if isinstance(item, Seen):
                    if item.seq <= cursor:
                        continue
                    cursor = item.seq
                deadline = loop.time() + AWAY_SECONDS
                yield item
        except (SocketIOError, OSError, TimeoutError) as error:
            if loop.time() > deadline:
                raise Unavailable(
                    f"The service at {url} is away: {error or type(error).__name__}."
                ) from error
        finally:
            await line.close()
        if loop.time() > deadline:
            raise Unavailable(f"The service at {url} closes the connection again and again.")
        await asyncio.sleep(random.uniform(0.1, 0.5))  # noqa: S311 spreads reconnections, nothing secret


class _Line:
    """One connection. `items` ends with None when it is lost."""

    def __init__(self, conversation_id: UUID) -> None:
        self.items: asyncio.Queue[Seen | Delta | None] = asyncio.Queue()
        self._conversation_id = conversation_id
        self._socket = socketio.AsyncClient(reconnection=False, handle_sigint=False)
        self._socket.on("event", self._event)
        self._socket.on("delta", self._delta)
        self._socket.on("disconnect", self._lost)

    async def open(self, url: str, key: str, after_seq: int) -> None:
        """Connect and subscribe. Raises SocketIOError, or what the service refuses."""
        await self._socket.connect(url, auth={"token": key}, transports=["websocket"], wait_timeout=10)
        order = {"conversation_id": str(self._conversation_id), "after_seq": after_seq}
        answer = await self._socket.call("conversation.open", order, timeout=20)
        if not (isinstance(answer, dict) and answer.get("ok")):
            problem = answer.get("error") if isinstance(answer, dict) else None
            status = problem.get("status") if isinstance(problem, dict) else None
            raise problem_error(status if isinstance(status, int) else 500, problem)

    async def close(self) -> None:
        """Hang up. Safe to call again."""
        await self._socket.disconnect()

    async def _event(self, envelope: Json) -> None:
        if not isinstance(envelope, dict) or envelope.get("conversation_id") != str(self._conversation_id):
            return
        try:
            event = EVENT.validate_python({"type": envelope["type"], **envelope["data"]})
        except ValidationError:
            event = None
        run_id = UUID(envelope["run_id"]) if envelope.get("run_id") else None
        self.items.put_nowait(Seen(int(envelope["seq"]), run_id, event))

    async def _delta(self, raw: Json) -> None:
        try:
            delta = Delta.model_validate(raw)
        except ValidationError:
            return
        if delta.conversation_id == self._conversation_id:
            self.items.put_nowait(delta)

    async def _lost(self, _reason: object = None) -> None:
        self.items.put_nowait(None)
