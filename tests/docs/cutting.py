"""A way to the service that can be cut: what a program's connection goes through while it is tested."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

_PIECE = 65_536


class Way:
    """Passes bytes on between clients and the service at `url`."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname, parts.port
        self._open: set[asyncio.StreamWriter] = set()
        self.taken = 0
        """Connections that came this way."""
        self.url = ""

    def cut(self) -> None:
        """End every connection without a word, in both directions."""
        for writer in list(self._open):
            writer.transport.abort()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side ends it."""
        self.taken += 1
        other_reader, other_writer = await asyncio.open_connection(self._host, self._port)
        self._open |= {writer, other_writer}
        try:
            tasks = [
                asyncio.create_task(_pass(reader, other_writer)),
                asyncio.create_task(_pass(other_reader, writer)),
            ]
            _, left = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        finally:
            self._open -= {writer, other_writer}
            writer.transport.abort()
            other_writer.transport.abort()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()
    except ConnectionError:
        pass  # cut, or left


@asynccontextmanager
async def way_to(url: str) -> AsyncIterator[Way]:
    """A way on a free port of the loopback."""
    way = Way(url)
    server = await asyncio.start_server(way.carry, "127.0.0.1", 0)
    way.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield way
    finally:
        server.close()
        way.cut()
        await server.wait_closed()
