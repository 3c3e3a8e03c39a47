"""Conversations have a permission mode.

Revision ID: 0003
"""

from alembic import op
from sqlalchemy import Column, Text

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column; conversations that are there keep the mode of their agent and operator."""
    op.add_column(
        "conversations",
        Column("permission_mode", Text, comment="as asked for last; null leaves it to agent and operator"),
    )
