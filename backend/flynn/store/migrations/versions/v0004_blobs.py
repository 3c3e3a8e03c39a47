"""Blobs: the bytes of images and documents, once a conversation.

Revision ID: 0004
"""

from alembic import op
from sqlalchemy import Column, ForeignKey, text
from sqlalchemy import types as t
from sqlalchemy.dialects.postgresql import UUID

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "blobs",
        Column("conversation_id", UUID(as_uuid=True), ForeignKey("conversations.id"), primary_key=True),
        Column("sha256", t.Text, primary_key=True, comment="of data, hexadecimal"),
        Column("media_type", t.Text, nullable=False),
        Column("data", t.LargeBinary, nullable=False),
        Column(
            "created_at", t.DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()")
        ),
    )
    # What is kept is compressed already; trying again costs time and wins nothing.
    op.execute("ALTER TABLE blobs ALTER COLUMN data SET STORAGE EXTERNAL")


def downgrade() -> None:
    """Conversations refer to what is in the table."""
    raise RuntimeError("Blobs cannot be taken away; restore a backup instead.")
