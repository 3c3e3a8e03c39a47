"""Delegation: callbacks and how far each has been, tasks that come after others, deadlines, context.

Revision ID: 0007
"""

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Integer,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSON, UUID

revision = "0007"
down_revision = "0006"

_ID = UUID(as_uuid=True)
_NOW = text("clock_timestamp()")
_TIME = DateTime(timezone=True)


def upgrade() -> None:
    """Make the table and columns; tasks of before have none of it."""
    op.add_column("tasks", Column("after", ARRAY(_ID), comment="tasks that it comes after"))
    op.add_column("tasks", Column("after_failed", Text, comment="what it does when one of them failed"))
    op.add_column("tasks", Column("acceptance_criteria", ARRAY(Text)))
    op.add_column("tasks", Column("context", JSON, comment="files, links, earlier tasks"))
    op.add_column("tasks", Column("deadline", _TIME))
    op.add_column("runs", Column("after", ARRAY(_ID), comment="held until these tasks are over"))
    op.add_column("runs", Column("deadline", _TIME, comment="stopped then; null once it is"))
    op.create_index("runs_held_idx", "runs", ["id"], postgresql_where=text("after IS NOT NULL"))
    op.create_index("runs_deadline_idx", "runs", ["deadline"], postgresql_where=text("deadline IS NOT NULL"))
    op.create_table(
        "callbacks",
        Column("task_id", _ID, ForeignKey("tasks.id"), primary_key=True),
        Column("conversation_id", _ID, ForeignKey("conversations.id"), nullable=False),
        Column("principal_id", _ID, ForeignKey("principals.id"), nullable=False),
        Column("url", Text, nullable=False),
        Column("events", ARRAY(Text), nullable=False),
        Column("secret", Text, nullable=False, comment="signs with it, so it is kept as it is"),
        Column("made_here", Boolean, nullable=False, comment="whether the secret is, so that it was shown"),
        Column("delivered_seq", BigInteger, nullable=False, server_default="0"),
        Column("attempts", Integer, nullable=False, server_default="0", comment="failed, at the next event"),
        Column("failing_since", _TIME),
        Column("last_error", Text),
        Column("last_attempt_at", _TIME),
        Column("next_at", _TIME, comment="null while there is nothing to deliver"),
        Column("dead_at", _TIME),
        Column("lease_id", _ID, comment="of the round that delivers now"),
        Column("leased_until", _TIME),
        Column("created_at", _TIME, nullable=False, server_default=_NOW),
        UniqueConstraint("conversation_id", name="callbacks_conversation_id_key"),
    )
    op.create_index(
        "callbacks_next_at_idx", "callbacks", ["next_at"], postgresql_where=text("next_at IS NOT NULL")
    )
    op.create_index(
        "callbacks_leased_idx", "callbacks", ["principal_id"], postgresql_where=text("lease_id IS NOT NULL")
    )
    op.create_index("callbacks_created_at_idx", "callbacks", ["created_at", "task_id"])


def downgrade() -> None:
    """Workers of this version look for the table."""
    raise RuntimeError("Schema 0007 cannot be taken back; restore a backup instead.")
