"""From a job to its handler, and from the handler's end to what becomes of the job.

- it returns: the job is done and deleted;
- it raises LeaseLost, or is cancelled because of a shutdown or of the lease: the job goes back to the
  queue if it is still ours, and is left alone if it is another's;
- it raises anything else: that is logged, and the job has failed; the runs' reconciler decides.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any
from uuid import UUID

from procrastinate import BaseRetryStrategy, RetryDecision
from procrastinate.job_context import JobContext
from procrastinate.jobs import Job

from flynn.domain.errors import LeaseLost
from flynn.telemetry.crash_point import reach
from flynn.telemetry.logging import Logger, bind
from flynn.worker.engine_jobs import FencedJobs, Held, key_of
from flynn.worker.engine_lease import Claim, Ending

Handler = Callable[[UUID, Claim], Coroutine[Any, Any, None]]
"""What serves a run; a bound `async def`."""


class HandBack(Exception):
    """The job goes back to the queue."""

    def __init__(self, ending: Ending | None) -> None:
        super().__init__(ending or "the handler let go of it")
        self.ending = ending


class HandlerBroke(Exception):
    """The job has failed."""


class Again(BaseRetryStrategy):
    """Hands a job back at once; one that was let go of again and again, after a pause."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        """When the job is tried again; None when it has failed."""
        if not isinstance(exception, HandBack):
            return None
        if exception.ending is not None or job.attempts < 3:
            return RetryDecision()
        return RetryDecision(retry_in={"milliseconds": min(100 * 2 ** min(job.attempts, 10), 5000)})


class Deliveries:
    """Delivers the jobs of one worker to `handler`; none any more once `stopping` is set."""

    def __init__(self, jobs: FencedJobs, handler: Handler, *, stopping: asyncio.Event, log: Logger) -> None:
        self._jobs = jobs
        self._handler = handler
        self._stopping = stopping
        self._log = log

    async def deliver(self, context: JobContext, run: str) -> None:
        """Hand one job to the handler and turn how that ends into what becomes of the job."""
        job, lease = context.job, self._jobs.lease
        if self._stopping.is_set() or lease is None:
            raise HandBack(Ending.SHUTDOWN)
        reach("delivery.begun")
        key = key_of(job)
        claim = Claim(run_id=UUID(run), job_id=key[0], attempt=job.attempts + 1, lease=lease)
        with bind(run_id=run):  # the task that is made here, and all that it starts, keep it
            work = asyncio.create_task(self._handler(claim.run_id, claim), name=f"run {run}")
        held = self._jobs.held[key] = Held(claim, work)
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError:
            held.end(Ending.SHUTDOWN)
            await asyncio.wait([work])
        finally:
            del self._jobs.held[key]
        if work.cancelled():
            raise HandBack(claim.ending)
        match work.exception():
            case None:
                reach("delivery.ended")
                return
            case LeaseLost():
                self._log.info("a handler let go of its run", run_id=run, job=job.id)
                raise HandBack(claim.ending)
            case error if claim.ending is not None:
                self._log.warning("a handler broke while it was cancelled", run_id=run, exc_info=error)
                raise HandBack(claim.ending)
            case error:
                self._log.error("a handler broke; its job has failed", run_id=run, job=job.id, exc_info=error)
                raise HandlerBroke(f"{type(error).__name__} in the handler of run {run}")
