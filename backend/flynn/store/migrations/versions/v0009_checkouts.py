"""Checkouts of their own: the branch of a task, and the lane of a workspace that a run takes.

Revision ID: 0009
"""

from alembic import op
from sqlalchemy import Column, Text, text

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Tasks and runs of before work in the workspace itself, as they did."""
    op.add_column(
        "tasks",
        Column("checkout", Text, nullable=False, server_default="workspace", comment="own, or workspace"),
    )
    op.add_column(
        "tasks",
        Column("branch", Text, comment="where its commits go; null without a checkout of its own"),
    )
    op.create_check_constraint("checkout", "tasks", "checkout IN ('own','workspace')")
    op.add_column(
        "runs",
        Column(
            "lane",
            Text,
            nullable=False,
            server_default="",
            comment="the branch of a checkout of its own; empty: the workspace itself",
        ),
    )
    op.drop_index("runs_admitted_idx", "runs")
    op.create_index(
        "runs_admitted_idx",
        "runs",
        ["workspace_id", "lane", "principal_id"],
        postgresql_where=text("job_id IS NOT NULL"),
    )


def downgrade() -> None:
    """Workers of this version look for the columns."""
    raise RuntimeError("Schema 0009 cannot be taken back; restore a backup instead.")
