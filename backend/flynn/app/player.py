"""A worker of the scripted example, from within: it serves one volume and belongs to one service."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from flynn.app.service import Service, open_service
from flynn.live.relay import RelayBus, send
from flynn.settings import Settings
from flynn.workspace.mounts import Mounts
from flynn.workspace.volume import Volume

LOOK_SECONDS = 0.25
"""How often it looks whether the queue gave it another number."""


@asynccontextmanager
async def open_player(
    settings: Settings, volume: Volume, connection: socket.socket
) -> AsyncIterator[tuple[Service, "asyncio.Task[None]"]]:
    """A worker of `volume` alone, and the task that ends when the service asks it to, or is gone.

    Over `connection` the service hears its number in the queue's tables, and what it publishes, unless a
    Redis carries that. Raises ConfigurationError.
    """
    reader, writer = await asyncio.open_connection(sock=connection)
    bus = None if settings.redis_url else RelayBus(writer)
    try:
        async with open_service(settings, doors=False, mounts=Mounts(declared=(volume,)), bus=bus) as service:
            telling = asyncio.create_task(_tell_number(service, writer))
            over = asyncio.create_task(_until_end(reader))
            try:
                yield service, over
            finally:
                telling.cancel()
                over.cancel()
    finally:
        writer.close()


async def _tell_number(service: Service, writer: asyncio.StreamWriter) -> None:
    told: int | None = None
    while True:
        number = service.engine.number if service.engine is not None else None
        if number != told:
            send(writer, "number", number)
            told = number
        await asyncio.sleep(LOOK_SECONDS)


async def _until_end(reader: asyncio.StreamReader) -> None:
    """The service says nothing but that it is over: its end of the connection closes, however it ended."""
    try:
        while await reader.read(1024):
            pass
    except ConnectionError:
        return
