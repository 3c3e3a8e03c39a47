"""Which server processes work on a data directory: found by what they are, never by a pid file alone."""

import asyncio
import contextlib
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from flynn.domain.errors import ConfigurationError
from flynn.store.embedded.programs import Account
from flynn.telemetry.logging import Logger

FAST_SECONDS = 10.0
"""How long a server may take to write its checkpoint after SIGINT."""

IMMEDIATE_SECONDS = 5.0
"""How long it may take to end without one after SIGQUIT; then it is killed."""

_CLOCK_TOLERANCE_SECONDS = 30.0
_STATUS_LINE = 7


@dataclass(frozen=True, slots=True)
class PidFile:
    """What `postmaster.pid` claims. A claim only: the file outlives its writer."""

    pid: int
    started: float
    """Seconds since the epoch."""
    status: str
    """`starting`, `ready`, `stopping`; empty while the file is being written."""


def read_pid_file(cluster: Path) -> PidFile | None:
    """The claim of `cluster`'s postmaster.pid; None when there is none or it is not whole yet."""
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
        status = lines[_STATUS_LINE].strip() if len(lines) > _STATUS_LINE else ""
        return PidFile(pid=int(lines[0]), started=float(lines[2]), status=status)
    except (FileNotFoundError, IndexError, ValueError):
        return None


def mark_of(cluster: Path) -> str:
    """The name every process of this cluster's server carries in its command line.

    Made of the directory's device and inode, so it follows the directory and is no other's.
    """
    about = cluster.stat()
    return f"flynn-{about.st_dev:x}-{about.st_ino:x}"


def servers_over(cluster: Path, account: Account) -> list[psutil.Process]:
    """Every server process, postmaster or backend, that works on `cluster`.

    Its name, its user and the mark in its command line must fit, and where the kernel lets us look (root
    without CAP_SYS_PTRACE may not) its executable and its working directory too.
    """
    try:
        mark, place = mark_of(cluster), cluster.stat()
    except FileNotFoundError:
        return []
    found = []
    for process in psutil.process_iter():
        try:
            if process.name() != "postgres" or process.uids().effective != account.user:
                continue
            if mark not in " ".join(process.cmdline()):
                continue
            with contextlib.suppress(psutil.AccessDenied, PermissionError):
                # A replaced binary reads as "/…/postgres (deleted)".
                if not Path(process.exe()).name.startswith("postgres"):
                    continue
                here = Path(process.cwd()).stat()
                if (here.st_dev, here.st_ino) != (place.st_dev, place.st_ino):
                    continue
        except (psutil.NoSuchProcess, FileNotFoundError):
            continue
        found.append(process)
    return found


async def end_orphan(cluster: Path, account: Account, log: Logger) -> None:
    """End what an earlier service left running over `cluster`; the caller holds its lock.

    A postmaster is one when the pid file names it, its start agrees with the file's and `servers_over`
    knows it. It is shut down in order, the rest is killed. A pid file whose pid meanwhile belongs to
    somebody else is removed, as the server would take it for its own. Raises ConfigurationError when a
    process over the directory cannot be accounted for or does not end.
    """
    claim = await asyncio.to_thread(read_pid_file, cluster)
    servers = await asyncio.to_thread(servers_over, cluster, account)
    postmaster = next((s for s in servers if claim is not None and s.pid == claim.pid), None)
    if postmaster is not None and claim is not None:
        began = postmaster.create_time()
        if abs(began - claim.started) > _CLOCK_TOLERANCE_SECONDS:
            raise ConfigurationError(
                f"Process {postmaster.pid} is a PostgreSQL server over {cluster}, but did not start when "
                "postmaster.pid says: stop it by hand, then start again."
            )
        log.warning("an earlier service left its database server running; it is shut down", pid=claim.pid)
        await end_server(postmaster)
        servers = await asyncio.to_thread(servers_over, cluster, account)
    await kill_servers(servers)
    if claim is not None and postmaster is None and psutil.pid_exists(claim.pid):
        log.warning("a stale postmaster.pid names a process that is no server of ours", pid=claim.pid)
        await asyncio.to_thread((cluster / "postmaster.pid").unlink, missing_ok=True)


async def end_server(postmaster: psutil.Process) -> None:
    """Shut a postmaster down: fast, then immediately, then by force."""
    for shutdown, seconds in ((signal.SIGINT, FAST_SECONDS), (signal.SIGQUIT, IMMEDIATE_SECONDS)):
        with contextlib.suppress(psutil.NoSuchProcess):
            postmaster.send_signal(shutdown)
        if not await _outlive([postmaster], seconds):
            return
    await kill_servers([postmaster])


async def kill_servers(servers: Iterable[psutil.Process]) -> None:
    """Kill `servers`, which have no postmaster any more; raises ConfigurationError if one stays."""
    servers = list(servers)
    for server in servers:
        with contextlib.suppress(psutil.NoSuchProcess):
            server.kill()
    if rest := await _outlive(servers, IMMEDIATE_SECONDS):
        raise ConfigurationError(
            f"The PostgreSQL process {rest[0].pid} of an earlier service does not end: end it by hand."
        )


async def _outlive(servers: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Those of `servers` that still run `seconds` from now; returns as soon as none does."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        servers = [server for server in servers if _runs(server)]
        if not servers or loop.time() > deadline:
            return servers
        await asyncio.sleep(0.01)


def _runs(server: psutil.Process) -> bool:
    try:
        return server.is_running() and server.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # it ended between the two looks
        return False
