"""The courier: tells tasks' clients of events, in order, each until it is taken or a day has passed.

Every process with a worker has one. What is due is in the database, woken by the append of an event, and
a lease keeps all but one round from a callback, so no second queue is needed: after whatever death the next
round begins behind `delivered_seq`. A message may come twice (its receiver's word can be lost), always with
the same id.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta

from flynn.domain.callback import PATIENCE, body_of, message_id
from flynn.store import callbacks
from flynn.store.callbacks import Held
from flynn.store.database import Database
from flynn.store.outage import OUTAGES
from flynn.telemetry.logging import bind, get_logger
from flynn.telemetry.metrics import Metrics
from flynn.worker.engine_lease import boot_time
from flynn.worker.webhook import TIMEOUT_SECONDS, Answer, Post

LOOK_SECONDS = 1.0
"""How often due callbacks are looked for."""

LEASE_SECONDS = 2 * TIMEOUT_SECONDS
"""How long a round holds its callback from one message to the next."""

ROUNDS = 16
"""Rounds at a time in one process."""

EACH = 8
"""About how many of them, on all processes together, may be one principal's."""

FIRST_PAUSE = 5.0
LONGEST_PAUSE = 2 * 3600.0


def pause_after(attempts: int, spread: float) -> timedelta:
    """The pause after so many failed attempts: doubled each time, and varied by `spread` (0 to 1)."""
    seconds = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(attempts - 1, 20))
    return timedelta(seconds=seconds * (0.75 + spread / 2))


class Courier:
    """Delivers. `post` sends one message; `lease_seconds` is to be well above what that may take."""

    def __init__(
        self,
        database: Database,
        post: Callable[[Post], Awaitable[Answer]],
        *,
        metrics: Metrics,
        look_seconds: float = LOOK_SECONDS,
        lease_seconds: float = LEASE_SECONDS,
        patience: timedelta = PATIENCE,
        pause: Callable[[int, float], timedelta] = pause_after,
    ) -> None:
        self._database = database
        self._post = post
        self._metrics = metrics
        self._look = look_seconds
        self._lease = timedelta(seconds=lease_seconds)
        self._patience = patience
        self._pause = pause
        self._rounds = 0
        self._log = get_logger("flynn.worker.courier")

    async def run(self) -> None:
        """Deliver until cancelled; a database that is away is looked at again later."""
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    while self._rounds < ROUNDS and (taken := await self.take()) is not None:
                        self._rounds += 1
                        group.create_task(self._round(*taken))
                except OUTAGES as error:
                    self._log.warning("callbacks are left undelivered for now", error=str(error))
                await asyncio.sleep(self._look)

    async def take(self) -> tuple[Held, float] | None:
        """A callback that is due, and the CLOCK_BOOTTIME second until which it surely is this round's."""
        began = boot_time()
        async with self._database.statement() as connection:
            held = await callbacks.take(connection, lasts=self._lease, each=EACH)
        return None if held is None else (held, began + self._lease.total_seconds())

    async def _round(self, held: Held, until: float) -> None:
        with bind(task_id=str(held.task_id), conversation_id=str(held.conversation_id)):
            try:
                await self.deliver(held, until)
            except OUTAGES as error:
                # The lease ends by itself; then somebody goes on behind what is known to be delivered.
                self._log.warning("a round of deliveries was left", error=str(error))
            except Exception as error:  # other callbacks are not to suffer from a defect in this one
                self._log.error("a round of deliveries broke", exc_info=error)
            finally:
                self._rounds -= 1

    async def deliver(self, held: Held, until: float) -> int:
        """Deliver what the callback wants, one event after the other, until one fails; returns how many.

        Nothing is sent unless half of the lease is left: it has to last until the receiver answers.
        """
        count = 0
        while True:
            async with self._database.statement() as connection:
                event = await callbacks.next_event(connection, held)
            if event is None:
                async with self._database.begin() as connection:
                    await callbacks.rest(connection, held)
                return count
            if boot_time() > until - self._lease.total_seconds() / 2:
                await self._let_go(held)
                return count
            answer = await self._post(
                Post(
                    message_id=message_id(held.conversation_id, event.seq),
                    url=held.url,
                    body=body_of(event.envelope(), held.task_id),
                    secret=held.secret,
                )
            )
            self._metrics.callbacks.labels(answer.outcome).inc()
            if answer.outcome != "delivered":
                await self._failed(held, event.seq, answer)
                return count
            count += 1
            began = boot_time()
            async with self._database.statement() as connection:
                if not await callbacks.delivered(connection, held, event.seq, lasts=self._lease):
                    await callbacks.let_go(connection, held)
                    return count
            held = held.after(event.seq)
            until = began + self._lease.total_seconds()

    async def _failed(self, held: Held, seq: int, answer: Answer) -> None:
        # Jitter against herds, no secret.
        pause = self._pause(held.attempts + 1, random.random())  # noqa: S311
        async with self._database.statement() as connection:
            dead = await callbacks.failed(
                connection,
                held,
                answer.detail,
                pause=pause,
                give_up=answer.outcome == "gone",
                patience=self._patience,
            )
            # If the callback was replayed meanwhile, this round was of no account, and only ends.
            await callbacks.let_go(connection, held)
        told = {"seq": seq, "attempts": held.attempts + 1, "reason": answer.detail}
        if dead:
            self._metrics.callbacks.labels("dead").inc()
            self._log.warning("a callback is dead until it is replayed", **told)
        else:
            self._log.info("a callback failed and is tried again", **told)

    async def _let_go(self, held: Held) -> None:
        async with self._database.statement() as connection:
            await callbacks.let_go(connection, held)
