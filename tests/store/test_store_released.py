"""Every released schema, with rows that the code of its time wrote: brought forward, whole, and lived in.

`released/NNNN.sql` is the dump of a database in which the commit whose newest migration was NNNN held a
conversation of two messages with tool calls, a finished task, a conversation whose message waits and a task
that waits. They are never changed; `python -m tests.store.freeze` makes the next one. (No commit has 0009
without 0010: that file is of the code of 0008 over the migration of 0009.) The queue's own jobs are not
among them: here the test delivers runs.
"""

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
from sqlalchemy import text

from flynn.domain.orders import MessageOrder
from flynn.domain.principal import Principal, Scope
from flynn.domain.views import TaskView
from flynn.store.database import Database
from flynn.store.embedded.programs import postgres_program
from flynn.store.migrate import head, known, migrate, revision
from tests.drills.audit import request_digest
from tests.house import House, open_house
from tests.postgres import Prepare, TestDatabase, TestDatabases
from tests.store.earlier import QUEUE_SCHEMA
from tests.store.freeze import NO_SECRET, freeze

RELEASED = sorted((Path(__file__).parent / "released").glob("*.sql"))
FIRST_TEN = [f"{number:04}" for number in range(1, 11)]

SCRIPT = """
name: waits
match: Look at notes.txt, when there is time
turns: [{blocks: [{text: I looked.}]}]
---
name: late
match: What did you do before the upgrade
match_in: latest_message
turns: [{blocks: [{text: I made a file.}]}]
---
name: task
match: Count the files once more
loop: true
turns: [{blocks: [{text: Still two.}]}]
"""

_TABLES = text("""
SELECT relname FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname NOT LIKE 'procrastinate%'""")
_MOVED = """
UPDATE principals SET name = 'before';
UPDATE workspaces SET name = 'before', volume_id = NULL, path = '/nowhere';
"""
"""The names that the house needs; and the workspace's directory is where the test says."""
_TALK = text("SELECT conversation_id FROM client_messages WHERE client_message_id = 'first'")
_OPEN = text("SELECT id, conversation_id FROM runs WHERE state = 'queued' ORDER BY queued_at")

Rows = dict[str, list[dict[str, Any]]]


async def fill(database: Database, released: Path) -> None:
    """Make the database what it was."""
    script = await asyncio.to_thread(released.read_text)
    async with database.begin() as connection:
        raw = await connection.get_raw_connection()
        assert raw.driver_connection is not None
        await raw.driver_connection.execute(QUEUE_SCHEMA)
        await raw.driver_connection.execute(script)


async def rows_of(database: Database) -> Rows:
    """All rows of the service's own tables, each table's in an order of their own."""
    found: Rows = {}
    async with database.statement() as connection:
        for name in sorted((await connection.scalars(_TABLES)).all()):
            query = text(f"SELECT to_jsonb(t) AS row FROM {name} t ORDER BY to_jsonb(t)::text")
            found[name] = list((await connection.scalars(query)).all())
    return found


def schema_of(database: TestDatabase) -> str:
    """The schema as pg_dump writes it down."""
    done = subprocess.run(
        [postgres_program("pg_dump"), "--schema-only", "--no-owner", "--dbname", database.dsn],
        capture_output=True,
        text=True,
        check=True,
    )
    return re.sub(r"^(--.*|\\(un)?restrict .*)?\n", "", done.stdout, flags=re.MULTILINE)


@pytest.fixture
async def postgres() -> AsyncIterator[TestDatabase]:
    with TestDatabases.shared().new() as found:
        yield found


@pytest.fixture
async def database(postgres: TestDatabase) -> AsyncIterator[Database]:
    found = Database(postgres.url, pool_size=2)
    yield found
    await found.close()


def test_no_released_schema_is_left_out() -> None:
    names = [path.stem for path in RELEASED]
    assert names[:10] == FIRST_TEN
    assert names == sorted(known())[: len(names)]


