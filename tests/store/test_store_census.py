"""The census: runs that are stuck are told from those that are at work."""

from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text

from flynn.store.census import QUIET_MINUTES, take_census
from flynn.store.database import Database
from tests.api.served import serve

_WORKER = text("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now()) RETURNING id")
_BEAT = text("UPDATE procrastinate_workers SET last_heartbeat = now() - make_interval(secs => :ago)")
_TAKE = text("""
UPDATE procrastinate_jobs SET status = 'doing', worker_id = :worker
WHERE id = (SELECT job_id FROM runs WHERE conversation_id = :c)""")
_RUN = text("UPDATE runs SET state = 'running' WHERE conversation_id = :c")
_AGE = text("UPDATE events SET at = now() - make_interval(secs => :ago) WHERE conversation_id = :c")


async def stuck(database: Database, conversation: UUID, *, silent: float, quiet: float, lease: float) -> int:
    """How many are stuck when the worker was silent, and the log stood still, for so many seconds."""
    async with database.begin() as connection:
        await connection.execute(_BEAT, {"ago": silent})
        await connection.execute(_AGE, {"ago": quiet, "c": conversation})
        return (await take_census(connection, lease_seconds=lease)).stuck


async def test_a_run_is_stuck_without_a_worker_or_without_events(tmp_path: Path) -> None:
    async with serve(tmp_path) as served:
        async with served.http() as http:
            conversation = UUID(await served.conversation(http))
            await served.say(str(conversation), "go")
        async with served.database.begin() as connection:
            assert (await take_census(connection)).stuck == 0
            worker = (await connection.execute(_WORKER)).scalar_one()
            await connection.execute(_TAKE, {"worker": worker, "c": conversation})
            await connection.execute(_RUN, {"c": conversation})
        minutes = 60.0
        cases = [
            (0, 0, 5, 0),
            (0, (QUIET_MINUTES - 1) * minutes, 5, 0),  # a long command
            (0, (QUIET_MINUTES + 1) * minutes, 5, 1),  # nothing takes so long
            (90, 90, 5, 1),  # lost, and nobody took it over
            (90, 30, 5, 0),  # somebody works on it after all
            (90, 90, 300, 0),  # within a long lease
            (700, 700, 300, 1),
        ]
        for silent, quiet, lease, expected in cases:
            found = await stuck(served.database, conversation, silent=silent, quiet=quiet, lease=lease)
            assert found == expected, (silent, quiet, lease)
        async with served.database.begin() as connection:
            await connection.execute(text("UPDATE procrastinate_jobs SET worker_id = NULL, status = 'todo'"))
        assert await stuck(served.database, conversation, silent=0, quiet=90, lease=5) == 1


@pytest.mark.parametrize("state", ["queued", "waiting"])
async def test_what_does_not_run_is_not_stuck(tmp_path: Path, state: str) -> None:
    async with serve(tmp_path) as served:
        async with served.http() as http:
            conversation = UUID(await served.conversation(http))
            await served.say(str(conversation), "go")
        async with served.database.begin() as connection:
            await connection.execute(
                text("UPDATE runs SET state = :s WHERE conversation_id = :c"), {"s": state, "c": conversation}
            )
        assert await stuck(served.database, conversation, silent=9_999, quiet=9_999, lease=5) == 0
