"""Callbacks in the store: who is to be told of what, how far each has been, and which round delivers now.

A callback is woken by the append of an event that it wants (flynn.store.log), in the same statement. A
round, one at a time for each callback, holds it by a lease: it reads the next wanted event, and settles
what became of it. Whoever has lost the lease, or finds that the callback was set elsewhere, settles nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.domain.callback import PATIENCE, CallbackState
from flynn.domain.destination import Destination
from flynn.domain.events import EVENT, Recorded
from flynn.domain.views import CallbackView

COLUMNS = """
k.task_id AS callback_id, k.url AS callback_url, k.events AS callback_events, k.delivered_seq, k.attempts,
k.last_error, k.last_attempt_at, k.next_at, k.dead_at"""
"""SQL: what `callback_of` reads of the table `k`."""

_KEEP = text("""
INSERT INTO callbacks (task_id, conversation_id, principal_id, url, events, secret, made_here)
VALUES (:task, :c, :p, :url, :events, :secret, :made)""")
_MADE = text("SELECT secret FROM callbacks WHERE task_id = :task AND made_here")
_TAKE = text("""
UPDATE callbacks SET lease_id = :lease, leased_until = clock_timestamp() + CAST(:lasts AS interval)
WHERE task_id = (
  SELECT k.task_id FROM callbacks k
  WHERE k.next_at <= clock_timestamp()
    AND (k.leased_until IS NULL OR k.leased_until < clock_timestamp())
    AND (SELECT count(*) FROM callbacks o WHERE o.principal_id = k.principal_id
         AND o.lease_id IS NOT NULL AND o.leased_until > clock_timestamp()) < :each
  ORDER BY k.attempts > 0, k.next_at LIMIT 1 FOR UPDATE OF k SKIP LOCKED)
RETURNING task_id, conversation_id, url, events, secret, delivered_seq, attempts""")
_NEXT = text("""
SELECT seq, type, run_id, at, data FROM events
WHERE conversation_id = :c AND seq > :after AND type = ANY(:events) ORDER BY seq LIMIT 1""")
_DELIVERED = text("""
UPDATE callbacks SET delivered_seq = :seq, attempts = 0, failing_since = NULL, last_error = NULL,
  last_attempt_at = clock_timestamp(), next_at = clock_timestamp(),
  leased_until = clock_timestamp() + CAST(:lasts AS interval)
WHERE task_id = :task AND lease_id = :lease AND delivered_seq = :before AND dead_at IS NULL
RETURNING task_id""")
_FAILED = text("""
UPDATE callbacks SET attempts = attempts + 1, last_error = :error, last_attempt_at = clock_timestamp(),
  failing_since = coalesce(failing_since, clock_timestamp()),
  dead_at = CASE WHEN :give_up OR failing_since <= clock_timestamp() - CAST(:patience AS interval)
                 THEN clock_timestamp() END,
  next_at = CASE WHEN :give_up OR failing_since <= clock_timestamp() - CAST(:patience AS interval) THEN NULL
                 ELSE least(clock_timestamp() + CAST(:pause AS interval),
                            coalesce(failing_since, clock_timestamp()) + CAST(:patience AS interval)) END,
  lease_id = NULL, leased_until = NULL
WHERE task_id = :task AND lease_id = :lease AND delivered_seq = :before AND dead_at IS NULL
RETURNING dead_at""")
_LET_GO = text("""
UPDATE callbacks SET lease_id = NULL, leased_until = NULL WHERE task_id = :task AND lease_id = :lease""")
_HOLD = text("SELECT 1 FROM callbacks WHERE task_id = :task AND lease_id = :lease FOR UPDATE")
# Seen in a snapshot taken after the row was locked: an append that would wake the callback is either seen
# here, or waits for the lock and wakes it then.
_REST = text("""
UPDATE callbacks k SET lease_id = NULL, leased_until = NULL, next_at = CASE WHEN EXISTS (
    SELECT 1 FROM events e
    WHERE e.conversation_id = k.conversation_id AND e.seq > k.delivered_seq AND e.type = ANY(k.events))
  THEN next_at END
WHERE k.task_id = :task AND k.lease_id = :lease""")
_REPLAY = text("""
UPDATE callbacks SET dead_at = NULL, attempts = 0, failing_since = NULL, next_at = clock_timestamp(),
  delivered_seq = least(coalesce(:after, delivered_seq),
                        (SELECT head FROM conversations c WHERE c.id = callbacks.conversation_id))
