"""Migration 0002: workspaces of the first release keep their work, and get a volume at the next start."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from flynn.intake.seeds import DEFAULT, settle_default, take_in
from flynn.store.admission import QUEUE, AdmissionLimits, admit
from flynn.store.database import Database
from flynn.store.migrate import head, migrate
from flynn.store.mounts import know_volumes, renew_mounts
from flynn.store.workspaces import all_workspaces
from flynn.workspace.mounts import Mounts, find_mounts
from tests.store.earlier import QUEUE_SCHEMA, earlier_database

_PRINCIPAL = text("INSERT INTO principals (id, name) VALUES (:p, 'old')")
_WORKSPACE = text("INSERT INTO workspaces (id, name, path) VALUES (:w, :name, :path)")
_MEMBER = text("INSERT INTO workspace_members (workspace_id, principal_id) VALUES (:w, :p)")
_CONVERSATION = text("""
INSERT INTO conversations (id, principal_id, workspace_id, agent, agent_version)
VALUES (:w, :p, :w, 'flynn-dev', '1')""")
_RUN = text("""
INSERT INTO runs (id, conversation_id, workspace_id, principal_id, state,
                  limit_turns, limit_nanodollars, limit_prompt_tokens)
VALUES (:w, :w, :w, :p, 'queued', 1, 1, 1)""")
_JOBS = text("SELECT args ->> 'run' AS run, queue_name FROM procrastinate_jobs")


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    """A database of the first release."""
    async with earlier_database("0001") as database:
        yield database


async def fill(database: Database, places: dict[str, Path]) -> dict[str, UUID]:
    """A workspace a place, each with a member and a run that waits."""
    principal = uuid4()
    made = {name: uuid4() for name in places}
    async with database.begin() as connection:
        await connection.execute(_PRINCIPAL, {"p": principal})
        for name, path in places.items():
            row = {"w": made[name], "name": name, "path": str(path), "p": principal}
            for statement in (_WORKSPACE, _MEMBER, _CONVERSATION, _RUN):
                await connection.execute(statement, row)
    return made


async def by_name(database: Database) -> dict[str, Any]:
    async with database.statement() as connection:
        return {row.name: row for row in await all_workspaces(connection)}


async def test_workspaces_of_before_are_taken_in_where_they_are(database: Database, tmp_path: Path) -> None:
    data, here, gone = tmp_path / "data", tmp_path / "here", tmp_path / "gone"
    (data / "workspaces" / "default").mkdir(parents=True)
    here.mkdir()
    ids = await fill(database, {"default": data / "workspaces" / "default", "here": here, "gone": gone})
    assert await migrate(database, queue_schema=QUEUE_SCHEMA) is True
    untouched = await by_name(database)
    assert {name: (row.id, row.volume_id, row.path) for name, row in untouched.items()} == {
        "default": (ids["default"], None, str(data / "workspaces" / "default")),
        "here": (ids["here"], None, str(here)),
        "gone": (ids["gone"], None, str(gone)),
    }
    assert not any(row.made for row in untouched.values())

    mounts = await asyncio.to_thread(find_mounts, data, ())
    async with database.begin() as connection:
        assert await take_in(connection, mounts) == 2
        assert await take_in(connection, mounts) == 0
        await settle_default(connection, mounts, None, forbidden=[data])
    taken = await by_name(database)
    assert mounts.own is not None
    assert mounts.host is not None
    assert (taken["default"].volume_id, taken["default"].path) == (mounts.own.id, DEFAULT)
    assert taken["default"].made
    assert (taken["here"].volume_id, taken["here"].path) == (mounts.host.id, str(here)[1:])
    assert (taken["gone"].volume_id, taken["gone"].path) == (None, str(gone))
    assert {row.id for row in taken.values()} == set(ids.values())


async def test_work_that_waited_goes_to_the_volumes_queue(database: Database, tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    ids = await fill(database, {"here": here, "gone": tmp_path / "gone"})
    await migrate(database, queue_schema=QUEUE_SCHEMA)
    mounts = await asyncio.to_thread(find_mounts, tmp_path / "data", ())
    assert mounts.host is not None
    async with database.begin() as connection:
        await take_in(connection, mounts)
        assert await admit(connection, AdmissionLimits()) == [ids["gone"]], "nobody has the volume yet"
        await know_volumes(connection, [(v.id, v.root) for v in mounts.volumes], move=True)
        assert await renew_mounts(connection, uuid4(), [v.id for v in mounts.volumes]) is True
        assert await admit(connection, AdmissionLimits()) == [ids["here"]]
        jobs = {row.run: row.queue_name for row in await connection.execute(_JOBS)}
    assert jobs == {str(ids["gone"]): QUEUE, str(ids["here"]): f"vol:{mounts.host.id}"}


async def test_the_first_release_is_migrated_to_the_head(database: Database) -> None:
    assert await migrate(database, queue_schema=QUEUE_SCHEMA) is True
    assert await migrate(database, queue_schema=QUEUE_SCHEMA) is False
    assert head() >= "0002"
    assert Mounts().volumes == ()
