"""The embedded server: what a start gives, what it refuses, what survives."""

import asyncio
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import psutil
import psycopg
import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from flynn.domain.errors import ConfigurationError
from flynn.store.embedded import EmbeddedPostgres, postgres_program

pytestmark = pytest.mark.slow


async def ask(server: EmbeddedPostgres, query: str) -> object:
    connection = await asyncpg.connect(server.dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def refusal(directory: Path) -> str:
    """The one line with which a start is refused."""
    server = EmbeddedPostgres(directory, fsync=False)
    with pytest.raises(ConfigurationError) as caught:
        await server.start()
    assert server.state == "stopped"
    assert "\n" not in caught.value.detail
    return caught.value.detail


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names(path: Path, pattern: str = "*") -> list[str]:
    return sorted(found.name for found in path.glob(pattern))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data"


def _internet(process: psutil.Process) -> list[object]:
    """Internet sockets of `process`; a backend that has just ended has none."""
    try:
        return list(process.net_connections(kind="inet"))
    except psutil.NoSuchProcess:
        return []


async def test_a_new_directory_gives_a_durable_database_without_tcp(path: Path) -> None:
    async with EmbeddedPostgres(path) as server:
        assert server.state == "running"
        engine = create_async_engine(server.url)
        async with engine.connect() as connection:
            row = (await connection.execute(text("SELECT current_user, current_database()"))).one()
        await engine.dispose()
        assert tuple(row) == ("flynn", "flynn")
        async with await psycopg.AsyncConnection.connect(server.dsn) as session:
            for name, value in {
                "fsync": "on",
                "synchronous_commit": "on",
                "full_page_writes": "on",
                "wal_level": "replica",
                "listen_addresses": "",
                "password_encryption": "scram-sha-256",
                "is_superuser": "off",
                "server_encoding": "UTF8",
            }.items():
                found = await (await session.execute("SELECT current_setting(%s)", [name])).fetchone()
                assert found == (value,), name
        tree = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
        assert not [c for process in tree for c in _internet(process)]
    assert server.pid is None


async def test_an_old_directory_keeps_its_data(path: Path) -> None:
    async with EmbeddedPostgres(path) as server:
        await ask(server, "CREATE TABLE kept AS SELECT 42 AS x")
    async with server:
        assert await ask(server, "SELECT x FROM kept") == 42


async def test_nobody_enters_without_the_password(path: Path) -> None:
    async with EmbeddedPostgres(path, fsync=False) as server:
        secret = path / "password"
        assert mode(secret) == 0o600
        password = secret.read_text().strip()
        assert len(password) >= 32
        for user in ("flynn", "postgres"):
            with pytest.raises(asyncpg.InvalidPasswordError):
                await asyncpg.connect(server.dsn.replace(password, "guess").replace("//flynn", f"//{user}"))
        assert password not in " ".join(psutil.Process(server.pid).cmdline())
    secret.unlink()
    assert str(secret) in await refusal(path)
    secret.write_text("another\n")
    assert "restore the file password" in await refusal(path)


async def test_the_password_is_closed_again_when_it_was_opened(path: Path) -> None:
    async with EmbeddedPostgres(path, fsync=False):
        pass
    (path / "password").chmod(0o644)
    async with EmbeddedPostgres(path, fsync=False):
        assert mode(path / "password") == 0o600


async def test_a_second_owner_is_refused_at_once(path: Path) -> None:
    async with EmbeddedPostgres(path, fsync=False) as server:
        sentence = await refusal(path)
        assert str(path) in sentence
        assert f"process {os.getpid()}" in sentence
        assert await ask(server, "SELECT 1") == 1
        with pytest.raises(RuntimeError):
            await server.start()
    await server.stop()  # once more does nothing
    async with EmbeddedPostgres(path, fsync=False):
        pass


async def test_another_major_version_is_refused(path: Path) -> None:
    cluster = path / "cluster"
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("15\n")
    sentence = await refusal(path)
    assert re.search(r"made by PostgreSQL 15\b.*\bPostgreSQL 16\b", sentence)


async def test_a_directory_that_holds_something_else_is_left_alone(path: Path) -> None:
    treasure = path / "cluster" / "treasure"
    treasure.parent.mkdir(parents=True)
    treasure.write_text("mine")
    assert str(path / "cluster") in await refusal(path)
    assert treasure.read_text() == "mine"


@pytest.fixture
def impostor() -> Iterator[Callable[[Path], None]]:
    """Puts a directory that is open to everybody in the place of a private one."""
    made = []

    def make(place: Path) -> None:
        assert not place.exists()
        place.mkdir()
        place.chmod(0o755)
        made.append(place)

    yield make
    for place in made:
        place.rmdir()


async def test_a_path_too_long_for_a_socket_works(tmp_path: Path, impostor: Callable[[Path], None]) -> None:
    path = tmp_path / ("long" * 30) / "data"
    async with EmbeddedPostgres(path, fsync=False) as server:
        assert await ask(server, "SELECT 1") == 1
        private = Path(make_url(server.url).query["host"])  # type: ignore[arg-type] # there is one host
        assert not private.is_relative_to(path)
        assert mode(private) == 0o700
    impostor(private)
    assert str(private) in await refusal(path)


async def test_what_an_interrupted_start_left_is_cleared_away(path: Path) -> None:
    half = path / "cluster.draft-abc" / "base"
    half.mkdir(parents=True)
    (half / "1").write_text("half")
    (path / "draft-of-password-abc").write_text("half")
    async with EmbeddedPostgres(path, fsync=False) as server:
        assert await ask(server, "SELECT 1") == 1
        assert names(path) == ["cluster", "lock", "password"]


async def test_a_cluster_without_role_or_database_is_completed(path: Path) -> None:
    async with EmbeddedPostgres(path, fsync=False):
        pass
    async with EmbeddedPostgres(path, fsync=False, database="another") as server:
        assert await ask(server, "SELECT current_database()") == "another"


async def test_a_database_name_that_is_no_identifier_is_refused(path: Path) -> None:
    with pytest.raises(ValueError, match="no plain name"):
        EmbeddedPostgres(path, database='x"; DROP DATABASE flynn')


async def test_the_log_holds_nothing_of_statements(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with EmbeddedPostgres(path, fsync=False) as server:
        with pytest.raises(asyncpg.UndefinedTableError):
            await ask(server, "SELECT 'sesame' FROM nowhere")
    said = "".join(str(vars(record)) for record in caplog.records)
    assert "PostgreSQL reports" in said
    assert "sesame" not in said
    assert (path / "password").read_text().strip() not in said


async def test_a_start_that_is_cancelled_leaves_nothing_running(path: Path) -> None:
    server = EmbeddedPostgres(path, fsync=False)
    start = asyncio.create_task(server.start())
    async with asyncio.timeout(10):
        while not names(path, "cluster.draft-*/PG_VERSION"):  # noqa: ASYNC110 # another process makes it
            await asyncio.sleep(0.005)
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert server.state == "stopped"
    async with server:
        assert await ask(server, "SELECT 1") == 1
        assert not names(path, "cluster.draft-*")


def test_other_programs_of_postgres_are_found() -> None:
    assert os.access(postgres_program("pg_dump"), os.X_OK)
    with pytest.raises(ConfigurationError, match="no program pg_nothing"):
        postgres_program("pg_nothing")
