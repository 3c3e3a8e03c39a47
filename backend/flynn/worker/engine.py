"""The queue engine: delivers admitted runs to a handler, under a lease, on procrastinate's tables.

A job is one delivery of a run: task `run`, argument `{"run": UUID}`. Jobs are made by the admission's
SQL; here they are only consumed. This file keeps a worker registered, its lease confirmed and its jobs
watched; `engine_delivery` says what becomes of a job.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

import psycopg
from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.schema import SchemaManager
from procrastinate.worker import Worker
from psycopg_pool import AsyncConnectionPool

from flynn.telemetry.logging import Logger, get_logger
from flynn.worker.engine_delivery import Again, Deliveries, Handler
from flynn.worker.engine_jobs import FencedJobs
from flynn.worker.engine_lease import Ending, boot_time

MARGIN_SECONDS = 1.5
"""Before the lease ends, what still acts is stopped: it takes at most this long."""

SETTLE_SECONDS = 15.0
"""A database that was started less than this ago is not asked whose worker is silent."""

POLL_SECONDS = 1.0
"""Longest wait for a job that was not announced."""

CANCEL_SECONDS = 5.0
"""How long a cancelled handler may take before a stopping engine gives it up."""

WRITE_SECONDS = 1.5
"""How long a stopping engine tries to write to a database that is away, and then how long to leave off."""

_NEVER = 86_400.0
_CONNECTION = {
    "application_name": "flynn-engine",
    "connect_timeout": 5,
    # A peer that vanished without a word is noticed within seconds, not hours.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


def schema_sql() -> str:
    """The queue's schema, as procrastinate ships it: several statements, for an empty database."""
    return SchemaManager.get_schema()


async def _autocommit(connection: psycopg.AsyncConnection) -> None:
    await connection.set_autocommit(True)


async def _run(worker: Worker) -> None:
    await worker.run()  # type: ignore[no-untyped-call] # procrastinate leaves it bare


