"""Alembic's environment: it runs on the connection that flynn.store.migrate hands over."""

from alembic import context

from flynn.store.tables import metadata


def _ours(name: str | None, kind: str, _parents: object) -> bool:
    return not (kind == "table" and (name or "").startswith("procrastinate_"))


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    include_name=_ours,
    version_table="flynn_schema",
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
