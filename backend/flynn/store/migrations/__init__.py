"""Migrations of the schema, in order; run by flynn.store.migrate under an advisory lock."""
