"""Postgres: tables, the log, admission, migrations, the embedded server.

Commits facts and answers questions about them; decides nothing about agents.
"""
