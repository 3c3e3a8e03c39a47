"""PostgreSQL's client programs (pg_basebackup, pg_receivewal, …), run by our own user over the socket.

No password is ever on a command line or in an environment: the programs read it from a file of ours.
"""

import os
import signal
import tempfile
from asyncio.subprocess import Process
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from flynn.domain.errors import FlynnError
from flynn.store.embedded.cluster import kill, last_word
from flynn.store.embedded.programs import Account, postgres_program, spawn
from flynn.store.embedded.role import ROLE


class ProgramFailed(FlynnError):
    """A program of PostgreSQL ended with an error; `detail` has its last word."""

    code = "program-failed"
    title = "A program of PostgreSQL failed"


@dataclass(frozen=True, slots=True)
class Client:
    """The way into a running embedded server, for programs."""

    socket_directory: Path
    password: str = field(repr=False)

    @property
    def options(self) -> tuple[str, ...]:
        """Host, user and "never ask", as every client program takes them."""
        return ("--host", str(self.socket_directory), "--username", ROLE, "--no-password")

    @contextmanager
    def password_file(self, directory: Path) -> Iterator[dict[str, str]]:
        """The environment that names a file with the password, in `directory` while the block lasts."""
        descriptor, name = tempfile.mkstemp(prefix=".pass-", dir=directory)
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(f"*:*:*:{ROLE}:{self.password}\n")
            yield {"PGPASSFILE": name}
        finally:
            Path(name).unlink(missing_ok=True)


async def start_program(
    name: str, *arguments: str, directory: Path, environment: dict[str, str] | None = None
) -> Process:
    """Start a client program as our own user; it is killed when this thread ends.

    What it says, on either stream, is in `stdout`. Raises ConfigurationError when it is not there, OSError.
    """
    return await spawn(
        postgres_program(name),
        *arguments,
        account=Account(os.geteuid(), os.getegid(), foreign=False),
        directory=directory,
        death_signal=signal.SIGKILL,
        environment=environment,
    )


async def run_program(
    name: str,
    *arguments: str,
    directory: Path,
    environment: dict[str, str] | None = None,
    codes: tuple[int, ...] = (0,),
) -> str:
    """Run one to its end and give what it said. Raises ProgramFailed unless it exits with one of `codes`."""
    process = await start_program(name, *arguments, directory=directory, environment=environment)
    try:
        output, _ = await process.communicate()
    finally:
        kill(process)
    said = output.decode(errors="replace")
    if process.returncode not in codes:
        raise ProgramFailed(f"{name} failed: {last_word(said.splitlines())}", exit_code=process.returncode)
    return said
