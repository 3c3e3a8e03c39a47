"""Samples in the database: what every process of the service did lately, so that each can tell of all.

A row is written once and never changed; writing it again does nothing. The table is not logged: after a
crash of the server it is empty. A process sees that by `kept` of its last one, and writes all its own again.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.domain.sample import Detail, Sample, Totals

_SAVE = text("""
INSERT INTO samples (process_id, slot, totals, detail)
SELECT :p, s.slot, CAST(s.totals AS json), CAST(s.detail AS json)
FROM unnest(CAST(:slots AS timestamptz[]), CAST(:totals AS text[]), CAST(:details AS text[]))
  AS s(slot, totals, detail)
ON CONFLICT DO NOTHING""")
_KEPT = text("SELECT EXISTS (SELECT 1 FROM samples WHERE process_id = :p AND slot = :slot)")
_TOTALS = text("""
SELECT process_id, slot, CAST(totals AS text) AS totals FROM samples
WHERE slot > :after AND slot <= :until ORDER BY slot, process_id""")
_DETAILS = text("""
SELECT process_id, slot, CAST(totals AS text) AS totals, CAST(detail AS text) AS detail FROM samples
WHERE slot > :after AND slot <= :until ORDER BY slot, process_id""")


async def save(connection: AsyncConnection, samples: Sequence[Sample]) -> None:
    """Keep samples of one process; those that are kept already stay as they are."""
    if samples:
        parameters = {
            "p": samples[0].process_id,
            "slots": [sample.slot for sample in samples],
            "totals": [sample.totals.model_dump_json(exclude_defaults=True) for sample in samples],
            "details": [sample.detail.model_dump_json(exclude_defaults=True) for sample in samples],
        }
        await connection.execute(_SAVE, parameters)


async def kept(connection: AsyncConnection, process_id: UUID, slot: datetime) -> bool:
    """Whether that sample is still there."""
    return bool(await connection.scalar(_KEPT, {"p": process_id, "slot": slot}))


async def read_totals(
    connection: AsyncConnection, *, after: datetime, until: datetime
) -> list[tuple[datetime, Totals]]:
    """What the charts need of all processes, the oldest first, `after` excluded."""
    rows = (await connection.execute(_TOTALS, {"after": after, "until": until})).all()
    # Thousands of them; the event loop has better things to do.
    return await asyncio.to_thread(
        lambda: [(row.slot, Totals.model_validate_json(row.totals)) for row in rows]
    )


async def read_samples(connection: AsyncConnection, *, after: datetime, until: datetime) -> list[Sample]:
    """Whole samples of all processes, the oldest first, `after` excluded."""
    rows = (await connection.execute(_DETAILS, {"after": after, "until": until})).all()
    return await asyncio.to_thread(lambda: [_sample(row) for row in rows])


def _sample(row: Row[Any]) -> Sample:
    return Sample(
        process_id=row.process_id,
        slot=row.slot,
        totals=Totals.model_validate_json(row.totals),
        detail=Detail.model_validate_json(row.detail),
    )
