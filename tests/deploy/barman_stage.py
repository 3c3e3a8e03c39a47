"""The database and the backup service of docker-compose.yml as processes: real PostgreSQL, real Barman.

The server is started with the settings and the access rules that Compose gives it, on a loopback port; the
service is the program of the image with the environment of one, in the virtual environment that
`scripts/setup.sh --servers` makes from requirements-backup.txt. What differs from a container: the paths.
"""

import asyncio
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import yaml

from flynn.store.embedded.programs import Account, choose_account, find_programs, postgres_program
from tests.conftest import ROOT
from tests.eventually import eventually
from tests.loopback import free_port
from tests.ops.notes import Notes

VENV = Path(sys.prefix) / "backup" / "bin"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
PASSWORD = "of-the-superuser"
PATIENCE = 240.0
"""Seconds for what takes a few on a machine that is not busy."""

SCHEMA = """
CREATE TABLE conversations (id int PRIMARY KEY, head bigint NOT NULL);
CREATE TABLE events (conversation_id int, seq bigint, PRIMARY KEY (conversation_id, seq));
CREATE TABLE notes (id serial PRIMARY KEY, words text);
CREATE INDEX notes_words ON notes (words);
INSERT INTO conversations VALUES (1, 2);
INSERT INTO events VALUES (1, 1), (1, 2);
"""


