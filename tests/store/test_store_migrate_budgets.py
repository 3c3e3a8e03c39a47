"""Migration 0008: what tasks of before have used is counted from their logs, and nothing bounds them."""

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from flynn.store import task_budgets
from flynn.store.database import Database
from flynn.store.migrate import migrate
from tests.store.earlier import QUEUE_SCHEMA, earlier_database

ROWS = (
    "INSERT INTO principals (id, name) VALUES (:i, 'old')",
    "INSERT INTO workspaces (id, name, path) VALUES (:i, 'w', '/w')",
    """INSERT INTO conversations (id, principal_id, workspace_id, agent, agent_version, head)
       VALUES (:i, :i, :i, 'flynn-dev', '1', 4)""",
    "INSERT INTO tasks (id, conversation_id, principal_id, instructions) VALUES (:i, :i, :i, 'look')",
    """INSERT INTO runs (id, conversation_id, workspace_id, principal_id, state, turns, nanodollars,
                         limit_turns, limit_nanodollars, limit_prompt_tokens)
       VALUES (:i, :i, :i, :i, 'completed', 1, 30, 9, 9, 9)""",
)
EVENT = text("""
INSERT INTO events (conversation_id, seq, type, run_id, data)
VALUES (:i, :seq, :type, :i, CAST(:data AS json))""")
USAGE = {"input": 1, "output": 2, "cache_read": 3, "cache_write_5m": 4, "cache_write_1h": 0}
LOG: list[tuple[str, dict[str, Any]]] = [
    ("run.started", {"epoch": 1}),
    ("step.failed", {"step": 1, "usage": {**USAGE, "output": 0}, "nanodollars": 0}),
    ("step.failed", {"step": 2, "usage": USAGE, "nanodollars": 10}),
    ("step.completed", {"step": 3, "usage": USAGE, "nanodollars": 20}),
]


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    """A database of schema 0007."""
    async with earlier_database("0007") as database:
        yield database


async def test_what_was_used_is_counted_from_the_log(database: Database) -> None:
    one = uuid4()
    async with database.begin() as connection:
        for statement in ROWS:
            await connection.execute(text(statement), {"i": one})
        for seq, (kind, data) in enumerate(LOG, start=1):
            row = {"i": one, "seq": seq, "type": kind, "data": json.dumps(data)}
            await connection.execute(EVENT, row)
    assert await migrate(database, queue_schema=QUEUE_SCHEMA) is True
    async with database.statement() as connection:
        run = (await connection.execute(text("SELECT calls, tokens, worked_ms FROM runs"))).one()
        limits = await task_budgets.task_limits(connection, one)
        assert await task_budgets.time_at_work(connection, one) == 0
    assert tuple(run) == (2, 28, 0)
    assert limits is not None
    assert limits.model_dump(exclude_none=True) == {}
