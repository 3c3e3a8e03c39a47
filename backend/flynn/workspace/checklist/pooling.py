"""Database connections: pooled, and fewer than a hundred an instance."""

import re
from collections.abc import Iterator

from flynn.domain.checklist import ChecklistItem, Proof, failed, passed, undecided
from flynn.workspace.checklist.look import Look
from flynn.workspace.checklist.traces import Trace, traces

MOST_CONNECTIONS = 100
"""Of one instance: the team's requirement."""

_ENGINE = re.compile(r"\b(?:create_engine|create_async_engine)\s*\(")
_POOLS = re.compile(
    r"\basyncpg\.create_pool\s*\(|\b(?:Async)?ConnectionPool\s*\(|\bnew\s+(?:pg\.)?Pool\s*\(|createPool\s*\(|"
    r"pgxpool\.New|SetMaxOpenConns\s*\(|HikariConfig|\bPgPoolOptions\b|\bAsyncMongoClient\s*\(|\bMongoClient\s*\("
)
_SINGLE = re.compile(
    r"\basyncpg\.connect\s*\(|\bpsycopg2?\.connect\s*\(|\bAsyncConnection\.connect\s*\(|\bpymysql\.connect\s*\(|"
    r"\bMySQLdb\.connect\s*\(|\bnew\s+(?:pg\.)?Client\s*\(\s*\{?.*(?:connectionString|database)|createConnection\s*\("
)
_HINTS = ("create_engine", "create_async_engine")
_POOL_HINTS = ("Pool", "pool", "SetMaxOpenConns", "Hikari", "MongoClient")
_SINGLE_HINTS = (".connect(", "Client(", "createConnection")
_CALL = 2_000
"""Characters of a call that are looked at."""
_NUMBER = {
    name: re.compile(rf"\b{name}\s*=\s*(\d[\d_]*)")
    for name in ("pool_size", "max_overflow", "max_size", "max")
}


def pooled_connections(look: Look) -> ChecklistItem:
    """SQLAlchemy pools unless it is told not to; other drivers only when a pool is made."""
    return ChecklistItem.of("pooling", "Database connections are pooled", list(_proofs(look)))


def _proofs(look: Look) -> Iterator[Proof]:
    found = False
    for trace in traces(look.sources, look.code, _ENGINE, _HINTS):
        if re.match(r"(?:from|import|def|async def)\b", trace.text) or "migration" in trace.path:
            continue
        found = True
        yield _of_engine(trace, look)
    for trace in traces(look.sources, look.code, _POOLS, _POOL_HINTS):
        found = True
        yield passed("Connections come from a pool.", trace.path, trace.line)
    if found:
        return
    for trace in traces(look.sources, look.code, _SINGLE, _SINGLE_HINTS):
        found = True
        why = "A connection is opened here, and nothing pools connections."
        yield look.lacking(why, trace.path, trace.line, "code")
    if not found:
        yield undecided("No code here opens a connection to a database in a way that is known.")


def _of_engine(trace: Trace, look: Look) -> Proof:
    call = "\n".join(look.sources.lines(trace.path)[trace.line - 1 : trace.line + 30])[:_CALL]
    call = _balanced(call)
    if "NullPool" in call:
        return failed("NullPool opens a connection for every use.", trace.path, trace.line)
    size, overflow = _number("pool_size", call, 5), _number("max_overflow", call, 10)
    if size is None or overflow is None:
        return passed("SQLAlchemy pools connections; settings say how many.", trace.path, trace.line)
    if size + overflow > MOST_CONNECTIONS:
        return failed(
            f"The pool may open {size + overflow} connections; an instance is to have at most "
            f"{MOST_CONNECTIONS}.",
            trace.path,
            trace.line,
        )
    return passed(f"The pool opens at most {size + overflow} connections.", trace.path, trace.line)


def _number(name: str, call: str, default: int) -> int | None:
    """A number that is given in the call, its default where it is not named, None where it is no number."""
    found = _NUMBER[name].search(call)
    if found is not None:
        return int(found[1].replace("_", ""))
    return None if re.search(rf"\b{name}\s*=", call) else default


def _balanced(call: str) -> str:
    """The text up to the parenthesis that closes the first one."""
    depth = 0
    for place, character in enumerate(call):
        depth += (character == "(") - (character == ")")
        if character == ")" and depth == 0:
            return call[: place + 1]
    return call
