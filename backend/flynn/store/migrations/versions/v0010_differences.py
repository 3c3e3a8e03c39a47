"""Differences: what calls changed in files, as text, and an index to find the events that tell of it.

Revision ID: 0010
"""

from alembic import op
from sqlalchemy import Column, ForeignKey, text
from sqlalchemy import types as t
from sqlalchemy.dialects.postgresql import UUID

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Make the table and the index."""
    op.create_table(
        "differences",
        Column("conversation_id", UUID(as_uuid=True), ForeignKey("conversations.id"), primary_key=True),
        Column(
            "seq", t.BigInteger, primary_key=True, comment="of the event that tells of it; 0: of all together"
        ),
        Column("until_seq", t.BigInteger, nullable=False),
        Column("data", t.LargeBinary, nullable=False, comment="text/x-diff, without secrets"),
        Column("cut", t.Boolean, nullable=False),
        Column(
            "created_at", t.DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()")
        ),
    )
    op.create_index(
        "events_changes_idx",
        "events",
        ["conversation_id", "seq"],
        postgresql_where=text("type IN ('workspace.changed', 'workspace.reverted')"),
    )


def downgrade() -> None:
    """Workers of this version look for the table."""
    raise RuntimeError("Schema 0010 cannot be taken back; restore a backup instead.")
