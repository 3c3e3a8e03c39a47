"""Alerts: what fires, which processes see it, and whether it was told.

Revision ID: 0012
"""

from alembic import op
from sqlalchemy import Column, text
from sqlalchemy import types as t
from sqlalchemy.dialects.postgresql import JSONB, UUID

revision = "0012"
down_revision = "0010"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "alerts",
        Column("key", t.Text, primary_key=True, comment="what is wrong, and where"),
        Column("id", UUID(as_uuid=True), nullable=False, comment="of this time that it fires"),
        Column("since", t.DateTime(timezone=True), nullable=False),
        Column("value", t.Double),
        Column("view", t.Text, nullable=False, comment="JSON, as the first who saw it wrote it"),
        Column("holders", JSONB, nullable=False, comment="when each process last said so, by its name"),
        Column("told", t.Boolean, nullable=False, server_default=text("false")),
        Column("telling_until", t.DateTime(timezone=True)),
    )


def downgrade() -> None:
    """Processes of this version look for the table."""
    raise RuntimeError("Schema 0012 cannot be taken back; restore a backup instead.")
