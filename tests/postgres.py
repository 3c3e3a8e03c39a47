"""A real PostgreSQL for tests: one server a test process, a prepared template, a database a test.

    async def prepare(url: str) -> None: ...            # migrate, once a process

    @pytest.fixture
    def database() -> Iterator[TestDatabase]:
        with TestDatabases.shared().new(prepare) as database:
            yield database

The server starts with the first database (about 0.7 s) and ends with the process. It runs on a thread and
a loop of its own, so that it outlives the tests' loops. With pytest-xdist each worker has its own.

`FLYNN_TEST_DATABASE_URL=postgresql://…` names a server that is there already (CI's service), whose role may
create databases: the tests' databases are made on it, and dropped. Tests that ill-treat a server, or that
are about the embedded one, start their own all the same.
"""

import asyncio
import atexit
import contextlib
import fcntl
import itertools
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import asyncpg
from sqlalchemy import make_url

from flynn.store.embedded import EmbeddedPostgres

_PREFIX = "flynn-tests-"

Prepare = Callable[[str], Awaitable[None]]


@dataclass(frozen=True)
class TestDatabase:
    """A database of one test: `url` for SQLAlchemy, `dsn` for psycopg and asyncpg."""

    __test__ = False

    name: str
    url: str
    dsn: str


class TestDatabases:
    """Makes databases for tests on one server. Its methods block and may be called from any thread."""

    __test__ = False

    _shared: ClassVar["TestDatabases | None"] = None

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="test-postgres", daemon=True)
        self._thread.start()
        self._numbers = itertools.count(1)
        self._templates: dict[Prepare, str] = {}
        self._lock = threading.Lock()
        self._desk: asyncpg.Connection | None = None
        self._at_desk = asyncio.Lock()
        self._prefix = ""
        self.server: EmbeddedPostgres | None = None
        there = os.environ.get("FLYNN_TEST_DATABASE_URL")
        if there:
            self._dsn = make_url(there).set(drivername="postgresql").render_as_string(hide_password=False)
            self._prefix = f"flynn_{secrets.token_hex(4)}_"  # several processes share the server
            return
        # Durability is of no use here, so memory will do.
        memory = Path("/dev/shm")
        base = memory if memory.is_dir() and shutil.disk_usage(memory).free > 2_000_000_000 else None
        _sweep(base or Path(tempfile.gettempdir()))
        self._directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
        self.server = EmbeddedPostgres(
            self._directory / "postgres", fsync=False, settings={"autovacuum": "off"}
        )
        self._await(self.server.start())
        self._dsn = self.server.dsn
        self._await(self._weaken(str(make_url(self._dsn).password)))

    @classmethod
    def shared(cls) -> "TestDatabases":
        """The one of this process; the first call starts it."""
        if cls._shared is None:
            cls._shared = cls()
            atexit.register(cls._shared.stop)
        return cls._shared

    @classmethod
    def end(cls) -> None:
        """Stop the one of this process, if there is one: while threads can still be started."""
        if cls._shared is not None:
            atexit.unregister(cls._shared.stop)
            cls._shared.stop()
            cls._shared = None

    @contextmanager
    def new(self, prepare: Prepare | None = None) -> Iterator[TestDatabase]:
        """A database of its own, as `prepare` left its template; dropped at the end, in use or not."""
        with self._lock:
            if prepare is not None and prepare not in self._templates:
                template = self._create(f"template_{next(self._numbers)}", "template1")
                self._await(_run(prepare, template.url))
                self._templates[prepare] = template.name
            source = self._templates[prepare] if prepare is not None else "template1"
            database = self._create(f"test_{next(self._numbers)}", source)
        try:
            yield database
        finally:
            self._execute(f"DROP DATABASE {database.name} WITH (FORCE)")

    def stop(self) -> None:
        """End the server and remove its files; leave a server that was there without what was made here."""
        if self.server is None:
            for template in self._templates.values():
                self._execute(f"DROP DATABASE IF EXISTS {template} WITH (FORCE)")
        if self._desk is not None:
            self._await(self._desk.close())
        if self.server is not None:
            self._await(self.server.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        if self.server is not None:
            shutil.rmtree(self._directory, ignore_errors=True)

    def _create(self, name: str, template: str) -> TestDatabase:
        name = f"{self._prefix}{name}"
        # Copying files is half the work of logging every page; with durability it would be more.
        strategy = "" if self.server is None else " STRATEGY FILE_COPY"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template}{strategy}")
        address = make_url(self._dsn).set(database=name)
        url, dsn = (
            address.set(drivername=driver).render_as_string(hide_password=False)
            for driver in ("postgresql+asyncpg", "postgresql")
        )
        return TestDatabase(name=name, url=url, dsn=dsn)

    async def _weaken(self, password: str) -> None:
        """Let a password be proved in one round instead of 4096: each test opens several connections."""
        connection = await asyncpg.connect(self._dsn)
        try:
            await connection.execute("SET scram_iterations = 1")
            await connection.execute(f"ALTER ROLE CURRENT_USER PASSWORD '{password}'")
        finally:
            await connection.close()

    def _execute(self, statement: str) -> None:
        async def execute() -> None:
            async with self._at_desk:
                if self._desk is None or self._desk.is_closed():
                    self._desk = await asyncpg.connect(self._dsn)
                await self._desk.execute(statement)

        self._await(execute())

    def _await(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=60)


def _sweep(base: Path) -> None:
    """Remove what a test process that was killed left behind: old, and owned by nobody."""
    for left in base.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError), (left / "postgres" / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if time.time() - left.stat().st_mtime > 600:
                shutil.rmtree(left, ignore_errors=True)


async def _run(prepare: Prepare, url: str) -> None:
    await prepare(url)
