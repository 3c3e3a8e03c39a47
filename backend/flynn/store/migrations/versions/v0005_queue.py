"""The queue: indexes for admission and the clock, the workers there are, and chores that run once.

Revision ID: 0005
"""

from alembic import op
from sqlalchemy import BigInteger, Column, DateTime, Integer, Text, text
from sqlalchemy.dialects.postgresql import UUID

revision = "0005"
down_revision = "0004"

_NOW = text("clock_timestamp()")


def upgrade() -> None:
    """Make the tables and indexes; runs that are open keep their priority."""
    op.create_index(
        "runs_due_idx",
        "runs",
        ["not_before"],
        postgresql_where=text("not_before IS NOT NULL AND state IN ('queued','waiting')"),
    )
    op.create_index("runs_queued_idx", "runs", ["principal_id"], postgresql_where=text("state = 'queued'"))
    op.create_table(
        "workers",
        Column("id", UUID(as_uuid=True), primary_key=True, comment="a worker process, while it runs"),
        Column("number", BigInteger, comment="its number in the queue's tables, while it has a lease"),
        Column("concurrency", Integer, nullable=False),
        Column("started_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
        Column("seen_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
    )
    op.create_table(
        "chores",
        Column("name", Text, primary_key=True),
        Column("next_at", DateTime(timezone=True), nullable=False, comment="the slot that is due next"),
        Column("done_at", DateTime(timezone=True)),
    )
    op.create_index("idempotency_keys_created_at_idx", "idempotency_keys", ["created_at"])


def downgrade() -> None:
    """Workers of this version look for the tables."""
    raise RuntimeError("Schema 0005 cannot be taken back; restore a backup instead.")
