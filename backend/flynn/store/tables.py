"""The tables, for queries and for the check that migrations and code agree. Names are plural nouns."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSON, JSONB, UUID

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    }
)

_NOW = text("clock_timestamp()")


def _id() -> Column[object]:
    return Column("id", UUID(as_uuid=True), primary_key=True)


def _at(name: str, *, nullable: bool = True) -> Column[object]:
    default = None if nullable else _NOW
    return Column(name, DateTime(timezone=True), nullable=nullable, server_default=default)


principals = Table(
    "principals",
    metadata,
    _id(),
    Column("name", Text, nullable=False, unique=True),
    _at("created_at", nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    _id(),
    Column("principal_id", UUID(as_uuid=True), ForeignKey("principals.id"), nullable=False),
    Column("digest", Text, nullable=False, unique=True, comment="sha256 of the key, hexadecimal"),
    Column("hint", Text, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    _at("created_at", nullable=False),
    _at("last_used_at"),
    _at("revoked_at"),
)

volumes = Table(
    "volumes",
    metadata,
    _id(),
    Column("root", Text, nullable=False, comment="where a worker last mounted it"),
    _at("created_at", nullable=False),
)

mounts = Table(
    "mounts",
    metadata,
    Column("volume_id", UUID(as_uuid=True), ForeignKey("volumes.id"), primary_key=True),
    Column("worker_id", UUID(as_uuid=True), primary_key=True, comment="a worker process, while it runs"),
    _at("seen_at", nullable=False),
)

workers = Table(
    "workers",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True, comment="a worker process, while it runs"),
    Column("number", BigInteger, comment="its number in the queue's tables, while it has a lease"),
    Column("concurrency", Integer, nullable=False),
    _at("started_at", nullable=False),
    _at("seen_at", nullable=False),
)

chores = Table(
    "chores",
    metadata,
    Column("name", Text, primary_key=True),
    Column("next_at", DateTime(timezone=True), nullable=False, comment="the slot that is due next"),
    _at("done_at"),
)

workspaces = Table(
    "workspaces",
    metadata,
    _id(),
    Column("name", Text, nullable=False, unique=True),
    Column("path", Text, nullable=False),
    _at("created_at", nullable=False),
    Column("volume_id", UUID(as_uuid=True), ForeignKey("volumes.id")),
    Column("made", Boolean, nullable=False, server_default="false"),
    Column("owner_uid", Integer, unique=True),
    Column("quota_bytes", BigInteger),
    Column("created_by", UUID(as_uuid=True), ForeignKey("principals.id")),
    UniqueConstraint("volume_id", "path"),
)

workspace_members = Table(
    "workspace_members",
    metadata,
    Column("workspace_id", UUID(as_uuid=True), ForeignKey("workspaces.id"), primary_key=True),
    Column("principal_id", UUID(as_uuid=True), ForeignKey("principals.id"), primary_key=True),
)

prefixes = Table(
    "prefixes",
    metadata,
    Column("digest", Text, primary_key=True, comment="sha256 of body"),
    Column("body", JSON, nullable=False, comment="system blocks, tool definitions, model, effort"),
    _at("created_at", nullable=False),
)

conversations = Table(
    "conversations",
    metadata,
    _id(),
    Column("principal_id", UUID(as_uuid=True), ForeignKey("principals.id"), nullable=False),
    Column("workspace_id", UUID(as_uuid=True), ForeignKey("workspaces.id"), nullable=False),
    Column("title", Text),
    Column("agent", Text, nullable=False),
    Column("agent_version", Text, nullable=False),
    Column("prefix_digest", Text, ForeignKey("prefixes.digest"), comment="frozen at the first model call"),
    Column("permission_mode", Text, comment="as asked for last; null leaves it to agent and operator"),
    Column("head", BigInteger, nullable=False, server_default="0", comment="seq of the last event"),
    Column("epoch", BigInteger, nullable=False, server_default="0", comment="raised by every claim"),
    _at("created_at", nullable=False),
    Index("conversations_workspace_id_idx", "workspace_id", "created_at", "id"),
    Index("conversations_principal_id_idx", "principal_id", "created_at", "id"),
)

events = Table(
    "events",
    metadata,
    Column("conversation_id", UUID(as_uuid=True), ForeignKey("conversations.id"), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("type", Text, nullable=False),
    Column("run_id", UUID(as_uuid=True)),
    Column("at", DateTime(timezone=True), nullable=False, server_default=_NOW),
    Column("data", JSON, nullable=False),
    CheckConstraint("seq > 0", name="seq"),
    Index(
        "events_undo_idx",
        "conversation_id",
        "seq",
        postgresql_where=text("type IN ('undo.requested', 'workspace.reverted')"),
    ),
    Index(
        "events_changes_idx",
        "conversation_id",
        "seq",
        postgresql_where=text("type IN ('workspace.changed', 'workspace.reverted')"),
    ),
)

runs = Table(
    "runs",
    metadata,
    _id(),
    Column("conversation_id", UUID(as_uuid=True), ForeignKey("conversations.id"), nullable=False),
    Column("workspace_id", UUID(as_uuid=True), ForeignKey("workspaces.id"), nullable=False),
    Column("principal_id", UUID(as_uuid=True), ForeignKey("principals.id"), nullable=False),
    Column("kind", Text, nullable=False, server_default="agent"),
    Column(
        "lane",
        Text,
        nullable=False,
        server_default="",
        comment="the branch of a checkout of its own; empty: the workspace itself",
    ),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("detail", Text),
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("resume", Boolean, nullable=False, server_default="false"),
    Column("not_before", DateTime(timezone=True)),
    Column("after", ARRAY(UUID(as_uuid=True)), comment="held until these tasks are over"),
    Column("deadline", DateTime(timezone=True), comment="stopped then; null once it is"),
    Column("job_id", BigInteger, comment="holds its slots while not null"),
    Column("lost", Integer, nullable=False, server_default="0", comment="workers lost under it"),
    Column("turns", Integer, nullable=False, server_default="0"),
    Column("nanodollars", BigInteger, nullable=False, server_default="0"),
    Column("calls", Integer, nullable=False, server_default="0", comment="model calls that were charged"),
    Column("tokens", BigInteger, nullable=False, server_default="0"),
    Column(
        "worked_ms",
        BigInteger,
        nullable=False,
        server_default="0",
        comment="at work, the present spell apart",
    ),
    _at("working_since"),
    Column("limit_turns", Integer, nullable=False),
    Column("limit_nanodollars", BigInteger, nullable=False),
    Column("limit_prompt_tokens", Integer, nullable=False),
    _at("created_at", nullable=False),
    _at("queued_at", nullable=False),
    _at("started_at"),
    _at("ended_at"),
    CheckConstraint("state IN ('queued','running','waiting','completed','failed','cancelled')", name="state"),
    CheckConstraint("kind IN ('agent','undo')", name="kind"),
    Index(
        "runs_one_open_idx",
        "conversation_id",
        unique=True,
        postgresql_where=text("state IN ('queued','running','waiting')"),
    ),
    Index("runs_conversation_id_idx", "conversation_id", "created_at"),
    Index(
        "runs_admitted_idx",
        "workspace_id",
        "lane",
        "principal_id",
        postgresql_where=text("job_id IS NOT NULL"),
    ),
    Index(
        "runs_due_idx",
        "not_before",
        postgresql_where=text("not_before IS NOT NULL AND state IN ('queued','waiting')"),
    ),
    Index("runs_held_idx", "id", postgresql_where=text("after IS NOT NULL")),
    Index("runs_deadline_idx", "deadline", postgresql_where=text("deadline IS NOT NULL")),
    Index("runs_queued_idx", "principal_id", postgresql_where=text("state = 'queued'")),
    Index("runs_open_idx", "state", "queued_at", postgresql_where=text("state IN ('queued','waiting')")),
)

tasks = Table(
    "tasks",
    metadata,
    _id(),
    Column(
        "conversation_id", UUID(as_uuid=True), ForeignKey("conversations.id"), nullable=False, unique=True
    ),
    Column("principal_id", UUID(as_uuid=True), ForeignKey("principals.id"), nullable=False),
    Column("title", Text),
    Column("instructions", Text, nullable=False),
    Column("report", JSON),
    Column("after", ARRAY(UUID(as_uuid=True)), comment="tasks that it comes after"),
    Column("after_failed", Text, comment="what it does when one of them failed"),
    Column("acceptance_criteria", ARRAY(Text)),
    Column("context", JSON, comment="files, links, earlier tasks"),
    Column("deadline", DateTime(timezone=True)),
    Column("limit_turns", Integer, comment="of all its runs together, as the next"),
    Column("limit_tokens", BigInteger),
    Column("limit_nanodollars", BigInteger),
    Column("limit_seconds", BigInteger),
    Column("checkout", Text, nullable=False, server_default="workspace", comment="own, or workspace"),
    Column("branch", Text, comment="where its commits go; null without a checkout of its own"),
    _at("created_at", nullable=False),
    CheckConstraint("checkout IN ('own','workspace')", name="checkout"),
    Index("tasks_created_at_idx", "created_at", "id"),
)

callbacks = Table(
    "callbacks",
    metadata,
    Column("task_id", UUID(as_uuid=True), ForeignKey("tasks.id"), primary_key=True),
    Column(
        "conversation_id", UUID(as_uuid=True), ForeignKey("conversations.id"), nullable=False, unique=True
    ),
    Column("principal_id", UUID(as_uuid=True), ForeignKey("principals.id"), nullable=False),
    Column("url", Text, nullable=False),
    Column("events", ARRAY(Text), nullable=False),
    Column("secret", Text, nullable=False, comment="signs with it, so it is kept as it is"),
    Column("made_here", Boolean, nullable=False, comment="whether the secret is, so that it was shown"),
    Column("delivered_seq", BigInteger, nullable=False, server_default="0"),
    Column("attempts", Integer, nullable=False, server_default="0", comment="failed, at the next event"),
    _at("failing_since"),
    Column("last_error", Text),
    _at("last_attempt_at"),
    Column("next_at", DateTime(timezone=True), comment="null while there is nothing to deliver"),
    _at("dead_at"),
    Column("lease_id", UUID(as_uuid=True), comment="of the round that delivers now"),
    _at("leased_until"),
    _at("created_at", nullable=False),
    Index("callbacks_next_at_idx", "next_at", postgresql_where=text("next_at IS NOT NULL")),
    Index("callbacks_leased_idx", "principal_id", postgresql_where=text("lease_id IS NOT NULL")),
    Index("callbacks_created_at_idx", "created_at", "task_id"),
)

spending = Table(
    "spending",
    metadata,
    Column("principal_id", UUID(as_uuid=True), ForeignKey("principals.id"), primary_key=True),
    Column("day", Date, primary_key=True, comment="UTC"),
    Column("reserved", BigInteger, nullable=False, comment="nano-dollars, for open calls"),
    Column("spent", BigInteger, nullable=False, comment="nano-dollars"),
    CheckConstraint("reserved >= 0 AND spent >= 0", name="not_negative"),
)

reservations = Table(
    "reservations",
    metadata,
    Column("conversation_id", UUID(as_uuid=True), ForeignKey("conversations.id"), primary_key=True),
    Column("principal_id", UUID(as_uuid=True), ForeignKey("principals.id"), nullable=False),
    Column("day", Date, nullable=False, comment="of which it was taken"),
    Column("nanodollars", BigInteger, nullable=False),
)

blobs = Table(
    "blobs",
    metadata,
    Column("conversation_id", UUID(as_uuid=True), ForeignKey("conversations.id"), primary_key=True),
    Column("sha256", Text, primary_key=True, comment="of data, hexadecimal"),
    Column("media_type", Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
    _at("created_at", nullable=False),
)

originals = Table(
    "originals",
    metadata,
    Column("conversation_id", UUID(as_uuid=True), ForeignKey("conversations.id"), primary_key=True),
    Column("sha256", Text, primary_key=True, comment="of data, hexadecimal"),
    Column("data", LargeBinary, nullable=False, comment="may hold secrets: for undo alone"),
    _at("kept_at", nullable=False),
    Index("originals_kept_at_idx", "kept_at"),
)

differences = Table(
    "differences",
    metadata,
    Column("conversation_id", UUID(as_uuid=True), ForeignKey("conversations.id"), primary_key=True),
    Column("seq", BigInteger, primary_key=True, comment="of the event that tells of it; 0: of all together"),
    Column("until_seq", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False, comment="text/x-diff, without secrets"),
    Column("cut", Boolean, nullable=False),
    _at("created_at", nullable=False),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("principal_id", UUID(as_uuid=True), ForeignKey("principals.id"), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("digest", Text, nullable=False, comment="sha256 of the body that was first sent with it"),
    Column("task_id", UUID(as_uuid=True), nullable=False),
    _at("created_at", nullable=False),
    Index("idempotency_keys_created_at_idx", "created_at"),
)

client_messages = Table(
    "client_messages",
    metadata,
    Column("conversation_id", UUID(as_uuid=True), ForeignKey("conversations.id"), primary_key=True),
    Column("client_message_id", Text, primary_key=True),
    Column("message_id", UUID(as_uuid=True), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("digest", Text, nullable=False, comment="sha256 of the text that was first sent with it"),
)

alerts = Table(
    "alerts",
    metadata,
    Column("key", Text, primary_key=True, comment="what is wrong, and where"),
    Column("id", UUID(as_uuid=True), nullable=False, comment="of this time that it fires"),
    Column("since", DateTime(timezone=True), nullable=False),
    Column("value", Double),
    Column("view", Text, nullable=False, comment="JSON, as the first who saw it wrote it"),
    Column("holders", JSONB, nullable=False, comment="when each process last said so, by its name"),
    Column("told", Boolean, nullable=False, server_default=text("false")),
    Column("telling_until", DateTime(timezone=True)),
)
