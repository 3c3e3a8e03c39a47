"""Living workers, and which volumes they have mounted: rows that are renewed while the worker runs."""

from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

LIVE_SECONDS = 30
"""A worker that has not renewed its rows for so long is taken for gone; it renews them far more often."""

_LIVE = f"m.seen_at > clock_timestamp() - interval '{LIVE_SECONDS} seconds'"

MOUNTED = f"""(w.volume_id IS NULL OR EXISTS (
  SELECT 1 FROM mounts m WHERE m.volume_id = w.volume_id AND {_LIVE}))"""  # noqa: S608  # constants only
"""SQL: whether a living worker has the volume of the workspace `w`."""

LIVE_VOLUMES = f"SELECT DISTINCT m.volume_id FROM mounts m WHERE {_LIVE}"  # noqa: S608  # constants only
"""SQL: the volumes that living workers have."""

_KNOW = text("""
INSERT INTO volumes (id, root) VALUES (:v, :root)
ON CONFLICT (id) DO UPDATE SET root = excluded.root WHERE :move AND volumes.root <> excluded.root""")
_RENEW = text("""
INSERT INTO mounts (volume_id, worker_id) SELECT unnest(CAST(:volumes AS uuid[])), :worker
ON CONFLICT (volume_id, worker_id) DO UPDATE SET seen_at = clock_timestamp()""")
_FRESH = text(f"""
SELECT count(*) FROM mounts m WHERE m.worker_id = :worker AND {_LIVE}""")  # noqa: S608  # constants only
_LEAVE = text("DELETE FROM mounts WHERE worker_id = :worker")
_SIGN = text("""
INSERT INTO workers (id, number, concurrency) VALUES (:worker, :number, :concurrency)
ON CONFLICT (id) DO UPDATE SET number = excluded.number, seen_at = clock_timestamp()""")
_SIGN_OFF = text("DELETE FROM workers WHERE id = :worker")


async def know_volumes(
    connection: AsyncConnection, volumes: Iterable[tuple[UUID, Path]], *, move: bool
) -> None:
    """Insert volumes and where they are; with `move`, the place of known ones changes to this one."""
    for volume_id, root in sorted(volumes):
        await connection.execute(_KNOW, {"v": volume_id, "root": str(root), "move": move})


async def renew_mounts(connection: AsyncConnection, worker_id: UUID, volumes: Iterable[UUID]) -> bool:
    """Say that `worker_id` lives and has `volumes`; whether that was not known a moment ago."""
    wanted = sorted(volumes)
    fresh = await connection.scalar(_FRESH, {"worker": worker_id})
    await connection.execute(_RENEW, {"volumes": wanted, "worker": worker_id})
    return bool(fresh != len(wanted))


async def sign_on(
    connection: AsyncConnection, worker_id: UUID, *, number: int | None, concurrency: int
) -> None:
    """Say that the worker process lives, and by which `number` the queue's tables know it."""
    await connection.execute(_SIGN, {"worker": worker_id, "number": number, "concurrency": concurrency})


async def sign_off(connection: AsyncConnection, worker_id: UUID) -> None:
    """The worker ends: it has nothing mounted any more."""
    await connection.execute(_LEAVE, {"worker": worker_id})
    await connection.execute(_SIGN_OFF, {"worker": worker_id})
