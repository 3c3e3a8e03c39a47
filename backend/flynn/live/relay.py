"""The relay: what a worker of this machine publishes goes to one process's bus, over a stream.

For workers beside a service whose bus is in memory. One way: sessions, presence and partials live with the
service. A hint channel like every bus: a frame that does not fit is left out, and the log has it.
"""

import asyncio
import struct
from collections.abc import Callable
from uuid import UUID

import orjson

from flynn.domain.content import Json
from flynn.domain.delta import Delta
from flynn.domain.readiness import Part
from flynn.live.bus import Bus
from flynn.live.memory import MemoryBus
from flynn.live.subscription import Envelope

MOST_WAITING = 8 * 1024 * 1024
"""Bytes that may wait for the other end; what comes on top is left out."""

_LENGTH = struct.Struct("!I")


def send(writer: asyncio.StreamWriter, kind: str, value: Json) -> None:
    """Write a frame: its length in four bytes, then JSON `[kind, value]`. Never blocks, never raises."""
    if writer.is_closing() or writer.transport.get_write_buffer_size() > MOST_WAITING:
        return
    body = orjson.dumps([kind, value])
    writer.write(_LENGTH.pack(len(body)) + body)


async def receive(reader: asyncio.StreamReader, bus: Bus, other: Callable[[str, Json], None]) -> None:
    """Publish on `bus` what comes, until the stream ends; frames of other kinds go to `other`."""
    try:
        while True:
            (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
            kind, value = orjson.loads(await reader.readexactly(length))
            if kind == "event":
                bus.publish(UUID(value["conversation_id"]), value)
            elif kind == "delta":
                bus.publish_delta(Delta.model_validate(value))
            else:
                other(kind, value)
    except (asyncio.IncompleteReadError, ConnectionError):
        return  # the other end is gone, maybe in the middle of a frame


class RelayBus(MemoryBus):
    """A Bus (see flynn.live.bus) that also hands on all that is published, in its order."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        super().__init__()
        self._writer = writer

    def publish(self, conversation_id: UUID, envelope: Envelope) -> None:
        """See Bus.publish."""
        super().publish(conversation_id, envelope)
        send(self._writer, "event", envelope)

    def part(self) -> Part:
        """See Bus.part."""
        return Part(name="live", state="ok", detail="to the service that this worker belongs to")

    def _deliver_delta(self, delta: Delta) -> None:
        super()._deliver_delta(delta)
        send(self._writer, "delta", delta.model_dump(mode="json"))
