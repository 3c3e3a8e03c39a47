"""Whether a restored database is sound: every row is read, indexes are checked, the log has no gaps."""

from dataclasses import dataclass

import asyncpg

from flynn.domain.errors import FlynnError

_TABLES = """
SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname NOT LIKE 'pg\\_%'
  AND n.nspname <> 'information_schema' ORDER BY 1, 2"""
_INDEXES = """
SELECT i.indexrelid::regclass::text AS name, i.indexrelid AS id FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
WHERE a.amname = 'btree' AND c.relkind = 'i' AND c.relpersistence = 'p' AND i.indisready AND i.indisvalid
ORDER BY 1"""
_AMCHECK = "SELECT EXISTS (SELECT 1 FROM pg_available_extensions WHERE name = 'amcheck')"
_ABOUT = """
SELECT indrelid::regclass::text AS place, pg_get_expr(indpred, indrelid) AS condition,
  pg_get_indexdef(indexrelid, 1, true) AS first,
  (SELECT string_agg(pg_get_indexdef(indexrelid, n, true), ', ' ORDER BY n)
   FROM generate_series(1, indnkeyatts) AS n) AS keys
FROM pg_index WHERE indexrelid = $1"""
_HIDE_OTHERS = """
UPDATE pg_index SET indisvalid = false
WHERE indexrelid <> $1 AND indrelid = (SELECT indrelid FROM pg_index WHERE indexrelid = $1)"""
_GAPS = """
SELECT c.id::text FROM conversations c LEFT JOIN LATERAL (
  SELECT count(*) AS events, max(seq) AS last, min(seq) AS first FROM events e WHERE e.conversation_id = c.id
) e ON true
WHERE c.head <> e.events OR (e.events > 0 AND (e.last <> c.head OR e.first <> 1)) LIMIT 5"""
_ORPHANS = """
SELECT e.conversation_id::text FROM events e LEFT JOIN conversations c ON c.id = e.conversation_id
WHERE c.id IS NULL LIMIT 5"""


class NotSound(FlynnError):
    """What was restored is not as it must be; it is not used."""

    code = "not-sound"
    title = "The restored database is not sound"


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found. Nothing was wrong, or it would not have been made."""

    rows: dict[str, int]
    """Rows by table; all of them were read."""
    indexes: int
    """B-tree indexes that were compared with their tables."""
    amcheck: bool
    """Whether by PostgreSQL's own extension; else by reading the tables through them."""
    checksums: bool | None = None
    """Whether every page has the checksum it should have; None for a database that was made without."""


async def examine(connection: "asyncpg.Connection[asyncpg.Record]") -> Examination:
    """Examine the database over a superuser's connection. Raises NotSound."""
    try:
        rows = {}
        for table in await connection.fetch(_TABLES):
            shown = table["name"] if table["schema"] == "public" else f"{table['schema']}.{table['name']}"
            # The row as text: what is kept apart from it (TOAST) is fetched and unpacked.
            count, _ = await connection.fetchrow(  # type: ignore[misc] # an aggregate always has a row
                f"SELECT count(*), sum(length(t::text)) FROM {_quoted(table['schema'], table['name'])} AS t"  # noqa: S608 # names from the catalogue, quoted
            )
            rows[shown] = int(count)
        amcheck = bool(await connection.fetchval(_AMCHECK))
        indexes = await _check_indexes(connection, amcheck=amcheck)
        if "conversations" in rows:
            if broken := [row[0] for row in await connection.fetch(_GAPS)]:
                raise NotSound(f"The log of these conversations has gaps: {', '.join(broken)}.")
            if lost := [row[0] for row in await connection.fetch(_ORPHANS)]:
                raise NotSound(f"Events of conversations that are not there: {', '.join(lost)}.")
    except asyncpg.PostgresError as error:
        raise NotSound(f"The restored database cannot be read: {error}.") from error
    return Examination(rows=rows, indexes=indexes, amcheck=amcheck)


async def _check_indexes(connection: "asyncpg.Connection[asyncpg.Record]", *, amcheck: bool) -> int:
    """Compare each index with its table; gives how many."""
    indexes = await connection.fetch(_INDEXES)
    if amcheck:
        await connection.execute("CREATE EXTENSION IF NOT EXISTS amcheck")
        for index in indexes:
            # With heapallindexed: every row of the table has its entry.
            await connection.execute("SELECT bt_index_check($1::oid::regclass, true)", index["id"])
        return len(indexes)
    compared = 0
    for index in indexes:
        compared += await _read_through(connection, index["id"], index["name"])
    return compared


async def _read_through(connection: "asyncpg.Connection[asyncpg.Record]", index: int, name: str) -> bool:
    """Whether the table could be read through the index. Raises NotSound when it leads to other rows."""
    about = await connection.fetchrow(_ABOUT, index)
    if about is None:
        return False
    where = f"WHERE {about['condition']}" if about["condition"] else ""
    through = f"SELECT count(*) FROM (SELECT {about['first']} FROM {about['place']} {where} ORDER BY {about['keys']}) AS s"  # noqa: E501, S608 # all of it from the catalogue, quoted there
    transaction = connection.transaction()
    await transaction.start()
    try:
        plainly = await connection.fetchval(f"SELECT count(*) FROM {about['place']} {where}")  # noqa: S608 # see above
        # Other indexes are out of the planner's sight until the transaction is rolled back.
        await connection.execute(_HIDE_OTHERS, index)
        await connection.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
        scan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {through}"))
        if f"using {name.rpartition('.')[2]} " not in scan:
            return False  # of an order or a kind that no plain reading uses
        if (found := await connection.fetchval(through)) != plainly:
            raise NotSound(f"The index {name} leads to {found} rows, but its table has {plainly}.")
    finally:
        await transaction.rollback()
    return True


def _quoted(*names: str) -> str:
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)