@pytest.mark.parametrize("released", RELEASED, ids=lambda path: path.stem)
async def test_it_is_brought_forward_with_every_row(
    postgres: TestDatabase, database: Database, released: Path
) -> None:
    await fill(database, released)
    async with database.statement() as connection:
        assert await revision(connection) == released.stem
    before = await rows_of(database)
    assert await migrate(database, queue_schema=QUEUE_SCHEMA) is (released.stem != head())
    after = await rows_of(database)
    assert after.pop("flynn_schema") == [{"version_num": head()}]
    assert before.pop("flynn_schema") == [{"version_num": released.stem}]
    assert {name: len(rows) for name, rows in before.items()} == {name: len(after[name]) for name in before}
    for name, rows in before.items():
        columns = rows[0].keys() if rows else ()
        kept = [{column: row[column] for column in columns} for row in after[name]]
        assert sorted(map(repr, rows)) == sorted(map(repr, kept)), name

    with TestDatabases.shared().new() as scratch:
        fresh = Database(scratch.url, pool_size=1)
        await migrate(fresh, queue_schema=QUEUE_SCHEMA)
        await fresh.close()
        made, brought = await asyncio.gather(*(asyncio.to_thread(schema_of, d) for d in (scratch, postgres)))
    assert sorted(brought.splitlines()) == sorted(made.splitlines())


@cache
def prepared(released: Path) -> Prepare:
    async def prepare(url: str) -> None:
        database = Database(url, pool_size=1)
        await fill(database, released)
        await migrate(database, queue_schema=QUEUE_SCHEMA)
        async with database.begin() as connection:
            for statement in filter(str.strip, _MOVED.split(";")):
                await connection.execute(text(statement))
        await database.close()

    return prepare


@pytest.mark.slow
@pytest.mark.parametrize("released", RELEASED, ids=lambda path: path.stem)
async def test_its_conversations_go_on_as_if_nothing_had_happened(tmp_path: Path, released: Path) -> None:
    async with open_house(tmp_path, SCRIPT, prepared=prepared(released)) as house:
        place = tmp_path / "before"
        await asyncio.to_thread(place.mkdir)
        async with house.database.begin() as connection:
            await connection.execute(
                text("UPDATE workspaces SET path = :p WHERE name = 'before'"), {"p": str(place)}
            )
            owner = (await connection.execute(text("SELECT id FROM principals WHERE name = 'before'"))).one()
            talk = await connection.scalar(_TALK)
            waiting = (await connection.execute(_OPEN)).all()
        principal = Principal(
            id=owner.id, name="before", scopes=frozenset({Scope.CHAT, Scope.DELEGATE, Scope.READ})
        )
        assert len(waiting) == 2
        old = await house.log(talk)
        assert [recorded.seq for recorded in old] == list(range(1, len(old) + 1))
        assert [r.event.type for r in old].count("run.completed") == 2

        words = MessageOrder.model_validate({"text": "What did you do before the upgrade?"})
        await house.intake.send_message(principal, talk, words)
        assert await house.work() == 3

        log = await house.log(talk)
        assert log[: len(old)] == old
        assert log[-1].event.type == "run.completed"
        await its_requests_are_those_of_the_log(house, talk)
        for run in waiting:
            assert (await house.log(run.conversation_id))[-1].event.type in ("run.completed", "task.reported")
        tasks = await house.views.tasks(principal)
        assert {task.state for task in tasks.items} == {"completed"}
        assert len(tasks.items) == 2
        for task in tasks.items:
            assert isinstance(task, TaskView)
            assert task.report is not None


async def its_requests_are_those_of_the_log(house: House, talk: UUID) -> None:
    """What the model was sent last begins with the very requests that the old code digested."""
    async with house.database.statement() as connection:
        query = text("""
            SELECT p.body FROM prefixes p JOIN conversations c ON c.prefix_digest = p.digest
            WHERE c.id = :c""")
        prefix = await connection.scalar(query, {"c": talk})
    log = await house.log(talk)
    logged = [r.event.request_digest for r in log if r.event.type == "step.started"]
    (body,) = [
        orjson.loads(record.body)
        for record in house.simulator.stage.records
        if record.body and b"before the upgrade" in record.body
    ]
    messages = body["messages"]
    assert len(messages) == 2 * len(logged) - 1
    assert [request_digest(prefix, messages[: 2 * k + 1]) for k in range(len(logged))] == logged


@pytest.mark.slow
async def test_the_next_one_can_be_frozen(database: Database, tmp_path: Path) -> None:
    frozen = tmp_path / "next.sql"
    (tmp_path / "place").mkdir()
    frozen.write_text(await freeze(tmp_path / "place"))
    await fill(database, frozen)
    assert await migrate(database, queue_schema=QUEUE_SCHEMA) is False
    found = await rows_of(database)
    known_to_the_last = {name for name, rows in found.items() if rows}
    assert {"events", "runs", "tasks", "callbacks", "originals", "differences"} <= known_to_the_last
    assert NO_SECRET in frozen.read_text()
