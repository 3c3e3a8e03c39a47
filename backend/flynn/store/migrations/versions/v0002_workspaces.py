"""Volumes: workspaces are stored as a volume and a path relative to its root.

Workspaces from before have no volume yet and keep their absolute path; the first process that starts and
has their directory takes them in.

Revision ID: 0002
"""

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, DateTime, ForeignKey, Integer, Text, text
from sqlalchemy.dialects.postgresql import UUID

revision = "0002"
down_revision = "0001"

_NOW = text("clock_timestamp()")
FIRST_UID = 20_000


def upgrade() -> None:
    """Add volumes, mounts, and what workspaces know of them."""
    op.create_table(
        "volumes",
        Column("id", UUID(as_uuid=True), primary_key=True),
        Column("root", Text, nullable=False, comment="where a worker last mounted it"),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
    )
    op.create_table(
        "mounts",
        Column("volume_id", UUID(as_uuid=True), ForeignKey("volumes.id"), primary_key=True),
        Column("worker_id", UUID(as_uuid=True), primary_key=True, comment="a worker process, while it runs"),
        Column("seen_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
    )
    op.add_column("workspaces", Column("volume_id", UUID(as_uuid=True), ForeignKey("volumes.id")))
    op.add_column("workspaces", Column("made", Boolean, nullable=False, server_default="false"))
    op.add_column("workspaces", Column("owner_uid", Integer))
    op.add_column("workspaces", Column("quota_bytes", BigInteger))
    op.add_column("workspaces", Column("created_by", UUID(as_uuid=True), ForeignKey("principals.id")))
    op.drop_constraint("workspaces_path_key", "workspaces")
    op.create_unique_constraint("workspaces_volume_id_path_key", "workspaces", ["volume_id", "path"])
    op.create_unique_constraint("workspaces_owner_uid_key", "workspaces", ["owner_uid"])
    op.execute(f"CREATE SEQUENCE workspace_uids AS integer START {FIRST_UID}")


def downgrade() -> None:
    """Paths of several volumes have no way back to one machine's."""
    raise RuntimeError("Schema 0002 cannot be taken back; restore a backup instead.")
