"""The embedded server under kill -9: of the service, of itself, of what only looks like it."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import psutil
import pytest

from flynn.store.embedded import EmbeddedPostgres
from flynn.store.embedded.cluster import SOCKET_LOCK, here
from flynn.store.embedded.programs import Account, choose_account, find_programs, spawn
from flynn.store.embedded.servers import mark_of

pytestmark = pytest.mark.slow

SERVICE = Path(__file__).with_name("embedded_service.py")


async def until(condition: Callable[[], bool], seconds: float = 40) -> float:
    """Wait until `condition` holds; returns how long that took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "it never came true"
        await asyncio.sleep(0.005)
    return time.monotonic() - began


def gone(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # it went between the two looks
        return True


def serve(path: Path, *prefix: str) -> tuple[subprocess.Popen[str], str, str]:
    """Start a service in a process of its own; returns it, and its server's pid and address."""
    service = subprocess.Popen(
        [*prefix, sys.executable, str(SERVICE), str(path)], stdout=subprocess.PIPE, text=True
    )
    assert service.stdout is not None
    word, pid, dsn = service.stdout.readline().split(maxsplit=2)
    assert word == "ready", dsn
    return service, pid, dsn.strip()


def finish(service: subprocess.Popen[str]) -> None:
    service.kill()
    service.wait()
    if service.stdout is not None:
        service.stdout.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data"


async def made(path: Path) -> Account:
    """A cluster, stopped; returns the account that owns it."""
    async with EmbeddedPostgres(path, fsync=False):
        pass
    return choose_account((path / "cluster").stat())


async def test_kill_9_of_the_service_ends_its_server_and_loses_nothing_committed(path: Path) -> None:
    service, pid, dsn = await asyncio.to_thread(serve, path)
    postmaster = psutil.Process(int(pid))
    assert os.getsid(postmaster.pid) == postmaster.pid  # Ctrl-C in the service's terminal passes it by
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE TABLE kept AS SELECT 42 AS x")
    service.send_signal(signal.SIGKILL)
    # No pause: the next start finds the old server going down.
    await asyncio.to_thread(service.wait)
    finish(service)
    async with EmbeddedPostgres(path) as server:
        assert gone(postmaster)
        found = await asyncpg.connect(server.dsn)
        assert await found.fetchval("SELECT x FROM kept") == 42
        await found.close()
    connection.terminate()


async def test_kill_9_in_the_middle_of_the_first_start_is_no_obstacle(path: Path) -> None:
    service = await asyncio.create_subprocess_exec(sys.executable, str(SERVICE), str(path))
    await until(lambda: bool(list(path.glob("cluster.draft-*/base"))))
    service.kill()
    await service.wait()
    assert not (path / "cluster").exists()
    async with EmbeddedPostgres(path, fsync=False) as server:
        assert server.state == "running"


async def test_an_orphan_is_shut_down_and_not_adopted(path: Path) -> None:
    account = await made(path)
    orphan = await start_orphan(path, account)
    try:
        async with EmbeddedPostgres(path, fsync=False) as server:
            assert server.pid != orphan.pid
            assert await orphan.wait() == 0  # a shutdown in order
    finally:
        await finish_orphan(orphan)


@pytest.mark.needs("root")
async def test_an_orphan_is_known_without_the_right_to_look_into_processes(path: Path) -> None:
    """Root in a container has no CAP_SYS_PTRACE: executable and directory of the server are hidden."""
    account = await made(path)
    orphan = await start_orphan(path, account)
    bounded = ("setpriv", "--bounding-set=-sys_ptrace")
    service, pid, _ = await asyncio.to_thread(serve, path, *bounded)
    try:
        assert int(pid) != orphan.pid
        assert await orphan.wait() == 0
    finally:
        finish(service)
        await finish_orphan(orphan)


async def start_orphan(path: Path, account: Account) -> asyncio.subprocess.Process:
    """A postmaster as an earlier service would have left it, without one."""
    cluster = path / "cluster"
    orphan = await spawn(
        await find_programs(account, path) / "postgres",
        *("-D", here(cluster)),
        f"--cluster_name={mark_of(cluster)}",
        "--listen_addresses=",
        "--unix_socket_directories=.",
        account=account,
        directory=cluster,
        death_signal=signal.SIGQUIT,
    )
    claim = cluster / "postmaster.pid"
    await until(lambda: claim.exists() and "ready" in claim.read_text())
    return orphan


async def finish_orphan(orphan: asyncio.subprocess.Process) -> None:
    if orphan.returncode is None:
        orphan.kill()
    await orphan.communicate()


@asynccontextmanager
async def bystander(account: Account) -> AsyncIterator[int]:
    """The pid of a process of the same user that is no server; it must not be ended."""
    process = await spawn(
        Path("/bin/sleep"), "60", account=account, directory=Path("/"), death_signal=signal.SIGKILL
    )
    try:
        await until(lambda: psutil.Process(process.pid).name() == "sleep")
        yield process.pid
        assert process.returncode is None
    finally:
        await finish_orphan(process)


async def test_a_stale_pid_file_is_not_trusted(path: Path) -> None:
    """The pid it names belongs to somebody else by now, even to somebody of the same user."""
    account = await made(path)
    async with bystander(account) as pid:
        claim = f"{pid}\n{path / 'cluster'}\n{int(time.time())}\n5432\n.\n\n  0  0\nready   \n"
        (path / "cluster" / "postmaster.pid").write_text(claim)
        async with EmbeddedPostgres(path, fsync=False) as server:
            assert server.state == "running"


async def test_a_stale_lock_of_the_socket_is_not_trusted(path: Path) -> None:
    """As a backup or a crash leaves it: there is no pid file any more, and its pid is somebody else's."""
    account = await made(path)
    async with bystander(account) as pid:
        lock = path / "cluster" / SOCKET_LOCK
        lock.write_text(f"{pid}\n/proc/self/cwd\n{int(time.time())}\n5432\n.\n")
        account.give(lock)
        async with EmbeddedPostgres(path, fsync=False) as server:
            assert server.state == "running"


async def test_kill_9_of_the_server_is_noticed_and_mended(path: Path) -> None:
    async with EmbeddedPostgres(path) as server:
        first = server.pid
        assert first is not None
        busy = await asyncpg.connect(server.dsn)
        await busy.execute("CREATE TABLE kept AS SELECT 42 AS x")
        # A backend that computes does not look whether its postmaster lives, and blocks a successor.
        query = asyncio.create_task(busy.fetchval("SELECT count(*) FROM generate_series(1, 100000000)"))
        await asyncio.sleep(0.2)
        os.kill(first, signal.SIGKILL)
        await until(lambda: server.state == "restarting")
        took = await until(lambda: server.state == "running")
        assert took < 20
        assert server.pid not in (None, first)
        with pytest.raises((asyncpg.PostgresError, ConnectionError, asyncpg.InterfaceError)):
            await query
        connection = await asyncpg.connect(server.dsn)
        assert await connection.fetchval("SELECT x FROM kept") == 42
        await connection.close()


async def test_a_restart_that_fails_is_tried_again(path: Path) -> None:
    async with EmbeddedPostgres(path, fsync=False) as server:
        first = server.pid
        assert first is not None
        control = path / "cluster" / "global" / "pg_control"
        aside = path / "aside"
        control.rename(aside)
        os.kill(first, signal.SIGKILL)
        await until(lambda: server.state == "restarting")
        await asyncio.sleep(0.5)
        assert server.state == "restarting"
        aside.rename(control)
        await until(lambda: server.state == "running")


async def test_stop_ends_a_server_that_is_being_restarted(path: Path) -> None:
    async with EmbeddedPostgres(path, fsync=False) as server:
        first = server.pid
        assert first is not None
        control = path / "cluster" / "global" / "pg_control"
        aside = control.rename(path / "aside")
        os.kill(first, signal.SIGKILL)
        await until(lambda: server.state == "restarting")
    assert server.state == "stopped"
    mark = mark_of(path / "cluster")
    assert not [p for p in psutil.process_iter(["cmdline"]) if mark in " ".join(p.info["cmdline"] or ())]
    aside.rename(control)
    async with server:  # which also clears away the shared memory of the one that was killed
        assert server.pid is not None
