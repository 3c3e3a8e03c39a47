"""`flynn serve`: one process with its doors open until it is told to end."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import uvicorn

from flynn.api.protocol import HttpProtocol, WebSocketProtocol
from flynn.app.database import open_database
from flynn.app.log import begin_log
from flynn.app.seeding import seed
from flynn.app.service import Service, open_service
from flynn.cli.example.cast import ForkingCast
from flynn.cli.listening import listen, port_of, url_of
from flynn.cli.memory import settle_memory
from flynn.cli.record import own, write_record
from flynn.cli.stopping import stopping
from flynn.domain.errors import ConfigurationError
from flynn.settings import Settings


class _Server(uvicorn.Server):
    """Uvicorn's server; says when it takes requests, and leaves signals to whoever runs it.

    Whoever follows a conversation is told before connections are closed.
    """

    def __init__(self, config: uvicorn.Config, *, dismiss: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self._dismiss = dismiss
        self.taking = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take none: uvicorn raises those it took again when it ends, before the service is closed."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to take requests."""
        await super().startup(sockets=sockets)
        self.taking.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell viewers that the service ends, give them a moment to hear it, then close everything.

        In a hurry too the application is told, which uvicorn forgoes then.
        """
        await self._dismiss()
        await super().shutdown(sockets=sockets)
        if self.force_exit:
            await self.lifespan.shutdown()


@asynccontextmanager
async def serving(
    service: Service, listener: socket.socket, *, urgent: asyncio.Event | None = None
) -> AsyncIterator[asyncio.Task[None]]:
    """Open the doors of `service`; gives the task that ends when they are closed.

    They are closed when the block is left: requests that are being answered get 3 seconds for it, less
    when `urgent` is set. Raises ConfigurationError when they do not open.
    """
    config = uvicorn.Config(
        service.api,
        log_config=None,
        access_log=False,
        loop="none",
        http=HttpProtocol,
        ws=WebSocketProtocol,
        ws_per_message_deflate=False,  # thirty small frames a second gain nothing by it, and each pays
        lifespan="on",
        timeout_graceful_shutdown=3,
        server_header=False,
        date_header=False,
    )
    server = _Server(config, dismiss=service.dismiss)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    taking = asyncio.create_task(server.taking.wait())
    try:
        await asyncio.wait({task, taking}, return_when=asyncio.FIRST_COMPLETED)
        if not server.taking.is_set():
            await task
            raise ConfigurationError("The service did not open its doors; the log above says why.")
        yield task
    finally:
        taking.cancel()
        server.should_exit = True
        hurrying = asyncio.create_task(_hurry(server, urgent)) if urgent is not None else None
        with suppress(asyncio.CancelledError):
            await task
        if hurrying is not None:
            hurrying.cancel()


async def _hurry(server: _Server, urgent: asyncio.Event) -> None:
    await urgent.wait()
    server.force_exit = True


async def serve(settings: Settings, *, worker: bool) -> int:
    """Serve until SIGINT or SIGTERM; 0 when it ended as asked."""
    begin_log(settings)
    listener = listen(settings.host, settings.port)
    with listener, own(settings) as record, stopping() as stop:
        async with open_service(settings, worker=worker, cast=ForkingCast()) as service:
            # Runs are wound down while the doors are still being closed.
            stop.tell(service.wind_down)
            async with serving(service, listener, urgent=stop.urgent) as task:
                url = url_of(settings.host, port_of(listener))
                write_record(record, url)
                settle_memory()
                announce(service, url)
                asked = asyncio.create_task(stop.asked.wait())
                await asyncio.wait({task, asked}, return_when=asyncio.FIRST_COMPLETED)
                asked.cancel()
    return 0


def announce(service: Service, url: str) -> None:
    """The one line that the start prints for a person."""
    report = service.sandbox.report
    print(f"Flynn is at {url}/?key={service.owner_key} (Bash: {report.backend or 'off'})", flush=True)
    if report.backend is None:
        print(f"No sandbox, so no Bash, Glob or Grep: {report.reason}", file=sys.stderr, flush=True)
    elif report.backend == "unconfined":
        print(
            "FLYNN_SANDBOX=unconfined: COMMANDS RUN WITHOUT A SANDBOX and can do whatever this user can. "
            f"Missing: {', '.join(report.missing)}.",
            file=sys.stderr,
            flush=True,
        )


async def migrate_only(settings: Settings) -> int:
    """Migrate and end."""
    begin_log(settings)
    with own(settings):
        async with open_database(settings) as (database, _address, _embedded):
            await seed(settings, database)
    print("The schema is up to date.")
    return 0
