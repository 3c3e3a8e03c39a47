"""Differences in the database: one for each event that tells of a change, and one of all of them together.

They hold no secrets, and go with nobody's files: doors show them where the workspace itself is not mounted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.domain.difference import CONVERSATION_BYTES, NET, Difference

_SAVE = text("""
WITH gone AS (
  DELETE FROM differences d USING (
    SELECT seq, sum(octet_length(data)) OVER (ORDER BY seq DESC) AS bytes
    FROM differences WHERE conversation_id = :c AND seq <> :net
  ) older
  WHERE d.conversation_id = :c AND d.seq = older.seq AND older.bytes + :bytes > :most
)
INSERT INTO differences (conversation_id, seq, until_seq, data, cut)
SELECT :c, d.* FROM unnest(
  CAST(:seqs AS bigint[]), CAST(:untils AS bigint[]), CAST(:datas AS bytea[]), CAST(:cuts AS boolean[])) d
ON CONFLICT (conversation_id, seq) DO UPDATE
SET until_seq = excluded.until_seq, data = excluded.data, cut = excluded.cut""")
_READ = text("SELECT until_seq, data, cut FROM differences WHERE conversation_id = :c AND seq = :seq")
_PAIRS = text("""
SELECT seq, type, data->>'before' AS before, data->>'after' AS after, data->>'missed' AS missed,
       data->>'refused' AS refused, data->>'call_id' AS call_id,
       json_array_length(COALESCE(data->'files', '[]'::json)) AS files
FROM events
WHERE conversation_id = :c AND type IN ('workspace.changed', 'workspace.reverted')
ORDER BY seq""")


@dataclass(frozen=True, slots=True)
class KeptDifference:
    """A difference, and the seq up to which it tells."""

    difference: Difference
    until_seq: int


@dataclass(frozen=True, slots=True)
class Told:
    """An event that tells of a change: its trees, None where there was no snapshot, and `missed` why."""

    seq: int
    before: str | None
    after: str | None
    missed: bool
    call_id: str | None

    @property
    def pair(self) -> tuple[str, str] | None:
        """Both trees."""
        return (self.before, self.after) if self.before is not None and self.after is not None else None


async def save(
    connection: AsyncConnection,
    conversation_id: UUID,
    differences: Mapping[int, Difference],
    *,
    most: int = CONVERSATION_BYTES,
) -> None:
    """Keep the differences of events, by seq, in the transaction that appends those.

    What the conversation keeps beyond `most` bytes goes, the oldest first.
    """
    await _write(connection, conversation_id, {seq: (seq, found) for seq, found in differences.items()}, most)


async def save_net(
    connection: AsyncConnection, conversation_id: UUID, difference: Difference, until_seq: int
) -> None:
    """Keep what the conversation has changed in all, up to `until_seq`."""
    await _write(connection, conversation_id, {NET: (until_seq, difference)}, CONVERSATION_BYTES)


async def _write(
    connection: AsyncConnection, conversation_id: UUID, rows: Mapping[int, tuple[int, Difference]], most: int
) -> None:
    parameters = {
        "c": conversation_id,
        "seqs": list(rows),
        "untils": [until for until, _ in rows.values()],
        "datas": [difference.text for _, difference in rows.values()],
        "cuts": [difference.cut for _, difference in rows.values()],
        "net": NET,
        "bytes": sum(len(difference.text) for seq, (_, difference) in rows.items() if seq != NET),
        "most": most,
    }
    await connection.execute(_SAVE, parameters)


async def read(connection: AsyncConnection, conversation_id: UUID, seq: int = NET) -> KeptDifference | None:
    """The difference of the event `seq`, or of all together; None when none is kept."""
    row = (await connection.execute(_READ, {"c": conversation_id, "seq": seq})).one_or_none()
    return None if row is None else KeptDifference(Difference(bytes(row.data), row.cut), row.until_seq)


async def told(connection: AsyncConnection, conversation_id: UUID) -> list[Told]:
    """Every event that tells of a change of the workspace, in order; undos that did nothing are left out."""
    rows = await connection.execute(_PAIRS, {"c": conversation_id})
    return [
        Told(
            row.seq,
            row.before,
            row.after,
            row.missed is not None or (row.type == "workspace.reverted" and row.before is None),
            row.call_id,
        )
        for row in rows
        if row.type == "workspace.changed" or row.refused is None or row.before is not None
    ]