@dataclass
class Stage(Notes):
    """Everything beneath `directory`: clusters, `home` (the volume of the backups), `data`."""

    directory: Path
    programs: Path
    account: Account
    port: int = field(default_factory=free_port)
    server: "subprocess.Popen[bytes] | None" = None

    @property
    def home(self) -> Path:
        return self.directory / "home"

    @property
    def data(self) -> Path:
        return self.directory / "data"

    def environment(self, **other: str) -> dict[str, str]:
        """What the container of the backup service has."""
        return {
            "PATH": f"{VENV}:{self.programs}:{postgres_program('pg_basebackup').parent}:/usr/bin:/bin",
            "PYTHONPATH": f"{ROOT}:{ROOT / 'backend'}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "BARMAN_HOME": str(self.home),
            "FLYNN_DATA_DIR": str(self.data),
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGDATABASE": "reznetai_local",
            "POSTGRES_PASSWORD": PASSWORD,
            "BARMAN_TICK_SECONDS": "1",
            "BARMAN_METRICS_PORT": "0",
            **other,
        }

    @property
    def cluster(self) -> Path:
        return self.directory / "cluster"

    def prepare(self) -> None:
        """A new volume, as the image makes it, and files of the service."""
        self.directory.chmod(0o755)
        (self.data / "workspaces" / "one").mkdir(parents=True)
        (self.data / "workspaces" / "one" / "file.txt").write_text("as it was\n")
        (self.data / "owner.key").write_text("stays\n")
        self.initialise(self.cluster)

    def initialise(self, cluster: Path) -> None:
        """What the image does with a new volume."""
        secret = self.directory / "secret"
        secret.write_text(f"{PASSWORD}\n")
        cluster.mkdir(mode=0o700)
        self.account.give(cluster)
        self.account.give(secret)
        arguments = shlex.split(COMPOSE["services"]["postgres"]["environment"]["POSTGRES_INITDB_ARGS"])
        self._run("initdb", "-D", str(cluster), "-U", "postgres", "--pwfile", str(secret), *arguments)

    async def start(self, cluster: Path) -> None:
        """Start the server as Compose does."""
        command = COMPOSE["services"]["postgres"]["command"]
        assert command[0] == "postgres"
        rules = self.directory / "pg_hba.conf"
        rules.write_bytes((ROOT / "deploy/postgres/pg_hba.conf").read_bytes())
        self.account.give(rules)
        if self.account.foreign:
            for folder, _, names in os.walk(cluster):
                for path in (Path(folder), *(Path(folder, name) for name in names)):
                    self.account.give(path)
        command = [f"hba_file={rules}" if word.startswith("hba_file=") else word for word in command]
        self._launch(cluster, command)
        await eventually(self._answers, what="the server's start", seconds=PATIENCE, every=0.1)

    def kill(self) -> None:
        """The server is gone, as by the loss of its machine."""
        assert self.server is not None
        self.server.send_signal(signal.SIGQUIT)
        self.server.wait(60)
        self.server = None

    async def ask(self, statement: str, *parameters: object, database: str = "reznetai_local") -> Any:
        connection = await asyncpg.connect(
            host="127.0.0.1", port=self.port, user="postgres", password=PASSWORD, database=database
        )
        try:
            if parameters:
                return await connection.fetch(statement, *parameters)
            if statement.lstrip().startswith("SELECT"):
                return await connection.fetch(statement)
            return await connection.execute(statement)
        finally:
            await connection.close()

    async def command(self, *words: str, **environment: str) -> tuple[int, str]:
        """What `docker compose exec backup flynn-backup WORDS…` says, and its status."""
        process = await asyncio.create_subprocess_exec(
            *(str(VENV / "python"), "-m", "deploy.backup.keeping", *words),
            cwd="/",
            env=self.environment(**environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, (out + (err if process.returncode else b"")).decode()

    async def document(self, *words: str) -> Any:
        """What a command with --json prints."""
        status, said = await self.command(*words, "--json")
        assert status == 0, said
        return json.loads(said)

    async def well(self) -> bool:
        """Whether the container's health check is content."""
        status, _ = await self.command("check")
        return status == 0

    async def covered(self, at: datetime) -> None:
        """Wait until everything up to `at` can be restored."""

        async def until() -> bool:
            windows = (await self.document("list"))["windows"]
            return bool(windows) and datetime.fromisoformat(windows[0]["end"]) >= at

        await eventually(until, what=f"the log of {at}", seconds=PATIENCE, every=1)

    @asynccontextmanager
    async def service(self, **environment: str) -> AsyncIterator["Service"]:
        """The loop; it ends with the block, and with it every process of Barman."""
        service = self._serve(environment)
        process = service.process
        try:
            yield service
        finally:
            process.terminate()
            try:
                await asyncio.to_thread(process.wait, 60)
            finally:
                process.kill()
                process.wait()
                for left in service.receivers():
                    left.kill()

    def _serve(self, environment: dict[str, str]) -> "Service":
        log = self.directory / "service.log"
        with log.open("ab") as file:
            process = subprocess.Popen(
                [VENV / "python", "-m", "deploy.backup.keeping", "serve"],
                cwd="/",
                env=self.environment(**environment),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        return Service(process, log, self.home)

    def _launch(self, cluster: Path, command: list[str]) -> None:
        with (self.directory / "server.log").open("ab") as log:
            self.server = subprocess.Popen(
                [
                    *(str(self.programs / command[0]), *command[1:], "-D", str(cluster)),
                    *("-c", "listen_addresses=127.0.0.1", "-c", f"port={self.port}"),
                    *("-c", "unix_socket_directories="),
                ],
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=self.account.user if self.account.foreign else None,
                group=self.account.group if self.account.foreign else None,
                extra_groups=[] if self.account.foreign else None,
            )

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self.programs / program, *arguments],
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            user=self.account.user if self.account.foreign else None,
            group=self.account.group if self.account.foreign else None,
            extra_groups=[] if self.account.foreign else None,
        )
        assert done.returncode == 0, done.stderr

    async def _answers(self) -> bool:
        assert self.server is not None
        assert self.server.poll() is None, (self.directory / "server.log").read_text()
        try:
            await self.ask("SELECT 1", database="postgres")
        except (OSError, asyncpg.CannotConnectNowError):
            return False
        return True


@dataclass
class Service:
    """The loop as a process."""

    process: "subprocess.Popen[bytes]"
    log: Path
    home: Path

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def receivers(self) -> list[psutil.Process]:
        """Barman's and PostgreSQL's processes that receive the log of this stage."""
        return self.processes("receive-wal", "pg_receivewal")

    def processes(self, *names: str) -> list[psutil.Process]:
        """Processes of this stage that have one of `names` in their command line."""
        found = []
        for process in psutil.process_iter():
            try:
                words = " ".join(process.cmdline())
            except psutil.Error:
                continue
            if str(self.home) in words and any(name in words for name in names):
                found.append(process)
        return found


@asynccontextmanager
async def opened() -> AsyncIterator[Stage]:
    """A stage with a server and the database; all of it is gone afterwards."""
    account = choose_account(None)
    programs = await find_programs(account)
    # Not pytest's own: the server's account has to get there when the tests are root's.
    with tempfile.TemporaryDirectory(prefix="flynn-barman-", ignore_cleanup_errors=True) as name:
        stage = Stage(Path(name), programs, account)
        stage.prepare()
        await stage.start(stage.cluster)
        try:
            await stage.ask("CREATE DATABASE reznetai_local", database="postgres")
            await stage.ask(SCHEMA)
            yield stage
        finally:
            if stage.server is not None:
                stage.kill()
