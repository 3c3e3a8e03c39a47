"""The life of the embedded server: start, watch, restart, stop."""

import asyncio
import contextlib
import os
import re
import signal
from asyncio.subprocess import Process
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import psutil

from flynn.domain.errors import ConfigurationError
from flynn.store.embedded.client import Client
from flynn.store.embedded.cluster import SOCKET_LOCK, SUPERUSER, DataDirectory, here, kill, last_word
from flynn.store.embedded.configuration import server_settings
from flynn.store.embedded.programs import Account, choose_account, find_programs, spawn
from flynn.store.embedded.role import address, ensure_role
from flynn.store.embedded.servers import (
    end_orphan,
    end_server,
    kill_servers,
    read_pid_file,
    servers_over,
)
from flynn.telemetry.logging import Logger, get_logger
from flynn.telemetry.redaction import register_secret

State = Literal["stopped", "starting", "running", "restarting"]

READY_SECONDS = 120.0
"""Longest wait for a server to be ready; after a crash it first replays its log."""

FIRST_DELAY_SECONDS = 0.05
LAST_DELAY_SECONDS = 5.0
"""Waits between attempts to restart a server that ended: doubled from the first to the last."""

STEADY_SECONDS = 30.0
"""A server that ran this long starts the waits anew."""

_POLL_SECONDS = 0.003
_SAID = re.compile(r"^(?P<severity>LOG|WARNING|ERROR|FATAL|PANIC):\s+(?P<text>.*)$")
_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,62}")


REAP_SECONDS = 1.0
"""How long the exit code of a server that has ended may take to be known."""


