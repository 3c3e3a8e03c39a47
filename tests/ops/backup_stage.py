"""A data directory with an embedded server, a keeper of backups, and workspaces: all of it real."""

import asyncio
import os
import shutil
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg

from flynn.ops.backup.base import Subject, free_bytes
from flynn.ops.backup.catalogue import Base, Catalogue
from flynn.ops.backup.exchange import LINE
from flynn.ops.backup.keeper import Keeper, Policy, open_keeper
from flynn.store.database import Database
from flynn.store.embedded import EmbeddedPostgres
from tests.ops.notes import Notes

TREES = ("workspaces", ".flynn", ".flynn-volume")

SCHEMA = """
CREATE TABLE workspaces (id int PRIMARY KEY, name text NOT NULL UNIQUE, volume_id uuid);
INSERT INTO workspaces VALUES (1, 'of the operator', NULL);
CREATE TABLE conversations (id int PRIMARY KEY, head bigint NOT NULL);
CREATE TABLE events (conversation_id int, seq bigint, PRIMARY KEY (conversation_id, seq));
CREATE TABLE notes (id serial PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(), words text);
CREATE INDEX notes_words ON notes (words) WHERE words <> 'none';
"""


@dataclass
class Stage(Notes):
    """The data directory `data`, whose backups are in `kept`."""

    data: Path
    kept: Path
    every: timedelta = timedelta(days=1)
    first_after: timedelta = timedelta(days=1)
    most_bytes: int = 2**40
    free: Any = free_bytes
    settings: dict[str, str] = field(default_factory=dict)
    server: EmbeddedPostgres | None = None

    @property
    def catalogue(self) -> Catalogue:
        return Catalogue(self.kept)

    @asynccontextmanager
    async def running(self, *, keeping: bool = True) -> AsyncIterator[Keeper]:
        """The server and its keeper; both end with the block."""
        async with EmbeddedPostgres(self.data / "postgres", settings=self.settings) as server:
            self.server = server
            database = Database(server.url, pool_size=3, max_overflow=3)
            keeper = Keeper(
                Policy(
                    directory=self.kept,
                    every=self.every,
                    keep=timedelta(days=7),
                    first_after=self.first_after,
                    most_bytes=self.most_bytes,
                ),
                Subject(
                    client=server.client,
                    password=self.data / "postgres" / "password",
                    trees={name: self.data / name for name in TREES},
                ),
                database,
                line_file=self.data / LINE,
                free=self.free,
            )
            try:
                if keeping:
                    async with open_keeper(keeper):
                        yield keeper
                else:
                    yield keeper
            finally:
                await database.close()

    async def ask(self, statement: str, *parameters: object) -> Any:
        assert self.server is not None
        connection = await asyncpg.connect(self.server.dsn)
        try:
            return await connection.fetch(statement, *parameters)
        finally:
            await connection.close()

    async def run(self, script: str) -> None:
        assert self.server is not None
        connection = await asyncpg.connect(self.server.dsn)
        try:
            await connection.execute(script)
        finally:
            await connection.close()

    async def command(self, statement: str) -> None:
        """Run a superuser's command."""
        assert self.server is not None
        connection = await asyncpg.connect(self.server.superuser_dsn)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def lose_the_disk(self) -> None:
        """All but the backups is gone."""
        shutil.rmtree(self.data)


async def take(keeper: Keeper) -> Base:
    """Take a base, and give it."""
    keeper.begin()
    await keeper.done()
    assert keeper.last_failure is None, keeper.last_failure
    return keeper.bases[-1]


async def covered(keeper: Keeper, at: datetime) -> None:
    """Wait until everything up to `at` is kept."""
    async with asyncio.timeout(60):
        while keeper.stretch.covered_at is None or keeper.stretch.covered_at < at:
            await keeper.look()
            await asyncio.sleep(0.1)


def plant(data: Path) -> None:
    """Workspaces with everything that has to come back as it was."""
    own = data / "workspaces" / "one"
    (own / "empty").mkdir(parents=True)
    (own / "deep" / "er").mkdir(parents=True)
    (own / "deep" / "er" / "file.txt").write_text("kept\n")
    (own / "script.sh").write_text("#!/bin/sh\n")
    (own / "script.sh").chmod(0o751)
    (own / "name\nwith ünı").write_bytes(b"\0\1")
    Path(os.fsdecode(os.fsencode(own) + b"/\xff\xfe")).write_text("no utf-8")
    (own / "out").symlink_to("/etc/passwd")
    (own / "dangling").symlink_to("../nowhere")
    if os.geteuid() == 0:
        os.chown(own / "script.sh", 20_001, 20_002)
        os.chown(own / "out", 20_001, 20_002, follow_symlinks=False)
    os.utime(own / "script.sh", ns=(1_600_000_000_123_456_789, 1_600_000_000_123_456_789))
    os.utime(own / "empty", ns=(1_500_000_000_000_000_001, 1_500_000_000_000_000_001))
    (data / "workspaces" / ".flynn" / "snapshots").mkdir(parents=True)
    (data / "workspaces" / ".flynn" / "snapshots" / "x").write_text("snapshot")
    (data / ".flynn").mkdir()
    (data / ".flynn" / "y").write_text("of a host path")
    (data / ".flynn-volume").write_text("7a1b2d1e-0000-4000-8000-000000000000\n")


def portrait(tree: Path) -> dict[bytes, tuple[object, ...]]:
    """What a tree is, to the nanosecond."""
    found: dict[bytes, tuple[object, ...]] = {}
    for folder, folders, files in os.walk(os.fsencode(tree)):
        for name in (*folders, *files):
            path = folder + b"/" + name
            status = os.lstat(path)
            content: object = None
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)  # noqa: PTH115 # bytes
            elif stat.S_ISREG(status.st_mode):
                content = Path(os.fsdecode(path)).read_bytes()
            facts = (status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns, content)
            found[os.path.relpath(path, os.fsencode(tree))] = facts
    return found
