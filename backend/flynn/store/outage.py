"""Tells a database that is away from a statement that is wrong."""

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

OUTAGES = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, SQLAlchemyError)
"""Whatever a database that is away can raise, among other things."""

_CLASSES = ("08", "53", "57")
"""SQLSTATE classes: connection exception, insufficient resources, operator intervention."""


def is_outage(error: BaseException) -> bool:
    """Whether `error` says that the database cannot be reached now, so that trying again makes sense."""
    match error:
        case DBAPIError():
            state = str(getattr(error.orig, "sqlstate", None) or "")
            return (
                error.connection_invalidated
                or isinstance(error, OperationalError | InterfaceError)
                or state.startswith(_CLASSES)
            )
        case asyncpg.PostgresError():
            return (error.sqlstate or "").startswith(_CLASSES)
        case OSError() | PoolTimeout() | asyncpg.InterfaceError():
            return True
        case _:
            return False
