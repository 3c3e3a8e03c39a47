"""Playing a reply on the wire: pacing, and the faults that strike while it is sent."""

from collections.abc import Callable, Sequence
from typing import assert_never

import orjson

from flynn.simulator.fault import (
    ConnectionReset,
    EmptyStream,
    ErrorEvent,
    Fault,
    Hang,
    HttpError,
    MaxTokens,
    PingsOnly,
    Refusal,
    StopReason,
    StreamCut,
)
from flynn.simulator.reply import Reply
from flynn.simulator.stream import PING, StreamEvent, error_event, events
from flynn.simulator.turn import Pacing
from flynn.simulator.wire import Wire

Headers = Sequence[tuple[str, str]]


class Performance:
    """One reply on its way to one client. `begins` is called when its first token is sent."""

    def __init__(
        self, wire: Wire, request_id: str, headers: Headers, pacing: Pacing, begins: Callable[[], None]
    ) -> None:
        self._wire = wire
        self._request_id = request_id
        self._headers = headers
        self._pacing = pacing
        self._begins = begins

    async def stream(self, reply: Reply, fault: Fault | None, delta_characters: int) -> None:
        """Send the reply as server-sent events.

        Raises:
            ClientLeft: the client closed the connection.
            ApiError: the fault is an answer with an error status.
        """
        if await self._strikes_before_headers(fault):
            return
        await self._wait(self._pacing.headers_ms / 1000)
        await self._wire.start(
            200,
            [
                ("content-type", "text/event-stream; charset=utf-8"),
                ("cache-control", "no-cache"),
                *self._headers,
            ],
        )
        if isinstance(fault, EmptyStream):
            await self._wire.finish()
        elif isinstance(fault, PingsOnly):
            await self._pings(fault.every_ms / 1000, fault.seconds)
            await self._wire.finish()
        else:
            await self._events(list(events(reply, self._delta_size(delta_characters))), fault)

    async def whole(self, reply: Reply, fault: Fault | None) -> None:
        """Send the reply as one JSON body. Faults within a stream strike within the body.

        Raises:
            ClientLeft: the client closed the connection.
            ApiError: the fault is an answer with an error status.
        """
        if isinstance(fault, ErrorEvent):
            raise fault.error()
        if await self._strikes_before_headers(fault):
            return
        speed = self._pacing.tokens_per_second
        took = reply.output_tokens / speed if speed else 0
        await self._wait((self._pacing.headers_ms + self._pacing.first_token_ms) / 1000 + took)
        self._begins()
        body = b"" if isinstance(fault, EmptyStream) else orjson.dumps(reply.message())
        await self._wire.start(
            200, [("content-type", "application/json"), ("content-length", str(len(body))), *self._headers]
        )
        match fault:
            case ConnectionReset() | StreamCut():
                await self._wire.write(body[: len(body) // 2])
                await self._wire.reset()
            case Hang(seconds=seconds):
                await self._wire.write(body[: len(body) // 2])
                await self._wire.pause(seconds)
                await self._wire.finish(body[len(body) // 2 :])
            case PingsOnly(seconds=seconds):
                await self._wire.pause(seconds)
                await self._wire.finish(body)
            case _:
                await self._wire.finish(body)

    async def _strikes_before_headers(self, fault: Fault | None) -> bool:
        """Play a fault that comes before the headers. True: there is nothing more to send."""
        match fault:
            case HttpError():
                raise fault.error()
            case ConnectionReset() if not fault.has_point:
                await self._wire.reset()
                return True
            case Hang() if not fault.has_point:
                await self._wire.pause(fault.seconds)
        return False

    async def _events(self, sequence: Sequence[StreamEvent], fault: Fault | None) -> None:
        number, struck = 0, False
        batch: list[bytes] = []
        speed = self._pacing.tokens_per_second
        first_token = self._pacing.first_token_ms / 1000
        for event in sequence:
            if event.tokens and speed:
                await self._flush(batch)
                await self._wire.pause(event.tokens / speed)
            batch.append(event.data)
            if event is PING:
                continue
            number += 1
            if number == 1 and first_token:
                await self._flush(batch)
                await self._wire.pause(first_token)
            if number == 1:
                self._begins()
            if not struck and _strikes(fault, number, event.event_class):
                struck = True
                await self._flush(batch)
                if await self._strike(fault):
                    return
        await self._wire.finish(b"".join(batch))

    async def _strike(self, fault: Fault | None) -> bool:
        """Play a fault in the middle of the stream. True: the stream is over."""
        match fault:
            case ConnectionReset():
                await self._wire.reset()
            case StreamCut():
                await self._wire.finish()
            case ErrorEvent():
                await self._wire.finish(error_event(fault.error(), self._request_id).data)
            case Hang():
                if fault.ping_every_ms:
                    await self._pings(fault.ping_every_ms / 1000, fault.seconds)
                else:
                    await self._wire.pause(fault.seconds)
                return False
            case _:
                return False
        return True

    async def _pings(self, every: float, seconds: float | None) -> None:
        left = seconds
        while left is None or left > 0:
            await self._wire.write(PING.data)
            await self._wire.pause(every if left is None else min(every, left))
            left = None if left is None else left - every

    async def _flush(self, batch: list[bytes]) -> None:
        if batch:
            await self._wire.write(b"".join(batch))
            batch.clear()

    async def _wait(self, seconds: float) -> None:
        if seconds:
            await self._wire.pause(seconds)

    def _delta_size(self, unpaced: int) -> int:
        """A paced stream sends about twenty deltas a second, as far as tokens allow."""
        speed = self._pacing.tokens_per_second
        return max(3, round(speed / 20) * 3) if speed else unpaced


def _strikes(fault: Fault | None, number: int, event_class: str) -> bool:
    match fault:
        case ConnectionReset() | StreamCut() | ErrorEvent() | Hang():
            if fault.has_point:
                return fault.reached(number, event_class)
            return number == 1 and isinstance(fault, StreamCut | ErrorEvent)
        case None | HttpError() | PingsOnly() | EmptyStream() | MaxTokens() | Refusal() | StopReason():
            return False
        case _:
            assert_never(fault)
