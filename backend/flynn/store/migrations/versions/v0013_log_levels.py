"""Levels of the log that hold for all processes of the service.

Revision ID: 0013
"""

from alembic import op
from sqlalchemy import CheckConstraint, Column, text
from sqlalchemy import types as t

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "log_levels",
        Column("logger", t.Text, primary_key=True, comment="empty: all that have no row of their own"),
        Column("level", t.Text, nullable=False),
        Column("until", t.DateTime(timezone=True), comment="null: until it is taken back"),
        Column("set_at", t.DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
        Column("set_by", t.Text, nullable=False, comment="name of the principal"),
        CheckConstraint("level IN ('debug','info','warning','error')", name="log_levels_level_check"),
    )


def downgrade() -> None:
    """Processes of this version look for the table."""
    raise RuntimeError("Schema 0013 cannot be taken back; restore a backup instead.")
