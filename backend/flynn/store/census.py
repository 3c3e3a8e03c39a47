"""The census: how much work there is in the whole service, in one cheap statement."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_COUNT = text("""
SELECT state, count(*) AS amount,
  coalesce(extract(epoch FROM clock_timestamp() - min(queued_at)
    FILTER (WHERE after IS NULL AND (not_before IS NULL OR not_before <= now()))), 0) AS age
FROM runs WHERE state IN ('queued', 'running', 'waiting') GROUP BY state""")


@dataclass(frozen=True, slots=True)
class Census:
    """Runs that are not over; `queue_age` are the seconds that the one queued first has waited."""

    queued: int = 0
    running: int = 0
    waiting: int = 0
    queue_age: float = 0.0


async def take_census(connection: AsyncConnection) -> Census:
    """Count the open runs."""
    found = {row.state: row for row in await connection.execute(_COUNT)}
    counts = {state: int(row.amount) for state, row in found.items()}
    queued = found.get("queued")
    return Census(
        queued=counts.get("queued", 0),
        running=counts.get("running", 0),
        waiting=counts.get("waiting", 0),
        queue_age=max(0.0, float(queued.age)) if queued else 0.0,
    )
