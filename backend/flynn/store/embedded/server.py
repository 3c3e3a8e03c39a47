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

import asyncpg
import psutil
from sqlalchemy import URL

from flynn.domain.errors import ConfigurationError
from flynn.store.embedded.cluster import SUPERUSER, DataDirectory, here, kill, last_word
from flynn.store.embedded.programs import Account, choose_account, find_programs, spawn
from flynn.store.embedded.servers import (
    end_orphan,
    end_server,
    kill_servers,
    mark_of,
    read_pid_file,
    servers_over,
)
from flynn.telemetry.logging import Logger, get_logger
from flynn.telemetry.redaction import register_secret

State = Literal["stopped", "starting", "running", "restarting"]

ROLE = "flynn"

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
        return self._address("postgresql+asyncpg", ROLE, self._database)

    @property
    def dsn(self) -> str:
        """For libpq, psycopg and asyncpg: `postgresql://…?host=…`. Holds the password."""
        return self._address("postgresql", ROLE, self._database)

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
            if new or not await self._enterable():
                await self._make_database()
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
        return existing is None

    def _server_settings(self) -> dict[str, str]:
        """On the command line, not in a file, so that a new version's settings reach an old cluster."""
        cluster = self._directory.cluster
        separate = self._socket_directory != cluster
        durable = "on" if self._fsync else "off"
        return {
            "cluster_name": mark_of(cluster),
            "listen_addresses": "",
            "unix_socket_directories": str(self._socket_directory) if separate else ".",
            "unix_socket_permissions": "0700",
            "max_connections": str(self._max_connections),
            "password_encryption": "scram-sha-256",
            "timezone": "UTC",
            # Durability, and a log that a base backup can be replayed from.
            "fsync": durable,
            "synchronous_commit": durable,
            "full_page_writes": durable,
            "wal_level": "replica",
            "max_wal_senders": "4",
            "max_wal_size": "512MB",
            "min_wal_size": "64MB",
            # A small service's memory.
            "shared_buffers": "32MB",
            "huge_pages": "off",
            "jit": "off",
            "max_worker_processes": "4",
            "max_logical_replication_workers": "0",
            # Errors of statements reach who sent them; their text and values have no business in a log.
            "log_min_messages": "log",
            "log_min_error_statement": "panic",
            "log_error_verbosity": "terse",
            "log_checkpoints": "off",
            "log_line_prefix": "",
            "log_timezone": "UTC",
            "lc_messages": "C",
            **self._settings,
        }

    async def _launch(self) -> None:
        """Start a postmaster and wait until it takes connections; raises ConfigurationError if it ends."""
        if self._account is None:
            raise RuntimeError("the embedded server was never prepared")
        cluster = self._directory.cluster
        arguments = [f"--{name}={value}" for name, value in self._server_settings().items()]
        self._said.clear()
        try:
            self._server = await spawn(
                self._programs / "postgres",
                *("-D", here(cluster), *arguments),
                account=self._account,
                directory=cluster,
                death_signal=signal.SIGINT,
            )
        except OSError as error:
            raise ConfigurationError(f"PostgreSQL cannot be started: {error.strerror}.") from error
        self._listener = asyncio.create_task(self._listen(self._server), name="embedded-postgres-log")
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

    async def _listen(self, server: Process) -> None:
        """Pass on what the server says, until it closes its pipe."""
        if server.stdout is None:
            raise RuntimeError("the server's output is not piped")
        async for raw in server.stdout:
            line = raw.decode(errors="replace").rstrip()
            self._said.append(line)
            match _SAID.match(line):
                case re.Match() as said if said["severity"] in ("FATAL", "PANIC"):
                    self._log.warning("PostgreSQL reports a failure", said=said["text"])
                case re.Match() as said:
                    self._log.debug("PostgreSQL reports", said=said["text"])
                case None:
                    self._log.debug("PostgreSQL writes", said=line)

    async def _enterable(self) -> bool:
        """Whether the service's role and database are there."""
        try:
            connection = await asyncpg.connect(self.dsn)
        except (asyncpg.InvalidPasswordError, asyncpg.InvalidCatalogNameError):
            return False
        await connection.close()
        return True

    async def _make_database(self) -> None:
        """Make the role and the database as far as they are missing: a crash can fall between them."""
        try:
            superuser = await asyncpg.connect(self._address("postgresql", SUPERUSER, SUPERUSER))
        except asyncpg.InvalidPasswordError as error:
            raise ConfigurationError(
                f"The password in {self._directory.path / 'password'} does not open the database beside "
                "it: restore the one that belongs to it."
            ) from error
        try:
            # No parameters in utility statements; the password is URL-safe base64, the names are plain.
            known = await superuser.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", ROLE)
            verb = "ALTER" if known else "CREATE"
            await superuser.execute(
                f"{verb} ROLE {ROLE} LOGIN CREATEDB REPLICATION PASSWORD '{self._password}'"
            )
            if not await superuser.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", self._database):
                await superuser.execute(f"CREATE DATABASE {self._database} OWNER {ROLE}")
        finally:
            await superuser.close()

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
        """End what a dead postmaster left: its backends, or a successor that was never ready."""
        await self._end_server()
        if self._account is not None:
            cluster, account = self._directory.cluster, self._account
            await kill_servers(await asyncio.to_thread(servers_over, cluster, account))

    async def _end_server(self) -> None:
        if (server := self._server) is not None and server.returncode is None:
            with contextlib.suppress(psutil.NoSuchProcess):
                await end_server(psutil.Process(server.pid))
            kill(server)
            await server.wait()
        if self._listener is not None:
            # A backend that outlived its postmaster would hold the pipe open.
            await asyncio.wait([self._listener], timeout=1)
            self._listener.cancel()
            self._listener = None

    async def _end(self) -> None:
        """End the server, release the directory; also when the caller is being cancelled."""
        try:
            await asyncio.shield(ending := asyncio.ensure_future(self._end_server()))
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

    def _address(self, driver: str, user: str, database: str) -> str:
        place = {"host": os.fspath(self._socket_directory)}
        url = URL.create(driver, username=user, password=self._password, database=database, query=place)
        return url.render_as_string(hide_password=False)