class Engine:
    """One worker process's part of the queue. `run` may be called once."""

    def __init__(
        self,
        *,
        dsn: str,
        queues: Sequence[str] | None,
        concurrency: int,
        lease_seconds: float = 5.0,
        handler: Handler,
        log: Logger | None = None,
        margin_seconds: float = MARGIN_SECONDS,
        settle_seconds: float = SETTLE_SECONDS,
    ) -> None:
        """`queues` None serves all. Raises ValueError when the margin leaves too little of the lease."""
        self._beat_seconds = min(lease_seconds / 5, 1.0)
        if lease_seconds - margin_seconds < 2 * self._beat_seconds:
            raise ValueError(
                f"a lease of {lease_seconds} s less a margin of {margin_seconds} s leaves no time for "
                f"two heartbeats, {self._beat_seconds} s apart"
            )
        self._queues = list(queues) if queues is not None else None
        self._concurrency = concurrency
        self._log = log or get_logger(__name__)
        self._pool = AsyncConnectionPool(
            dsn,
            kwargs=_CONNECTION,
            min_size=1,
            max_size=3,
            timeout=2,
            reconnect_timeout=1,
            configure=_autocommit,
            check=AsyncConnectionPool.check_connection,
            open=False,
        )
        self._connector = PsycopgConnector()
        self._jobs = FencedJobs(
            self._connector,
            lease_seconds=lease_seconds,
            margin_seconds=margin_seconds,
            settle_seconds=settle_seconds,
            log=self._log,
        )
        self._app = App(connector=self._connector)
        self._app.job_manager = self._jobs
        self._stopping = asyncio.Event()
        self._hurrying = asyncio.Event()
        deliveries = Deliveries(self._jobs, handler, stopping=self._stopping, log=self._log)
        self._app.task(name="run", pass_context=True, retry=Again())(deliveries.deliver)
        self._grace = 0.0
        self._started = False
        self._ended = asyncio.Event()

    @property
    def lease_valid_until(self) -> float:
        """The CLOCK_BOOTTIME second until which runs held here are surely ours; 0 without a lease."""
        return self._jobs.lease.valid_until if self._jobs.lease else 0.0

    @property
    def connected(self) -> bool:
        """Whether the lease holds, so that jobs are fetched: for readiness."""
        return self._jobs.lease is not None and self._jobs.lease.holds()

    @property
    def number(self) -> int | None:
        """This worker's number in the queue's tables, None while it is not registered."""
        return self._jobs.lease.worker_id if self._jobs.lease else None

    @property
    def held(self) -> int:
        """How many runs are being handled."""
        return len(self._jobs.held)

    async def run(self) -> None:
        """Serve the queue until `stop`; goes on by itself when the database was away.

        When it is cancelled, handlers are cancelled too and their jobs handed back. Raises RuntimeError
        when it was called before.
        """
        if self._started:
            raise RuntimeError("an engine runs once")
        self._started = True
        await self._pool.open(wait=False)
        await self._connector.open_async(self._pool)
        try:
            async with asyncio.TaskGroup() as group:
                care = [
                    group.create_task(self._regularly(self._beat_seconds, self._beat), name="heartbeat"),
                    group.create_task(self._regularly(self._beat_seconds, self._jobs.take_over)),
                    group.create_task(self._regularly(60.0, self._jobs.forget_workers)),
                    group.create_task(self._watch_lease(), name="lease"),
                ]
                try:
                    await self._serve()
                finally:
                    self._ended.set()
                    for task in care:
                        task.cancel()
        finally:
            await self._pool.close(timeout=1)
            self._ended.set()

    async def stop(self, grace_seconds: float) -> None:
        """Fetch nothing more, let handlers end by themselves for `grace_seconds`, then cancel them.

        Cancelled ones are told of the shutdown (`Claim.ending`, the message of the cancellation) and their
        jobs go back to the queue. Heartbeats go on meanwhile. Returns when all that was to be done for them
        is done, and `run` about to end. A handler that ignores its cancellation is given up after a while,
        and its job is taken over when the lease ends.
        """
        self.wind_down(grace_seconds)
        if self._started:
            await self._ended.wait()

    def wind_down(self, grace_seconds: float) -> None:
        """Begin what `stop` does, and return at once. The first call's grace counts, unless it is `hurry`."""
        if not self._stopping.is_set():
            self._grace = grace_seconds
            self._stopping.set()

    def hurry(self) -> None:
        """Let a stop, that is under way or comes, give handlers no more time to end by themselves."""
        self._hurrying.set()

    async def _serve(self) -> None:
        """Keep a worker going: a new one, under a new registration, whenever one was lost."""
        pause = 0.1
        while not self._stopping.is_set():
            worker = self._new_worker()
            self._jobs.gone.clear()
            work = asyncio.create_task(_run(worker), name="queue worker")
            gone = asyncio.create_task(self._jobs.gone.wait())
            stopping = asyncio.create_task(self._stopping.wait())
            grace = 0.0
            try:
                await asyncio.wait([work, gone, stopping], return_when=asyncio.FIRST_COMPLETED)
                if gone.done():
                    self._log.warning("the queue does not know this worker any more; it signs on anew")
                    self._jobs.end_all(Ending.LOST)
                elif stopping.done():
                    grace = self._grace
            finally:
                gone.cancel()
                stopping.cancel()
                await self._wind_down(worker, work, grace)
            if self._stopping.is_set() and not work.done():
                return
            try:
                await work
                pause = 0.1
            except ConnectorException as error:
                self._log.warning("the queue cannot be reached", error=str(error.__cause__ or error))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), pause)
                pause = min(pause * 2, 2.0)

    def _new_worker(self) -> Worker:
        return Worker(
            self._app,
            queues=self._queues,
            name="flynn",
            concurrency=self._concurrency,
            fetch_job_polling_interval=POLL_SECONDS,
            # Ours instead: heartbeats that go on while jobs end, and events of the log that stop a run.
            update_heartbeat_interval=_NEVER,
            abort_job_polling_interval=_NEVER,
            stalled_worker_timeout=_NEVER,
            delete_jobs="successful",
            install_signal_handlers=False,
        )

    async def _wind_down(self, worker: Worker, work: asyncio.Task[None], grace: float) -> None:
        """End `worker`: no more fetches, then its handlers, then what is to be written of them."""
        if work.done():
            return
        worker.stop()  # type: ignore[no-untyped-call] # procrastinate leaves it bare
        hurrying = asyncio.create_task(self._hurrying.wait())
        await asyncio.wait([work, hurrying], timeout=grace, return_when=asyncio.FIRST_COMPLETED)
        hurrying.cancel()
        self._jobs.end_all(Ending.SHUTDOWN)
        if handlers := [held.work for held in self._jobs.held.values()]:
            await asyncio.wait(handlers, timeout=CANCEL_SECONDS)
        await asyncio.wait([work], timeout=WRITE_SECONDS)
        self._jobs.abandon()
        _, going_on = await asyncio.wait([work], timeout=WRITE_SECONDS)
        if going_on:
            self._log.error("handlers ignore their cancellation; their jobs are left to the lease")

    async def _watch_lease(self) -> None:
        """Stop what runs here as soon as nothing confirms the lease, whatever the database does."""
        while True:
            lease = self._jobs.lease
            rest = lease.valid_until - boot_time() if lease is not None else 0.0
            await asyncio.sleep(min(rest, 0.25) if rest > 0 else 0.25)
            self._jobs.expire()

    async def _beat(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(2 * self._beat_seconds, 1.0)):
                await self._jobs.beat()

    async def _regularly(self, seconds: float, action: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await action()
            except ConnectorException as error:
                self._log.debug("the queue cannot be reached", error=str(error.__cause__ or error))