WHERE task_id = :task RETURNING task_id""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A callback that a round holds until its lease ends: the row, as it was taken."""

    lease_id: UUID
    task_id: UUID
    conversation_id: UUID
    url: str
    events: Sequence[str]
    secret: str = field(repr=False)
    delivered_seq: int
    attempts: int

    def after(self, seq: int) -> "Held":
        """The same, once the event `seq` is delivered."""
        return replace(self, delivered_seq=seq, attempts=0)


async def keep(
    connection: AsyncConnection,
    *,
    task_id: UUID,
    conversation_id: UUID,
    principal_id: UUID,
    url: str,
    events: Sequence[str],
    secret: str,
    made_here: bool,
) -> None:
    """Insert a task's callback; `made_here` says whether the secret was made by the service."""
    await connection.execute(
        _KEEP,
        {
            "task": task_id,
            "c": conversation_id,
            "p": principal_id,
            "url": url,
            "events": list(events),
            "secret": secret,
            "made": made_here,
        },
    )


async def made_secret(connection: AsyncConnection, task_id: UUID) -> str | None:
    """The signing secret of a task's callback, if the service made it."""
    found: str | None = await connection.scalar(_MADE, {"task": task_id})
    return found


async def take(connection: AsyncConnection, *, lasts: timedelta, each: int) -> Held | None:
    """Hold a callback that is due and that nobody holds, for `lasts`; those that are well come first.

    Of one principal's at most about `each` are held at a time, on all processes together.
    """
    lease = uuid4()
    parameters = {"lease": lease, "lasts": lasts, "each": each}
    row = (await connection.execute(_TAKE, parameters)).one_or_none()
    return None if row is None else Held(lease_id=lease, **row._mapping)


async def next_event(connection: AsyncConnection, held: Held) -> Recorded | None:
    """The first event after `delivered_seq` that the callback wants."""
    parameters = {"c": held.conversation_id, "after": held.delivered_seq, "events": list(held.events)}
    row = (await connection.execute(_NEXT, parameters)).one_or_none()
    if row is None:
        return None
    return Recorded.model_construct(
        conversation_id=held.conversation_id,
        seq=row.seq,
        at=row.at,
        run_id=row.run_id,
        event=EVENT.validate_python({**row.data, "type": row.type}),
    )


async def delivered(connection: AsyncConnection, held: Held, seq: int, *, lasts: timedelta) -> bool:
    """The event `seq` was delivered; the lease goes on for `lasts`. False when the round holds it no more."""
    row = await connection.execute(_DELIVERED, {**_key(held), "seq": seq, "lasts": lasts})
    return row.one_or_none() is not None


async def failed(
    connection: AsyncConnection,
    held: Held,
    error: str,
    *,
    pause: timedelta,
    give_up: bool = False,
    patience: timedelta = PATIENCE,
) -> bool:
    """The next event could not be delivered; it is tried again after `pause`, for `patience` in all.

    Whether the callback is dead now: with `give_up`, at once.
    """
    parameters = {**_key(held), "error": error, "pause": pause, "give_up": give_up, "patience": patience}
    row = (await connection.execute(_FAILED, parameters)).one_or_none()
    return row is not None and row.dead_at is not None


async def let_go(connection: AsyncConnection, held: Held) -> None:
    """End the round; the callback stays due as it is."""
    await connection.execute(_LET_GO, {"task": held.task_id, "lease": held.lease_id})


async def rest(connection: AsyncConnection, held: Held) -> None:
    """End the round: there was nothing to deliver. What came just now keeps the callback due.

    In a transaction of its own.
    """
    key = {"task": held.task_id, "lease": held.lease_id}
    if (await connection.execute(_HOLD, key)).one_or_none() is not None:
        await connection.execute(_REST, key)


async def replay(connection: AsyncConnection, task_id: UUID, *, after_seq: int | None) -> bool:
    """Revive a task's callback; with `after_seq`, go on behind that event. False when it has none."""
    row = await connection.execute(_REPLAY, {"task": task_id, "after": after_seq})
    return row.one_or_none() is not None


def callback_of(row: Row[Any]) -> CallbackView | None:
    """The callback in a row with COLUMNS, None where the columns are null."""
    if row.callback_id is None:
        return None
    state: CallbackState = "active"
    if row.dead_at is not None:
        state = "dead"
    elif row.attempts > 0:
        state = "failing"
    return CallbackView(
        task_id=row.callback_id,
        url=Destination.read(row.callback_url).shown,
        events=list(row.callback_events),
        state=state,
        delivered_seq=row.delivered_seq,
        attempts=row.attempts,
        last_error=row.last_error,
        last_attempt_at=row.last_attempt_at,
        next_attempt_at=max(row.next_at, datetime.now(UTC)) if state == "failing" and row.next_at else None,
        dead_at=row.dead_at,
    )


def _key(held: Held) -> dict[str, object]:
    return {"task": held.task_id, "lease": held.lease_id, "before": held.delivered_seq}
