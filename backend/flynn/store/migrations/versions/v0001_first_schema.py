"""The first schema: conversations and their log, runs, tasks, keys, workspaces; the queue engine's own.

Revision ID: 0001
"""

from alembic import op
from sqlalchemy import CheckConstraint, Column, ForeignKey, text
from sqlalchemy import types as t
from sqlalchemy.dialects.postgresql import ARRAY, JSON, UUID

revision = "0001"
down_revision = None

_NOW = text("clock_timestamp()")


def _id(name: str = "id", *, key: bool = False, to: str | None = None, null: bool = False) -> Column[object]:
    foreign = [ForeignKey(f"{to}.id")] if to else []
    return Column(name, UUID(as_uuid=True), *foreign, primary_key=key, nullable=null)


def _text(name: str, *, null: bool = False, key: bool = False, comment: str | None = None) -> Column[str]:
    return Column(name, t.Text, nullable=null, primary_key=key, comment=comment)


def _at(name: str, *, null: bool = True) -> Column[object]:
    return Column(name, t.DateTime(timezone=True), nullable=null, server_default=None if null else _NOW)


def upgrade() -> None:
    """Make every table of the first release."""
    op.create_table("principals", _id(key=True), _text("name"), _at("created_at", null=False))
    op.create_unique_constraint("principals_name_key", "principals", ["name"])
    op.create_table(
        "api_keys",
        _id(key=True),
        _id("principal_id", to="principals"),
        _text("digest", comment="sha256 of the key, hexadecimal"),
        _text("hint"),
        Column("scopes", ARRAY(t.Text), nullable=False),
        _at("created_at", null=False),
        _at("last_used_at"),
        _at("revoked_at"),
    )
    op.create_unique_constraint("api_keys_digest_key", "api_keys", ["digest"])
    op.create_table("workspaces", _id(key=True), _text("name"), _text("path"), _at("created_at", null=False))
    op.create_unique_constraint("workspaces_name_key", "workspaces", ["name"])
    op.create_unique_constraint("workspaces_path_key", "workspaces", ["path"])
    op.create_table(
        "workspace_members",
        _id("workspace_id", key=True, to="workspaces"),
        _id("principal_id", key=True, to="principals"),
    )
    op.create_table(
        "prefixes",
        _text("digest", key=True, comment="sha256 of body"),
        Column("body", JSON, nullable=False, comment="system blocks, tool definitions, model, effort"),
        _at("created_at", null=False),
    )
    op.create_table(
        "conversations",
        _id(key=True),
        _id("principal_id", to="principals"),
        _id("workspace_id", to="workspaces"),
        _text("title", null=True),
        _text("agent"),
        _text("agent_version"),
        Column(
            "prefix_digest",
            t.Text,
            ForeignKey("prefixes.digest"),
            comment="frozen at the first model call",
        ),
        Column("head", t.BigInteger, nullable=False, server_default="0", comment="seq of the last event"),
        Column("epoch", t.BigInteger, nullable=False, server_default="0", comment="raised by every claim"),
        _at("created_at", null=False),
    )
    op.create_index("conversations_workspace_id_idx", "conversations", ["workspace_id", "created_at", "id"])
    op.create_index("conversations_principal_id_idx", "conversations", ["principal_id", "created_at", "id"])
    op.create_table(
        "events",
        _id("conversation_id", key=True, to="conversations"),
        Column("seq", t.BigInteger, primary_key=True),
        _text("type"),
        _id("run_id", null=True),
        _at("at", null=False),
        Column("data", JSON, nullable=False),
        CheckConstraint("seq > 0", name="events_seq_check"),
    )
    op.create_table(
        "runs",
        _id(key=True),
        _id("conversation_id", to="conversations"),
        _id("workspace_id", to="workspaces"),
        _id("principal_id", to="principals"),
        _text("state"),
        _text("reason", null=True),
        _text("detail", null=True),
        Column("priority", t.Integer, nullable=False, server_default="0"),
        Column("resume", t.Boolean, nullable=False, server_default="false"),
        _at("not_before"),
        Column("job_id", t.BigInteger, comment="holds its slots while not null"),
        Column("lost", t.Integer, nullable=False, server_default="0", comment="workers lost under it"),
        Column("turns", t.Integer, nullable=False, server_default="0"),
        Column("nanodollars", t.BigInteger, nullable=False, server_default="0"),
        Column("limit_turns", t.Integer, nullable=False),
        Column("limit_nanodollars", t.BigInteger, nullable=False),
        Column("limit_prompt_tokens", t.Integer, nullable=False),
        _at("created_at", null=False),
        _at("queued_at", null=False),
        _at("started_at"),
        _at("ended_at"),
        CheckConstraint(
            "state IN ('queued','running','waiting','completed','failed','cancelled')",
            name="runs_state_check",
        ),
    )
    op.create_index(
        "runs_one_open_idx",
        "runs",
        ["conversation_id"],
        unique=True,
        postgresql_where=text("state IN ('queued','running','waiting')"),
    )
    op.create_index("runs_conversation_id_idx", "runs", ["conversation_id", "created_at"])
    op.create_index(
        "runs_admitted_idx",
        "runs",
        ["workspace_id", "principal_id"],
        postgresql_where=text("job_id IS NOT NULL"),
    )
    op.create_index(
        "runs_open_idx",
        "runs",
        ["state", "queued_at"],
        postgresql_where=text("state IN ('queued','waiting')"),
    )
    op.create_table(
        "tasks",
        _id(key=True),
        _id("conversation_id", to="conversations"),
        _id("principal_id", to="principals"),
        _text("title", null=True),
        _text("instructions"),
        Column("report", JSON),
        _at("created_at", null=False),
    )
    op.create_unique_constraint("tasks_conversation_id_key", "tasks", ["conversation_id"])
    op.create_index("tasks_created_at_idx", "tasks", ["created_at", "id"])
    op.create_table(
        "idempotency_keys",
        _id("principal_id", key=True, to="principals"),
        _text("key", key=True),
        _text("digest", comment="sha256 of the body that was first sent with it"),
        _id("task_id"),
        _at("created_at", null=False),
    )
    op.create_table(
        "client_messages",
        _id("conversation_id", key=True, to="conversations"),
        _text("client_message_id", key=True),
        _id("message_id"),
        Column("seq", t.BigInteger, nullable=False),
        _text("digest", comment="sha256 of the text that was first sent with it"),
    )


def downgrade() -> None:
    """There is nothing before the first release."""
    raise RuntimeError("There is no schema before 0001; restore a backup instead.")