class EmbeddedPostgres:
    """A PostgreSQL server that lives and dies with this process and listens on a Unix socket alone.

    It is bound to the thread and the event loop that call `start`: when that thread ends, even by
    kill -9, the kernel tells the server to shut down. Not reentrant; after `stop` it may start again.
    """

    def __init__(
        self,
        data_directory: Path,
        *,
        database: str = "flynn",
        fsync: bool = True,
        max_connections: int = 100,
        settings: Mapping[str, str] | None = None,
        log: Logger | None = None,
    ) -> None:
        """`fsync=False` gives up durability for speed: for tests alone. `settings` overrides our own
        server settings by name. Raises ValueError when `database` is no plain identifier.
        """
        if not _IDENTIFIER.fullmatch(database):
            raise ValueError(f"{database!r} is no plain name for a database: a-z, 0-9 and _ only")
        self.state: State = "stopped"
        self._directory = DataDirectory(data_directory)
        self._database = database
        self._fsync = fsync
        self._max_connections = max_connections
        self._settings = dict(settings or {})
        self._log = log or get_logger(__name__)
        self._password = ""
        self._socket_directory = Path()
        self._programs = Path()
        self._account: Account | None = None
        self._server: Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self._listener: asyncio.Task[None] | None = None
        self._said: deque[str] = deque(maxlen=50)

    @property
    def url(self) -> str:
        """For SQLAlchemy: `postgresql+asyncpg://…?host=…`. Holds the password. Valid after `start`."""
        return address("postgresql+asyncpg", self._socket_directory, self._password, database=self._database)

    @property
    def dsn(self) -> str:
        """For libpq, psycopg and asyncpg: `postgresql://…?host=…`. Holds the password."""
        return address("postgresql", self._socket_directory, self._password, database=self._database)

    @property
    def client(self) -> Client:
        """For PostgreSQL's client programs. Valid after `start`."""
        return Client(self._socket_directory, self._password)

    @property
    def superuser_dsn(self) -> str:
        """Like `dsn`, for the superuser: to examine a restored database, and for nothing else."""
        return address(
            "postgresql", self._socket_directory, self._password, user=SUPERUSER, database=self._database
        )

    @property
    def last_word(self) -> str:
        """The line that says best why the server ended last, or did not become ready."""
        return last_word(list(self._said))

    @property
    def pid(self) -> int | None:
        """The postmaster's process id, while there is one."""
        return self._server.pid if self._server and self._server.returncode is None else None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Own the directory, make the cluster if it is new, and return when the server answers.

        Raises ConfigurationError, in one line, when it cannot; nothing is left running then. Raises
        RuntimeError when it was started already.
        """
        if self.state != "stopped":
            raise RuntimeError(f"the embedded server is {self.state}")
        self.state = "starting"
        try:
            await asyncio.to_thread(self._directory.acquire)
            new = await self._prepare()
            await self._launch()
            await ensure_role(self._socket_directory, self._password, self._database, new=new)
        except BaseException:
            await self._end()
            raise
        self.state = "running"
        self._watch = asyncio.create_task(self._supervise(), name="embedded-postgres")

    async def stop(self) -> None:
        """Shut the server down: sessions are ended, a checkpoint is written; by force if that takes long.

        Releases the directory. Does nothing when the server is stopped.
        """
        if self._watch is not None:
            watch, self._watch = self._watch, None
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch
        await self._end()

    async def _prepare(self) -> bool:
        """Everything before the server itself; returns whether the cluster is new."""
        directory = self._directory
        existing = await asyncio.to_thread(directory.examine)
        account = self._account = choose_account(existing)
        self._programs = await find_programs(account, directory.path)
        self._password = await asyncio.to_thread(directory.password, fresh=existing is None)
        register_secret(self._password)
        if existing is None:
            await directory.initialise(self._programs, account, self._password, sync=self._fsync)
        else:
            await asyncio.to_thread(directory.hand_over, account)
            await end_orphan(directory.cluster, account, self._log)
        self._socket_directory = await asyncio.to_thread(directory.socket_directory, account)
        # No server is over the cluster now. A socket's lock names a pid, though, and outlives its writer, in
        # every backup too: where that pid is alive again, or is the service's own server while a copy of
        # its database is started, PostgreSQL would take the socket for one in use.
        await asyncio.to_thread((self._socket_directory / SOCKET_LOCK).unlink, missing_ok=True)
        return existing is None

    async def _launch(self) -> None:
        """Start a postmaster and wait until it takes connections; raises ConfigurationError if it ends."""
        if self._account is None:
            raise RuntimeError("the embedded server was never prepared")
        cluster = self._directory.cluster
        settings = server_settings(
            cluster,
            socket_directory=self._socket_directory,
            fsync=self._fsync,
            max_connections=self._max_connections,
            overrides=self._settings,
        )
        self._said.clear()
        # A pipe of our own: asyncio's `wait` would go on for as long as a backend holds one of its pipes.
        reader, writer = os.pipe()
        try:
            self._server = await spawn(
                self._programs / "postgres",
                *("-D", here(cluster), *(f"--{name}={value}" for name, value in settings.items())),
                account=self._account,
                directory=cluster,
                death_signal=signal.SIGINT,
                output=writer,
            )
        except BaseException as error:
            os.close(reader)
            if isinstance(error, OSError):
                raise ConfigurationError(f"PostgreSQL cannot be started: {error.strerror}.") from error
            raise
        finally:
            os.close(writer)
        self._listener = asyncio.create_task(self._listen(reader), name="embedded-postgres-log")
        try:
            async with asyncio.timeout(READY_SECONDS):
                while not self._ready(self._server):
                    if self._server.returncode is not None:
                        await self._listener
                        raise ConfigurationError(
                            f"The embedded database in {self._directory.path} does not start: "
                            f"{last_word(list(self._said))}"
                        )
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise ConfigurationError(
                f"The embedded database in {self._directory.path} was not ready after {READY_SECONDS:g} s: "
                f"{last_word(list(self._said))}"
            ) from None

    def _ready(self, server: Process) -> bool:
        claim = read_pid_file(self._directory.cluster)
        return claim is not None and claim.pid == server.pid and claim.status == "ready"

    async def _listen(self, reader: int) -> None:
        """Pass on what the server says, until it closes its end of the pipe; closes `reader`."""
        stream = asyncio.StreamReader()
        pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(reader, "rb", buffering=0)
        )
        try:
            async for raw in stream:
                self._hear(raw.decode(errors="replace").rstrip())
        finally:
            pipe.close()

    def _hear(self, line: str) -> None:
        self._said.append(line)
        match _SAID.match(line):
            case re.Match() as said if said["severity"] in ("FATAL", "PANIC"):
                self._log.warning("PostgreSQL reports a failure", said=said["text"])
            case re.Match() as said:
                self._log.debug("PostgreSQL reports", said=said["text"])
            case None:
                self._log.debug("PostgreSQL writes", said=line)

    async def _supervise(self) -> None:
        """Restart the server whenever it ends by itself, waiting longer each time it does not last."""
        loop = asyncio.get_running_loop()
        delay = FIRST_DELAY_SECONDS
        while True:
            if self._server is None:
                raise RuntimeError("there is no server to watch")
            since = loop.time()
            code = await self._server.wait()
            self.state = "restarting"
            if loop.time() - since > STEADY_SECONDS:
                delay = FIRST_DELAY_SECONDS
            self._log.error("the database server ended by itself; it is restarted", code=code, delay=delay)
            while self.state == "restarting":
                await asyncio.sleep(delay)
                delay = min(delay * 2, LAST_DELAY_SECONDS)
                try:
                    await self._clear_away()
                    await self._launch()
                except (ConfigurationError, OSError) as error:
                    self._log.error(
                        "the database server does not restart yet", reason=str(error), delay=delay
                    )
                else:
                    self.state = "running"
                    self._log.info("the database server is back", pid=self.pid)

    async def _clear_away(self) -> None:
        """End the server, or what a dead one left: backends that compute do not notice its death."""
        if (server := self._server) is not None and server.returncode is None:
            with contextlib.suppress(psutil.NoSuchProcess):
                await end_server(psutil.Process(server.pid))
            # To send a signal would reap what has just ended, and its exit code would be lost to the waiter.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(server.wait(), REAP_SECONDS)
            kill(server)
            await server.wait()
        # A shutdown in order left nobody; it takes no thread either, which a program's last moments lack.
        if server is not None and server.returncode != 0 and self._account is not None:
            cluster, account = self._directory.cluster, self._account
            await kill_servers(await asyncio.to_thread(servers_over, cluster, account))
        if self._listener is not None:
            await asyncio.wait([self._listener], timeout=1)
            self._listener.cancel()
            self._listener = None

    async def _end(self) -> None:
        """End the server, release the directory; also when the caller is being cancelled."""
        try:
            await asyncio.shield(ending := asyncio.ensure_future(self._clear_away()))
        except asyncio.CancelledError:
            await ending
            raise
        finally:
            if self._socket_directory not in (Path(), self._directory.cluster):
                with contextlib.suppress(OSError):
                    self._socket_directory.rmdir()
            self._server = None
            self._directory.release()
            self.state = "stopped"
