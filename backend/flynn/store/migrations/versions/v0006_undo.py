"""Undo: what files held before calls changed them, runs that undo, and an index to find both in the log.

Revision ID: 0006
"""

from alembic import op
from sqlalchemy import Column, ForeignKey, text
from sqlalchemy import types as t
from sqlalchemy.dialects.postgresql import UUID

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make table, column and index; all runs so far were the agent's."""
    op.create_table(
        "originals",
        Column("conversation_id", UUID(as_uuid=True), ForeignKey("conversations.id"), primary_key=True),
        Column("sha256", t.Text, primary_key=True, comment="of data, hexadecimal"),
        Column("data", t.LargeBinary, nullable=False, comment="may hold secrets: for undo alone"),
        Column(
            "kept_at", t.DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()")
        ),
    )
    op.create_index("originals_kept_at_idx", "originals", ["kept_at"])
    op.add_column("runs", Column("kind", t.Text, nullable=False, server_default="agent"))
    op.create_check_constraint("kind", "runs", "kind IN ('agent','undo')")
    op.create_index(
        "events_undo_idx",
        "events",
        ["conversation_id", "seq"],
        postgresql_where=text("type IN ('undo.requested', 'workspace.reverted')"),
    )


def downgrade() -> None:
    """Workers of this version look for the table."""
    raise RuntimeError("Schema 0006 cannot be taken back; restore a backup instead.")
