"""procrastinate's job manager, made safe for workers that die, freeze, and lose their database.

What the original leaves open, and this closes:

- a worker that was taken for dead finishes or retries the job of its successor: every such statement
  names worker and attempt, and without a match changes nothing;
- two workers that fetch the same lock at once die of a unique violation: the loser looks again;
- an error of the database stops the worker: statements wait until it is back;
- a job whose fetch reply or finish was lost stays `doing` under a live worker: heartbeats compare what
  the database says with what runs here;
- nothing announces a job that was handed back, or whose lock was freed: those statements notify;
- a notification that comes while a fetch is under way is forgotten: the fetch is repeated;
- a database that restarted finds every heartbeat old: nothing is taken over until it has run a while.
"""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from procrastinate.connector import BaseAsyncConnector
from procrastinate.exceptions import ConnectorException, UniqueViolation
from procrastinate.jobs import Job, Notification, Status
from procrastinate.manager import JobManager, NotificationCallback
from procrastinate.utils import utcnow

from flynn.telemetry.logging import Logger
from flynn.worker import engine_statements as statements
from flynn.worker.engine_lease import Claim, Ending, WorkerLease, boot_time

Key = tuple[int, int]
"""A job's id and the attempts it had when it was fetched: one delivery."""

LOCK_RACES = 5
"""Times in a row that a fetch may lose the race for a lock before it waits for the next look."""

RETRY_SECONDS = 0.1
RETRY_LIMIT_SECONDS = 2.0
"""Waits between attempts to reach a database that is away: doubled from the first to the second."""


@dataclass(slots=True, eq=False)
class Held:
    """A delivery whose handler runs here."""

    claim: Claim
    work: asyncio.Task[None]

    def end(self, ending: Ending) -> None:
        """Cancel the handler, once, and say why."""
        first = self.claim.ending is None
        self.claim.end(ending)
        if first:
            self.work.cancel(ending)


def key_of(job: Job) -> Key:
    """The delivery that `job`, as it was fetched, is."""
    if job.id is None:
        raise ValueError("a job that was fetched has an id")
    return job.id, job.attempts


