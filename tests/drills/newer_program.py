"""The next version, as far as a database can see: this one with one migration more, which only adds."""

import os
import tempfile
from pathlib import Path

from alembic.config import Config

from flynn.cli.commands import main
from flynn.store import migrate

NEXT = "9001"
MIGRATION = '''"""The next version's.

Revision ID: {next}
"""

from alembic import op
from sqlalchemy import Column, Text

revision = "{next}"
down_revision = "{before}"


def upgrade() -> None:
    op.add_column("conversations", Column("mood", Text))
    op.create_table("moods", Column("name", Text, primary_key=True))
'''


def become_next(place: Path) -> None:
    """Know one migration more, written to `place`."""
    (place / "v9001_next.py").write_text(MIGRATION.format(next=NEXT, before=migrate.head()))
    own = migrate._config

    def config() -> Config:
        found = own()
        versions = Path(found.get_main_option("script_location") or "") / "versions"
        found.set_main_option("version_locations", os.pathsep.join(map(str, (versions, place))))
        return found

    migrate._config = config
    migrate.known.cache_clear()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="flynn-next-") as place:
        become_next(Path(place))
        main()
