"""Migrations only add: a process of the version before lives on the newer schema until it is replaced."""

import re
from importlib import resources
from io import StringIO

import pytest
from alembic.config import Config
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from flynn.store.migrate import VERSION_TABLE, known

EXPANDS = (
    r"CREATE (TABLE|UNLOGGED TABLE|SEQUENCE|INDEX|UNIQUE INDEX) .*",
    r"ALTER TABLE \w+ ADD COLUMN .*",
    r"ALTER TABLE \w+ ADD (CONSTRAINT \w+ (UNIQUE|CHECK)|FOREIGN KEY).*",
    r"ALTER TABLE \w+ ALTER COLUMN \w+ SET STORAGE .*",
    r"COMMENT ON .*",
    r"UPDATE (runs SET calls|flynn_schema SET version_num)\b.*",
)
"""What a migration may do so that a process of the version before can go on for the moments that it has left:
additions alone. A column that is added is empty or has a default."""

CONTRACTS = {
    "0002": ["ALTER TABLE workspaces DROP CONSTRAINT workspaces_path_key"],  # two volumes may hold one path
    "0009": ["DROP INDEX runs_admitted_idx"],  # made anew with a column more
}
"""What takes something away, and why nobody misses it."""


def statements(script: str) -> list[str]:
    """The statements of alembic's offline SQL, each on one line."""
    found = (
        re.sub(r"\s+", " ", re.sub(r"^--.*$", "", part, flags=re.MULTILINE)).strip()
        for part in script.split(";\n")
    )
    return [part.rstrip(";") for part in found if part and part not in ("BEGIN", "COMMIT")]


@pytest.mark.parametrize("number", sorted(known())[1:])
def test_a_migration_only_adds(number: str) -> None:
    """Each migration as SQL: what is neither an addition nor defended above fails."""
    said = StringIO()
    config = Config(output_buffer=said)
    config.set_main_option("script_location", str(resources.files("flynn.store") / "migrations"))
    config.set_main_option("path_separator", "os")
    script = ScriptDirectory.from_config(config)
    before = script.get_revision(number).down_revision

    def upgrade(rev: object, _context: object) -> object:
        return script._upgrade_revs(number, str(before))

    context = MigrationContext.configure(
        dialect_name="postgresql",
        opts={
            "as_sql": True,
            "output_buffer": said,
            "fn": upgrade,
            "starting_rev": before,
            "version_table": VERSION_TABLE,
        },
    )
    with Operations.context(context):
        context.run_migrations()
    found = statements(said.getvalue())
    taken = [s for s in found if not any(re.fullmatch(pattern, s) for pattern in EXPANDS)]
    assert taken == CONTRACTS.get(number, [])
    added = [s for s in found if " ADD COLUMN " in s]
    assert [s for s in added if "NOT NULL" in s and "DEFAULT" not in s] == []
    assert found
