"""Budgets: what tasks may use together, what their runs have, and what principals spend in a day.

Revision ID: 0008
"""

from alembic import op
from sqlalchemy import BigInteger, CheckConstraint, Column, Date, DateTime, ForeignKey, Integer
from sqlalchemy.dialects.postgresql import UUID

revision = "0008"
down_revision = "0007"

_ID = UUID(as_uuid=True)

_BACKFILL = """
UPDATE runs SET calls = found.calls, tokens = found.tokens FROM (
  SELECT e.run_id,
    count(*) FILTER (
      WHERE e.type = 'step.completed' OR CAST(e.data ->> 'nanodollars' AS bigint) > 0) AS calls,
    coalesce(sum(
      CAST(e.data -> 'usage' ->> 'input' AS bigint) + CAST(e.data -> 'usage' ->> 'output' AS bigint)
      + CAST(e.data -> 'usage' ->> 'cache_read' AS bigint)
      + CAST(e.data -> 'usage' ->> 'cache_write_5m' AS bigint)
      + CAST(e.data -> 'usage' ->> 'cache_write_1h' AS bigint)), 0) AS tokens
  FROM events e JOIN tasks t ON t.conversation_id = e.conversation_id
  WHERE e.type IN ('step.completed', 'step.failed') GROUP BY e.run_id
) AS found WHERE runs.id = found.run_id"""


def upgrade() -> None:
    """Make tables and columns; how long the runs of before were at work is not known."""
    op.add_column("tasks", Column("limit_turns", Integer, comment="of all its runs together, as the next"))
    op.add_column("tasks", Column("limit_tokens", BigInteger))
    op.add_column("tasks", Column("limit_nanodollars", BigInteger))
    op.add_column("tasks", Column("limit_seconds", BigInteger))
    op.add_column(
        "runs",
        Column("calls", Integer, nullable=False, server_default="0", comment="model calls that were charged"),
    )
    op.add_column("runs", Column("tokens", BigInteger, nullable=False, server_default="0"))
    op.add_column(
        "runs",
        Column(
            "worked_ms",
            BigInteger,
            nullable=False,
            server_default="0",
            comment="at work, the present spell apart",
        ),
    )
    op.add_column("runs", Column("working_since", DateTime(timezone=True)))
    op.execute(_BACKFILL)
    op.create_table(
        "spending",
        Column("principal_id", _ID, ForeignKey("principals.id"), primary_key=True),
        Column("day", Date, primary_key=True, comment="UTC"),
        Column("reserved", BigInteger, nullable=False, comment="nano-dollars, for open calls"),
        Column("spent", BigInteger, nullable=False, comment="nano-dollars"),
        CheckConstraint("reserved >= 0 AND spent >= 0", name="spending_not_negative_check"),
    )
    op.create_table(
        "reservations",
        Column("conversation_id", _ID, ForeignKey("conversations.id"), primary_key=True),
        Column("principal_id", _ID, ForeignKey("principals.id"), nullable=False),
        Column("day", Date, nullable=False, comment="of which it was taken"),
        Column("nanodollars", BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Workers of this version look for the tables."""
    raise RuntimeError("Schema 0008 cannot be taken back; restore a backup instead.")
