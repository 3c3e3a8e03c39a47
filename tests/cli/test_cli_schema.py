"""A schema that this version does not know: every start is refused in one line, and the doctor tells."""

import re
from collections.abc import Iterator

import pytest
from sqlalchemy import make_url, text

from flynn.store.database import Database
from flynn.store.migrate import head
from tests.cli.conftest import Shell
from tests.house import prepare
from tests.postgres import TestDatabase, TestDatabases

pytestmark = pytest.mark.slow

SAID = re.compile(
    r"^flynn: The database has schema 9999, made by a newer version: this one \([\d.]+\) knows schemas up to "
    rf"{head()}\. Start the newer version again, or restore a backup from before the upgrade "
    r"\(docs/upgrade\.md\)\.$"
)


async def become(url: str, revision: str) -> None:
    database = Database(url, pool_size=1)
    async with database.begin() as connection:
        await connection.execute(text("UPDATE flynn_schema SET version_num = :r"), {"r": revision})
    await database.close()


@pytest.fixture
def postgres() -> Iterator[TestDatabase]:
    with TestDatabases.shared().new(prepare) as found:
        yield found


def address(postgres: TestDatabase) -> str:
    return make_url(postgres.dsn).set(drivername="postgresql").render_as_string(hide_password=False)


async def test_a_newer_schema_refuses_every_start(shell: Shell, postgres: TestDatabase) -> None:
    await become(postgres.url, "9999")
    for command in (("serve",), ("worker",), ("migrate",)):
        done = shell.flynn(*command, DATABASE_URL=address(postgres))
        assert done.returncode == 1, command
        assert SAID.match(done.stderr.strip().splitlines()[-1]), done.stderr
        assert "Traceback" not in done.stderr
    done = shell.flynn("doctor", DATABASE_URL=address(postgres))
    assert done.returncode == 1
    line, remedy = re.findall(
        r"^(?:failed  )?.*(?:schema 9999|Start the newer).*$", done.stdout, re.MULTILINE
    )
    assert line.startswith(
        "failed    database        PostgreSQL 16 of DATABASE_URL. The database has schema 9999"
    )
    assert remedy.strip().startswith("Start the newer version again, or restore a backup")


async def test_the_doctor_tells_of_an_older_schema_what_the_next_start_does(
    shell: Shell, postgres: TestDatabase
) -> None:
    await become(postgres.url, "0009")
    done = shell.flynn("doctor", DATABASE_URL=address(postgres))
    assert f"PostgreSQL 16 of DATABASE_URL, schema 0009; the next start brings it to {head()}" in done.stdout


def test_the_doctor_looks_into_the_embedded_database_too(shell: Shell) -> None:
    assert "embedded PostgreSQL 16, made at the first start" in shell.flynn("doctor").stdout
    assert shell.flynn("migrate").returncode == 0
    assert f"embedded PostgreSQL 16, schema {head()}\n" in shell.flynn("doctor").stdout
