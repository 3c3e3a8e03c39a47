"""Backups of the embedded database and of the service's own workspaces, and their restoring.

A backup is a *base* (the whole database as it was at one moment, and the workspaces) and a *line*: the
database's log since then, received without a break. Together they give back any second. This room never
writes into a data directory that a service uses, replaces nothing without keeping what was there, and
deletes nothing that the promised time needs. The operator's own servers are none of its business.
"""