class FencedJobs(JobManager):
    """The jobs of one worker process: fetched, held, finished, never another's.

    `lease` and `held` belong to the present registration; `gone` is set when the database does not know
    it any more. Statements wait for a database that is away, until `abandon` was called.
    """

    connector: BaseAsyncConnector

    def __init__(
        self,
        connector: BaseAsyncConnector,
        *,
        lease_seconds: float,
        margin_seconds: float,
        settle_seconds: float,
        log: Logger,
    ) -> None:
        super().__init__(connector)
        self.lease: WorkerLease | None = None
        self.held: dict[Key, Held] = {}
        self.gone = asyncio.Event()
        self._seconds = lease_seconds
        self._margin = margin_seconds
        self._settle = settle_seconds
        self._log = log
        self._notices = 0
        self._settling: set[Key] = set()
        self._suspects: set[Key] = set()
        self._abandoned = False

    def abandon(self) -> None:
        """Stop waiting for a database that is away: what cannot be written now is left to the lease."""
        self._abandoned = True

    def end_all(self, ending: Ending) -> None:
        """Cancel every handler that runs here."""
        for held in list(self.held.values()):
            held.end(ending)

    def expire(self) -> None:
        """Cancel every handler once nothing confirms the lease any more."""
        if self.lease is None or self.lease.holds():
            return
        if acting := [held for held in self.held.values() if held.claim.ending is None]:
            self._log.warning("the lease ran out unconfirmed; what runs here is stopped", runs=len(acting))
            self.end_all(Ending.UNCONFIRMED)

    async def register_worker(self) -> int:
        """Begin a registration, and with it a lease."""
        sent = boot_time()
        worker_id = await super().register_worker()
        self.gone.clear()
        self._suspects = set()
        self._abandoned = False
        self.lease = WorkerLease(worker_id=worker_id, seconds=self._seconds, margin=self._margin)
        self.lease.confirm(sent)
        return worker_id

    async def unregister_worker(self, worker_id: int) -> None:
        """End the registration; when the database is away, the lease ends it."""
        self.lease = None
        try:
            await super().unregister_worker(worker_id)
        except ConnectorException as error:
            self._log.warning("the worker could not sign off", worker=worker_id, error=_cause(error))

    async def prune_stalled_workers(self, seconds_since_heartbeat: float) -> list[int]:  # noqa: ARG002 # as theirs
        """Nothing: after an outage every worker looks stalled; `forget_workers` waits for that to pass."""
        return []

    async def update_heartbeat(self, worker_id: int) -> None:
        """Nothing: the worker's own heartbeat stops before its jobs do; `beat` goes on."""

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        """The next job for this worker; None when there is none, or none that may be begun now."""
        for _ in range(LOCK_RACES):
            if self.lease is None or not self.lease.holds():
                return None
            notices, sent = self._notices, boot_time()
            try:
                job = await super().fetch_job(queues, worker_id)
            except UniqueViolation:
                self._log.debug("another worker won the lock")
                continue
            except ConnectorException as error:
                if isinstance(error.__cause__, psycopg.errors.ForeignKeyViolation):
                    self.gone.set()
                else:
                    self._log.warning("no job can be fetched", error=_cause(error))
                    await asyncio.sleep(RETRY_SECONDS)
                return None
            if job is not None:
                return job if await self._timely(job, sent) else None
            if notices == self._notices:
                return None
        return None

    async def _timely(self, job: Job, sent: float) -> bool:
        """Whether a job whose reply took long is still ours: a heartbeat may have put it back meanwhile."""
        if boot_time() - sent < self._seconds / 5:
            return True
        (row,) = await self._patiently(statements.OWNED, **self._fence(key_of(job), job.worker_id))
        return bool(row["owned"])

    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:
        """Write that a job has ended, unless it is another's by now."""
        with self._settle_down(job) as fence:
            done = await self._patiently(statements.FINISH, **fence, status=status.value, delete=delete_job)
        if not done:
            self._log.warning("a job ended that is not ours any more", job=job.id, status=status.value)

    async def retry_job(
        self,
        job: Job,
        retry_at: datetime | None = None,
        priority: int | None = None,
        queue: str | None = None,
        lock: str | None = None,
    ) -> None:
        """Hand a job back to the queue, unless it is another's by now; its place in it stays the same."""
        if (priority, queue, lock) != (None, None, None):
            raise NotImplementedError("a job is handed back as it was")
        delay = max((retry_at - utcnow()).total_seconds(), 0.0) if retry_at else 0.0
        with self._settle_down(job) as fence:
            done = await self._patiently(statements.HAND_BACK, **fence, delay=delay)
        self._log.info("a job is handed back" if done else "a job was taken over meanwhile", job=job.id)

    async def listen_for_jobs(
        self,
        *,
        on_notification: NotificationCallback,
        queues: Iterable[str] | None = None,  # noqa: ARG002 # the signature is procrastinate's
    ) -> None:
        """Listen for new jobs, of all queues: names of single queues can be longer than a channel's."""

        async def notice(*, channel: str, notification: Notification) -> None:
            self._notices += 1
            await on_notification(channel=channel, notification=notification)

        while True:
            try:
                await super().listen_for_jobs(on_notification=notice, queues=None)
            except ConnectorException as error:
                self._log.warning("new jobs are not announced for now", error=_cause(error))
            await asyncio.sleep(RETRY_SECONDS)

    async def beat(self) -> None:
        """Confirm the lease, cancel what is lost, hand back what nobody runs.

        A lease that ran out before the answer came is not revived for the handlers that ran under it. A
        job that the database calls ours but that does not run here is handed back when two beats in a row
        say so: one could fall between a fetch and its start.
        """
        lease = self.lease
        if lease is None:
            return
        self.expire()
        before, sent = set(self.held), boot_time()
        (row,) = await self.connector.execute_query_all_async(statements.BEAT, worker=lease.worker_id)
        if lease is not self.lease:
            return
        if not row["known"]:
            self.gone.set()
            return
        self.expire()
        lease.confirm(sent)
        owned = {(job, attempts) for job, attempts in row["owned"]}
        for key in before - owned:
            if held := self.held.get(key):
                self._log.warning("a run was taken over by another worker", job=key[0])
                held.end(Ending.LOST)
        orphans = owned - before - set(self.held) - self._settling
        for key in orphans & self._suspects:
            self._log.warning("a job of ours runs nowhere; it is handed back", job=key[0])
            await self.connector.execute_query_all_async(
                statements.HAND_BACK, **self._fence(key, lease.worker_id), delay=0.0
            )
        self._suspects = orphans

    async def take_over(self) -> None:
        """Put jobs whose worker fell silent back into the queue."""
        for row in await self.connector.execute_query_all_async(
            statements.TAKE_OVER, lease=self._seconds, settle=self._settle
        ):
            self._log.warning("a job is taken from a silent worker", job=row["id"], worker=row["worker_id"])

    async def forget_workers(self) -> None:
        """Remove what dead workers left of themselves."""
        await self.connector.execute_query_all_async(
            statements.FORGET, lease=max(60.0, self._seconds * 10), settle=self._settle
        )

    @contextmanager
    def _settle_down(self, job: Job) -> Iterator[dict[str, int | None]]:
        """Between a handler's end and what is written of it, a job is no orphan."""
        key = key_of(job)
        self._settling.add(key)
        try:
            yield self._fence(key, job.worker_id)
        finally:
            self._settling.discard(key)

    @staticmethod
    def _fence(key: Key, worker_id: int | None) -> dict[str, int | None]:
        return {"id": key[0], "attempts": key[1], "worker": worker_id}

    async def _patiently(self, statement: LiteralString, **arguments: Any) -> list[dict[str, Any]]:
        """Run a statement that may be repeated; wait for the database, until `abandon`."""
        delay = RETRY_SECONDS
        while True:
            try:
                return await self.connector.execute_query_all_async(statement, **arguments)
            except ConnectorException as error:
                self._log.warning("the queue cannot be written", error=_cause(error))
                if self._abandoned:
                    return []
            await asyncio.sleep(delay)
            delay = min(delay * 2, RETRY_LIMIT_SECONDS)


def _cause(error: ConnectorException) -> str:
    return str(error.__cause__ or error)
