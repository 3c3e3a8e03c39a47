"""`flynn serve`: one process with its doors open until it is told to end."""

import asyncio
import errno
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial

import uvicorn

from flynn.app.database import open_database
from flynn.app.seeding import seed
from flynn.app.service import Service, open_service
from flynn.cli.record import own, write_record
from flynn.cli.signals import answering
from flynn.domain.errors import ConfigurationError
from flynn.settings import Settings
from flynn.telemetry import logging

BACKLOG = 2048


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ConfigurationError for a port in use or an address that is not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
        found.listen(BACKLOG)
    except OSError as error:
        found.close()
        if error.errno == errno.EADDRINUSE:
            raise ConfigurationError(
                f"FLYNN_PORT {port} is in use on {host}: stop what listens there, or set another port."
            ) from error
        raise ConfigurationError(
            f"FLYNN_HOST {host}, FLYNN_PORT {port} cannot be listened on: {error.strerror}."
        ) from error
    found.setblocking(False)
    return found


class _Server(uvicorn.Server):
    """Uvicorn's server; says when it takes requests.

    Uvicorn raises the signals it has taken again when it ends, which would kill the process before the
    service is closed. Here a signal only asks it to end, and only where `signals` says so.
    """

    def __init__(self, config: uvicorn.Config, *, signals: bool) -> None:
        super().__init__(config)
        self.taking = asyncio.Event()
        self._signals = signals

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take SIGINT and SIGTERM as requests to end; a second SIGINT cuts open connections."""
        numbers = (signal.SIGINT, signal.SIGTERM) if self._signals else ()
        with answering({number: partial(self.handle_exit, number, None) for number in numbers}):
            yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to take requests."""
        await super().startup(sockets=sockets)
        self.taking.set()


@asynccontextmanager
async def serving(
    service: Service, listener: socket.socket, *, signals: bool = True
) -> AsyncIterator[asyncio.Task[None]]:
    """Open the doors of `service`; gives the task that ends when a signal asks it to (if `signals`).

    Raises ConfigurationError when they do not open.
    """
    config = uvicorn.Config(
        service.api,
        log_config=None,
        access_log=False,
        loop="none",
        ws="websockets-sansio",
        lifespan="on",
        timeout_graceful_shutdown=3,
        server_header=False,
        date_header=False,
    )
    server = _Server(config, signals=signals)
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
        with suppress(asyncio.CancelledError):
            await task


def url_of(host: str, port: int) -> str:
    """Where a person on this machine finds a service that listens on `host`."""
    host = host if host not in ("0.0.0.0", "::") else "127.0.0.1"  # noqa: S104 compared only
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def port_of(listener: socket.socket) -> int:
    """The port of a listening socket."""
    port: int = listener.getsockname()[1]
    return port


async def serve(settings: Settings, *, worker: bool) -> int:
    """Serve until SIGINT or SIGTERM; 0 when it ended as asked."""
    logging.configure(settings.log_level, settings.log_format)
    listener = listen(settings.host, settings.port)
    with listener, own(settings) as record:
        async with open_service(settings, worker=worker) as service, serving(service, listener) as task:
            url = url_of(settings.host, port_of(listener))
            write_record(record, url)
            announce(service, url)
            await task
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
    logging.configure(settings.log_level, settings.log_format)
    with own(settings):
        async with open_database(settings) as (database, _address, _embedded):
            await seed(settings, database)
    print("The schema is up to date.")
    return 0
