"""Samples: what each process did every few seconds, for two hours, without a word of anybody's work.

Not logged: a crash of the server empties the table, and every living process then puts its own back.

Revision ID: 0011
"""

from alembic import op
from sqlalchemy import Column
from sqlalchemy import types as t
from sqlalchemy.dialects.postgresql import UUID

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "samples",
        Column("process_id", UUID(as_uuid=True), primary_key=True, comment="new with each start"),
        Column("slot", t.DateTime(timezone=True), primary_key=True, comment="its end, a multiple of 15 s"),
        Column("totals", t.JSON, nullable=False, comment="what the charts need"),
        Column("detail", t.JSON, nullable=False, comment="counts by label, gauges, parts"),
        prefixes=["UNLOGGED"],
    )
    op.create_index("samples_slot_idx", "samples", ["slot"])


def downgrade() -> None:
    """Processes of this version look for the table."""
    raise RuntimeError("Schema 0011 cannot be taken back; restore a backup instead.")
